"""A published Celery client of another language, from its registry, as a hub would use it."""

import json
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from support.refused import process_ids
from support.simulator import ROOT
from support.stack import Stack

PROJECT = Path(__file__).with_name("foreign_producer")
EXAMPLE = ROOT / "schemas/examples/purchase.json"


@pytest.fixture(scope="module")
def producer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Node project with what its lock names."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.fail(f"`{program}` is not on this machine: this test needs Node 18 or newer.")
    folder = tmp_path_factory.mktemp("producer")
    shutil.copytree(PROJECT, folder, dirs_exist_ok=True)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def send(stack: Stack, producer: Path, protocol: int, task: str, *args: Any) -> None:
    for call in stack.copies(args):
        _send(stack, producer, protocol, task, call)


def _send(stack: Stack, producer: Path, protocol: int, task: str, args: Sequence[object]) -> None:
    call = {
        "broker": stack.env["PASSERELLE_BROKER_URL"],
        "queue": "intake",
        "protocol": protocol,
        "task": task,
        "args": args,
    }
    done = subprocess.run(
        ["node", "send.js"],
        cwd=producer,
        input=json.dumps(call),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_contract_s_example_sent_by_another_language_reaches_loop(
    stack: Stack, producer: Path
) -> None:
    example = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    workers = process_ids(stack)
    firm = stack.add_firm(example["firm"], example["folder"])
    send(stack, producer, 2, "entries.submit", example)
    stack.until_states(firm, synced=1)
    [booked] = [
        entry
        for entry in stack.loop.ledger(example["folder"])
        # Contract section 6: of firm, folder, entry id and revision.
        if entry["origin"] == "24d61dbb-674d-5d13-a9e7-91b519531d88"
    ]
    assert len(booked["lines"]) == len(example["entry"]["lines"])
    assert process_ids(stack) == workers


@pytest.mark.parametrize("protocol", [1, 2])
def test_both_versions_of_the_message_protocol_are_understood(
    stack: Stack, producer: Path, protocol: int
) -> None:
    firm = stack.add_firm(None, "NODE1")
    example = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    events = [
        example | {"event_id": str(uuid.uuid4()), "firm": firm, "folder": "NODE1", "entry": entry}
        for entry in (example["entry"] | {"id": f"node-{number}"} for number in range(3))
    ]
    send(stack, producer, protocol, "entries.submit_many", events[:2])
    send(stack, producer, protocol, "entries.submit", events[2])
    stack.until_states(firm, synced=3)
