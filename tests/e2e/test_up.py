"""`passerelle up` as its user meets it: two of them side by side, from different folders."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import requests

from config.settings import read_env_file
from passerelle.embedded.port import free_base
from support.events import purchase
from support.simulator import ROOT, until

READY_SECONDS = 120
END_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Up:
    process: subprocess.Popen[bytes]
    data_dir: Path
    port_base: int
    out: Path

    def is_ready(self) -> bool:
        printed = self.out.read_text()
        assert self.process.poll() is None, printed
        return "READY\n" in printed

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"PASSERELLE_DATA_DIR": str(self.data_dir), "PYTHONPATH": str(ROOT)}

    def cli(self, *arguments: str, stdin: str = "") -> str:
        """What a command prints; it has to end well."""
        return subprocess.run(
            [sys.executable, "-m", "passerelle.cli.main", *arguments],
            cwd=self.data_dir.parent,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout

    def worker(self, queue: str) -> psutil.Process | None:
        """The main process of a queue's worker."""
        for child in psutil.Process(self.process.pid).children():
            if f"--queues {queue}" in " ".join(child.cmdline()):
                return child
        return None

    def submit(self, number: int) -> None:
        event = json.dumps(purchase(number))
        told = self.cli("submit", "--direct", "-", stdin=event).split()
        assert told[told.index("new") + 1] == "1"

    def synced(self) -> int:
        return int(json.loads(self.cli("status", "--json"))["entries"]["synced"])

    def family(self) -> list[psutil.Process]:
        return [self_ := psutil.Process(self.process.pid), *self_.children(recursive=True)]


def start(folder: Path, port_base: int) -> Up:
    """From a working directory of its own, with a name that needs quoting, and a relative path."""
    folder.mkdir()
    out = folder / "out"
    with out.open("wb") as file:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "passerelle.cli.main", "up", "--simulator",
                "--data-dir", "données d'essai", "--port-base", str(port_base),
            ],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=file,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    return Up(process, folder / "données d'essai", port_base, out)


def end(up: Up, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end everything within ten seconds and leave no process."""
    family = up.family()
    up.process.send_signal(number)
    assert up.process.wait(END_SECONDS) == 0
    _, alive = psutil.wait_procs(family, timeout=1)
    assert not alive


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Up, Up]]:
    scratch = tmp_path_factory.mktemp("up")
    base = free_base(21_000 + 8 * (os.getpid() % 1000), 8)
    ups = (start(scratch / "one", base), start(scratch / "two", base + 4))
    try:
        for up in ups:
            until(up.is_ready, bool, READY_SECONDS)
        yield ups
        # The promise of the end is tried here, when the others are through with them.
        end(ups[0], signal.SIGTERM)
        end(ups[1], signal.SIGINT)
    finally:
        for up in ups:
            up.process.terminate()
            up.process.wait(END_SECONDS)


class TestUp:
    def test_two_side_by_side_do_not_meet(self, both: tuple[Up, Up]) -> None:
        one, two = both
        before = two.synced()
        one.submit(1)
        until(one.synced, lambda count: count == 1, every=1)
        assert two.synced() == before

    def test_what_it_made_is_in_a_file_for_its_owner(self, both: tuple[Up, Up]) -> None:
        env = both[0].data_dir / "env"
        assert stat.S_IMODE(env.stat().st_mode) == 0o600
        assert read_env_file(env).keys() == {
            "PASSERELLE_BROKER_URL",
            "PASSERELLE_DATABASE_URL",
            "PASSERELLE_LOOP_URL",
            "PASSERELLE_SECRET_KEYS",
        }

    def test_no_command_line_shows_a_secret(self, both: tuple[Up, Up]) -> None:
        made = read_env_file(both[0].data_dir / "env")
        secrets = [made["PASSERELLE_SECRET_KEYS"]] + [
            urlsplit(made[name]).password or ""
            for name in ("PASSERELLE_BROKER_URL", "PASSERELLE_DATABASE_URL")
        ]
        shown = " ".join(" ".join(process.cmdline()) for process in both[0].family())
        assert all(secrets)
        assert not [secret for secret in secrets if secret in shown]

    def test_flower_sees_every_worker(self, both: tuple[Up, Up]) -> None:
        metrics = f"http://127.0.0.1:{both[1].port_base + 2}/metrics"
        for queue in ("intake", "delivery", "remediation", "referentials", "upkeep"):
            until(
                lambda: requests.get(metrics, timeout=5).text,
                lambda text, queue=queue: f'flower_worker_online{{worker="{queue}@' in text,
            )

    def test_a_killed_worker_comes_back_and_goes_on(self, both: tuple[Up, Up]) -> None:
        up = both[1]
        before = up.synced()
        killed = up.worker("delivery")
        assert killed is not None
        killed.kill()
        up.submit(2)
        until(up.synced, lambda count: count == before + 1, every=1)
        again = up.worker("delivery")
        assert again is not None
        assert again.pid != killed.pid

    def test_a_data_folder_in_use_is_one_clear_sentence(self, both: tuple[Up, Up]) -> None:
        refused = subprocess.run(
            [sys.executable, "-m", "passerelle.cli.main", "up", "--data-dir", both[0].data_dir],
            env=both[0].environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert refused.returncode == 1
        assert "is in use by another" in refused.stderr
        assert "Traceback" not in refused.stderr
