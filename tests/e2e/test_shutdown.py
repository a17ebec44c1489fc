"""SIGTERM under load: a worker ends by itself in time, and nothing waits for what it held.

What has been sent is heard out and recorded, what has not is handed back: no entry is uncertain,
no lease and no message is left to run out, and the next worker goes on at once.
"""

import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from support.events import JsonObject, purchase
from support.messages import Messages
from support.servers import Servers
from support.simulator import until
from support.stack import Stack, running_stack

DELIVERED = [f"D{number:02}" for number in range(6)]
POLLED = [f"P{number:02}" for number in range(8)]
ROUTES = {"importJson": DELIVERED, "getImportStatus": POLLED}
NOTHING = {"leases": 0, "polls": 0, "messages": 0}
SLOW_SECONDS = 2.0
# For one call that is slow, and what a busy machine adds.
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
        running.stop("upkeep", seconds=END_SECONDS)
        holds_nothing(running)


def messages(stack: Stack) -> Messages:
    return Messages(stack.env["PASSERELLE_BROKER_URL"])


def held(stack: Stack) -> dict[str, int]:
    """What would have to run out: leases, polls that were taken, messages that a worker has."""
    [row] = stack.rows(
        "SELECT (SELECT count(lease) FROM entries) + (SELECT count(lease) FROM folders) AS leases, "
        "(SELECT count(*) FROM imports WHERE poll_at > now() + interval '1 min') AS polls"
    )
    return {**row, "messages": messages(stack).held()}


def holds_nothing(stack: Stack) -> None:
    """Soon: upkeep, which goes on, has a message for a moment in every second. What a worker took
    along would stay for hours.
    """
    until(lambda: held(stack), lambda found: found == NOTHING)


def asked(stack: Stack, route: str) -> int:
    """How often, for the folders to be delivered or polled, it is on its way or was."""
    counts = stack.loop.requests()["counts"]
    return sum(
        row["count"] for row in counts if row["route"] == route and row["folder"] in ROUTES[route]
    )


def booked(stack: Stack, folders: list[str]) -> int:
    return sum(entry["folder"] in folders for entry in stack.loop.ledger())


def post(stack: Stack) -> tuple[str, list[int]]:
    """A firm with an import in each of its folders, to be asked about now, but not rung for."""
    firm = stack.add_firm(None, *POLLED)
    for folder in POLLED:
        for folder_id in stack.take_in(events(firm, folder, 1)).folders:
            stack.runtime.delivery.deliver(folder_id)
    with stack.engine.begin() as connection:
        due = "UPDATE imports SET poll_at = now(), rung_at = now() + interval '1 h' RETURNING id"
        ids = list(connection.execute(text(due)).scalars())
    messages(stack).purge("delivery")
    return firm, ids


def test_what_loop_was_asked_is_heard_out_and_the_rest_is_handed_back(stack: Stack) -> None:
    """At one request a second most deliveries wait for their turn when the signal comes, and the
    polls of one message would take longer than the worker has.
    """
    polled, imports = post(stack)
    firm = stack.add_firm(None, *DELIVERED)
    stack.loop.set_faults(
        *({"fault": "slow_stored", "route": route, "seconds": SLOW_SECONDS} for route in ROUTES)
    )
    stack.app.send_task("delivery.follow_up", args=[imports], queue="delivery")
    for folder in DELIVERED:
        stack.take_in(events(firm, folder, 2))
    stack.start_worker("delivery", PASSERELLE_PACE_START="1", PASSERELLE_PACE_MAX="1")
    for route in ROUTES:
        until(lambda route=route: asked(stack, route), lambda found: found >= 1, 60)
    stack.stop("delivery", seconds=END_SECONDS)
    holds_nothing(stack)
    states = stack.states(firm)
    sent = states["posted"]
    assert 0 < sent < 2 * len(DELIVERED)
    # What was claimed when the signal came is handed back as well.
    assert states.keys() <= {"posted", "received", "waiting"}
    assert states.total() == 2 * len(DELIVERED)
    assert booked(stack, DELIVERED) == sent
    assert stack.states(polled) == {"posted": len(POLLED)}
    assert 0 < asked(stack, "getImportStatus") < len(POLLED)
    stack.loop.set_faults()
    with stack.engine.begin() as connection:
        connection.execute(text("UPDATE firms SET pace = 50, next_turn_at = NULL"))
        connection.execute(text("UPDATE imports SET rung_at = NULL"))
    stack.start_worker("delivery")
    stack.until_states(firm, synced=2 * len(DELIVERED))
    stack.until_states(polled, synced=len(POLLED))
    assert booked(stack, DELIVERED) == 2 * len(DELIVERED)


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
    stack.stop("intake", seconds=END_SECONDS)
    holds_nothing(stack)
    for _ in range(10):
        send()
    stack.start_worker("intake")
    until(lambda: stack.states(firm).total(), lambda found: found == sent, 60)
    assert stack.rows("SELECT FROM refused_events") == []
    holds_nothing(stack)
