"""What is told with real workers, to a receiver that somebody else could have written.

In JavaScript, with the published library of Standard Webhooks. Killed between the change of state
and the sending, and between sending and noting, it is told at least once under the same name.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from support.events import purchase
from support.receiver import SECRET
from support.servers import Servers
from support.simulator import ROOT, until
from support.stack import QUICK_LEASES, Stack, running_stack

FOLDER = "TOLD"
ENTRIES = 20


class Listener:
    """The receiver's process; `heard` is what it tells, a line each."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.heard: list[dict[str, Any]] = []
        self._process = process
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.heard.append(json.loads(line))

    @property
    def url(self) -> str:
        [first] = until(lambda: self.heard[:1], bool)
        return f"http://127.0.0.1:{first['port']}/"

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Those that were verified. Raises AssertionError: one was not."""
        heard = self.heard[1:]
        assert [one for one in heard if "error" in one] == []
        return heard

    def named(self, webhook_id: str) -> list[dict[str, Any]]:
        return [one for one in self.messages if one["id"] == webhook_id]

    def outcomes(self) -> dict[str, str]:
        """The state that each entry was told to be in last."""
        return {
            one["entry_id"]: one["state"]
            for message in self.messages
            for one in message["message"].get("outcomes", ())
        }

    def end(self) -> None:
        # What is started is a small program that starts Node.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join()


@pytest.fixture
def listener() -> Iterator[Listener]:
    receiver = ROOT / "tests/support/js/receiver.js"
    node = Path(sys.executable).parent / "node"
    with subprocess.Popen(
        [node, receiver, SECRET], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        made = Listener(process)
        try:
            yield made
        finally:
            made.end()


@pytest.fixture(scope="module")
def stack(servers: Servers, template: str) -> Iterator[Stack]:
    with running_stack(
        servers,
        template,
        {"import_ms": 20},
        broker_number=14,
        **QUICK_LEASES,
        PASSERELLE_WEBHOOK_NETWORKS="127.0.0.0/8",
    ) as running:
        yield running


def die(stack: Stack, step: str) -> None:
    """A worker of upkeep that has a message to send, and kills itself at the step."""
    stack.start_worker("upkeep", "e2e.killing_worker", KILL_AT=step)
    worker: subprocess.Popen[bytes] = stack.processes.pop("upkeep")
    with contextlib.suppress(subprocess.TimeoutExpired):
        worker.wait(60)
    assert worker.returncode == -9, stack.log("upkeep")
    # Its lease runs for two minutes.
    with stack.engine.begin() as connection:
        connection.execute(text("UPDATE endpoints SET lease_until = now()"))


def test_what_became_of_entries_is_told_whatever_dies(stack: Stack, listener: Listener) -> None:
    firm = stack.add_firm(None, FOLDER)
    done = stack.cli(
        *("firm", "set", firm, "--outcome-url", listener.url, "--webhook-secret-file", "-"),
        stdin=SECRET,
    )
    assert done.returncode == 0, done.stderr
    events = [
        purchase(number, firm=firm, folder=FOLDER, event_id=str(uuid.uuid4()))
        for number in range(ENTRIES)
    ]
    stack.take_in(events)
    stack.start("beat", "-A", "workers.main", "beat", "-s", str(stack.scratch / "beat"))
    stack.start_worker("delivery")
    die(stack, "packed")
    assert listener.messages == []
    die(stack, "sent")
    [told] = listener.messages
    stack.start_worker("upkeep")
    wanted = {event["entry"]["id"]: "synced" for event in events}
    until(listener.outcomes, lambda found: found == wanted, 60)
    assert stack.states(firm) == {"synced": ENTRIES}
    again = until(lambda: listener.named(told["id"]), lambda found: len(found) == 2)
    first, second = ({**one["message"], "sent_at": ""} for one in again)
    assert first == second
    numbers = {
        one["sequence"]: one["entry_id"]
        for message in listener.messages
        for one in message["message"].get("outcomes", ())
    }
    assert sorted(numbers) == [*range(1, ENTRIES + 1)]
    assert sorted(numbers.values()) == sorted(wanted)
