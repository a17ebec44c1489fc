"""Flower: open to nobody who passes by, and without payloads, whoever has sent them."""

import itertools
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import requests

from passerelle.embedded.port import free_base
from support.events import purchase
from support.simulator import ROOT, until
from support.stack import Stack
from workers.flower import FLOWER_OPTIONS

USER = ("operator", "a long password")


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "workers.main", "flower", *options]


@pytest.fixture
def port() -> int:
    return free_base(24_000 + os.getpid() % 1000, 1)


@pytest.mark.parametrize("address", ["--address=0.0.0.0", "--address=::", ""])
def test_it_does_not_start_open_to_everybody(stack: Stack, port: int, address: str) -> None:
    options = [f"--port={port}", *([address] if address else [])]
    done = subprocess.run(
        command(*options), cwd=ROOT, env=stack.env, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "--basic-auth" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_shows_how_many_and_of_which_folder_and_no_payload(
    stack: Stack, port: int, tmp_path: Path
) -> None:
    conf = tmp_path / "flowerconfig.py"
    conf.write_text(f"basic_auth = ['{':'.join(USER)}']\naddress = '0.0.0.0'\n")
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(
            command(f"--conf={conf}", f"--port={port}", *FLOWER_OPTIONS),
            cwd=tmp_path,
            env=stack.env,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as flower,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: answers(f"{url}/healthcheck"), bool, 60)
            assert requests.get(f"{url}/api/tasks", timeout=30).status_code == 401
            firm = stack.add_firm(None, "SHOWN")
            numbers = itertools.count()

            def shown() -> dict[str, str]:
                # Others each time: Flower sees what happens once it listens.
                events = [
                    purchase(next(numbers), firm=firm, folder="SHOWN", event_id=str(uuid.uuid4()))
                    for _ in range(3)
                ]
                # As a foreign producer sends it: what it says of the payload is the payload.
                stack.app.send_task(
                    "entries.submit_many",
                    args=[events],
                    queue="intake",
                    argsrepr=str(events),
                    kwargsrepr=str(events),
                )
                found = requests.get(f"{url}/api/tasks", auth=USER, timeout=30)
                assert "Papeterie" not in found.text
                return {one["name"]: one["args"] for one in found.json().values()}

            wanted = f"3 of {firm}/SHOWN"
            until(shown, lambda tasks: tasks.get("entries.submit_many") == wanted, 60, 0.5)
            tasks = until(shown, lambda found: "delivery.deliver" in found, 60, 0.5)
            # Its number is in `passerelle folder list`.
            [folder] = stack.rows("SELECT id FROM folders WHERE code = 'SHOWN'")
            assert tasks["delivery.deliver"] == f"folder {folder['id']}"
            # Sweeps have come since, every second, and are not remembered.
            assert "upkeep.sweep" not in tasks
            lines = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
            assert [json.loads(line)["event"] for line in lines]
            pages = "".join(
                requests.get(f"{url}{page}", auth=USER, timeout=30).text
                for page in ("/tasks", "/workers", "/metrics")
            )
            assert "Papeterie" not in pages
        finally:
            flower.terminate()


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False
