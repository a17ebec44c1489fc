"""The broker vanishes under real workers and beat: what was taken in goes on by itself.

So does what a worker holds: a message of the hub's is not lost with the broker or the worker.
"""

import contextlib
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from support.broker import Broker, running_broker
from support.events import JsonObject, purchase
from support.servers import Servers
from support.simulator import until
from support.stack import QUICK_LEASES, Stack, running_stack
from workers.heartbeat import EVERY_SECONDS

FOLDERS = ("AWAY000001", "AWAY000002", "AWAY000003")
# Nobody is at work for it, so intake rings as soon as it has taken in what it holds.
HELD = "HELD000001"
# What a dead worker held comes back after so many seconds.
VISIBILITY = 6
SHORT = QUICK_LEASES | {"PASSERELLE_VISIBILITY_SECONDS": str(VISIBILITY)}


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with running_broker() as running:
        yield running


@pytest.fixture(scope="module")
def stack(servers: Servers, template: str, broker: Broker) -> Iterator[Stack]:
    """Delivery has its ordinary leases: what it goes on with had none that ran out."""
    with running_stack(servers.with_broker(broker.url), template, broker_number=0) as running:
        running.start("beat", "-A", "workers.main", "beat", "-s", str(running.scratch / "beat"))
        running.start_worker("intake", **SHORT)
        running.start_worker("delivery")
        running.start_worker("upkeep")
        for queue in ("intake", "delivery", "upkeep"):
            running.wait_for_worker(queue)
        yield running


def event(firm: str, folder: str = HELD) -> JsonObject:
    return purchase(secrets.randbits(60), firm=firm, folder=folder)


def intake(stack: Stack) -> str:
    """The name of the only worker of intake."""
    [name] = [name for name in stack.processes if name.startswith("intake")]
    return name


def unheard(stack: Stack) -> int:
    """How often a bell could not be rung by intake, since the broker was away."""
    return stack.log(intake(stack)).count("a bell could not be rung")


@contextlib.contextmanager
def held_messages(stack: Stack, firm: str, count: int) -> Iterator[None]:
    """So many messages sent; intake is at the first of them and cannot take it in yet."""
    with stack.engine.begin() as connection:
        connection.execute(text("LOCK TABLE events IN SHARE MODE"))
        for _ in range(count):
            # Without a twin: what a broker holds when it dies is lost.
            stack.app.send_task("entries.submit", args=[event(firm)], queue="intake")
        until(lambda: stack.waiting_for("events"), bool)
        yield


@pytest.mark.parametrize(
    ("fault", "end"),
    [
        (Broker.flush, None),
        (Broker.kill, Broker.start),
        (Broker.kill, Broker.start_empty),
        (Broker.freeze, Broker.thaw),
        (Broker.refuse, Broker.accept),
    ],
    ids=["flushed", "killed", "replaced", "frozen", "refusing"],
)
def test_what_was_taken_in_goes_on_by_itself(
    stack: Stack,
    broker: Broker,
    fault: Callable[[Broker], None],
    end: Callable[[Broker], None] | None,
) -> None:
    firm = stack.add_firm(None, *FOLDERS, HELD)
    before = unheard(stack)
    # Some deliveries are under way, some bells not heard yet.
    stack.loop.set_faults({"fault": "slow", "route": "importJson", "seconds": 1, "count": 3})
    stack.send("entries.submit_many", [event(firm, folder) for folder in FOLDERS * 3])
    until(stack.loop.faults, lambda rules: rules[0]["fired"] >= 1)
    try:
        with held_messages(stack, firm, 1):
            fault(broker)
            until(lambda: stack.states(firm)["posted"], bool)
        # For these nobody rings but upkeep, which beat wakes.
        stack.take_in([event(firm, folder) for folder in FOLDERS])
        if end is not None:
            until(lambda: unheard(stack), lambda now: now > before, 40)
    finally:
        if end is not None:
            end(broker)
    stack.send("entries.submit", event(firm))
    stack.until_states(firm, 60, synced=14)
    assert {name: process.poll() for name, process in stack.processes.items()} == dict.fromkeys(
        stack.processes
    )
    assert stack.loop.totals()["origins_booked_more_than_once"] == 0


def test_a_full_broker_loses_none_of_what_is_in_its_queue(stack: Stack, broker: Broker) -> None:
    firm = stack.add_firm(None, HELD)
    with held_messages(stack, firm, 6):
        broker.fill()
    try:
        until(lambda: stack.states(firm).total(), lambda found: found == 6)
    finally:
        broker.clear()
    stack.until_states(firm, synced=6)


def test_what_a_killed_worker_held_is_done_by_another(stack: Stack) -> None:
    firm = stack.add_firm(None, HELD)
    first, second = intake(stack), f"intake-{secrets.token_hex(3)}"
    with held_messages(stack, firm, 1):
        stack.start_worker("intake", name=second, **SHORT)
        stack.until_log(second, " ready.")
        stack.kill(first)
    stack.until_states(firm, VISIBILITY + 30, synced=1)


def test_a_worker_that_finds_the_broker_away_by_its_own_heartbeat_says_so_and_can_be_ended(
    stack: Stack, broker: Broker, tmp_path: Path
) -> None:
    file = tmp_path / "heartbeat"
    stack.start_worker("referentials", name="late", PASSERELLE_HEARTBEAT=str(file))
    until(file.exists, bool, 60)
    process = stack.processes["late"]
    process.send_signal(signal.SIGSTOP)
    # Then Flower is to be told, before anything else.
    until(lambda: time.time() - file.stat().st_mtime, lambda age: age > 2 * EVERY_SECONDS)
    broker.kill()
    try:
        process.send_signal(signal.SIGCONT)
        stack.until_log("late", "Cannot connect")
        assert not file.exists()
        stack.stop("late")
    finally:
        broker.start()
