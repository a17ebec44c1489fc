"""SIGTERM under load: a worker ends by itself in time, and nothing waits for what it held.

What has been sent is heard out and recorded, what has not is handed back: no entry is uncertain,
no lease and no message is left to run out, and the next worker goes on at once.
"""

import uuid
from collections.abc import Iterator

import pytest
from redis import Redis
from sqlalchemy import text

from support.events import JsonObject, purchase
from support.servers import Servers
from support.simulator import until
from support.stack import Stack, running_stack

FOLDERS = [f"F{number:02}" for number in range(6)]
SLOW_SECONDS = 2.0
# For one call that is slow and what a busy machine adds; two after each other take longer than
# that only where a worker goes on with what it has not begun.
END_SECONDS = 10.0
# Nothing that was left to run out would be back within a test.
HOURS = {
    "PASSERELLE_LEASE_SECONDS": "900",
    "PASSERELLE_VISIBILITY_SECONDS": "3600",
}


def events(firm: str, folder: str, count: int) -> list[JsonObject]:
    return [
        purchase(number, firm=firm, folder=folder, event_id=str(uuid.uuid4()))
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def stack(servers: Servers, template: str) -> Iterator[Stack]:
    """With upkeep; a delivery for each test's own."""
    with running_stack(
        servers, template, {"import_ms": 20}, broker_number=8, PASSERELLE_VERIFY="0", **HOURS
    ) as running:
        running.start("beat", "-A", "workers.main", "beat", "-s", str(running.scratch / "beat"))
        running.start_worker("upkeep")
        running.wait_for_worker("upkeep")
        yield running
        # Tried here, when the others are through with it; beat has it sweep every second.
        running.stop("upkeep", END_SECONDS)
        assert held(running) == {"entries": 0, "folders": 0, "messages": 0}


def held(stack: Stack) -> dict[str, int]:
    """What would have to run out: leases, and messages that a worker has taken."""
    [row] = stack.rows(
        "SELECT (SELECT count(lease) FROM entries) AS entries, "
        "(SELECT count(lease) FROM folders) AS folders"
    )
    with Redis.from_url(stack.env["PASSERELLE_BROKER_URL"]) as broker:
        return {**row, "messages": broker.hlen("unacked")}


def asked(stack: Stack) -> int:
    """Requests to import that are on their way or were."""
    counts = stack.loop.requests()["counts"]
    return sum(
        row["count"] for row in counts if row["route"] == "importJson" and row["folder"] in FOLDERS
    )


def booked(stack: Stack) -> int:
    return sum(entry["folder"] in FOLDERS for entry in stack.loop.ledger())


def test_a_delivery_hears_out_what_it_has_sent_and_hands_back_the_rest(stack: Stack) -> None:
    """At one request a second most folders wait for their turn when the signal comes."""
    firm = stack.add_firm(None, *FOLDERS)
    stack.loop.set_faults({"fault": "slow_stored", "route": "importJson", "seconds": SLOW_SECONDS})
    for folder in FOLDERS:
        stack.runtime.intake.take_in(events(firm, folder, 2))
    slow = {"PASSERELLE_PACE_START": "1", "PASSERELLE_PACE_MAX": "1"}
    stack.start_worker("delivery", **slow)
    until(lambda: asked(stack), lambda found: found >= 1, 60)
    stack.stop("delivery", END_SECONDS)
    assert held(stack) == {"entries": 0, "folders": 0, "messages": 0}
    states = stack.states(firm)
    sent = states["posted"]
    assert 0 < sent < 2 * len(FOLDERS)
    assert states == {"posted": sent, "received": 2 * len(FOLDERS) - sent}
    assert booked(stack) == sent
    stack.loop.set_faults()
    with stack.engine.begin() as connection:
        connection.execute(text("UPDATE firms SET pace = 50, next_turn_at = NULL"))
    stack.start_worker("delivery")
    stack.until_states(firm, synced=2 * len(FOLDERS))
    assert booked(stack) == 2 * len(FOLDERS)


def test_events_that_stream_in_while_intake_stops_all_arrive(stack: Stack) -> None:
    """Its pool is of processes, some of which wait for ever for their last result to be read."""
    firm = stack.add_firm(None, "STREAM")
    sent = 0

    def send() -> None:
        nonlocal sent
        sent += 1
        stack.send("entries.submit", purchase(sent, firm=firm, folder="STREAM"))

    def send_and_count() -> int:
        send()
        return stack.states(firm).total()

    stack.start_worker("intake")
    stack.wait_for_worker("intake")
    until(send_and_count, lambda found: found >= 30, 60)
    stack.stop("intake", END_SECONDS)
    assert held(stack)["messages"] == 0
    for _ in range(10):
        send()
    stack.start_worker("intake")
    until(lambda: stack.states(firm).total(), lambda found: found == sent, 60)
    assert stack.rows("SELECT FROM refused_events") == []
    assert held(stack)["messages"] == 0
