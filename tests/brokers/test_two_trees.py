"""Two of each worker and two beats, as on two machines, and one of these is lost at work."""

from collections import Counter
from collections.abc import Iterator

import pytest

from support.events import JsonObject, purchase
from support.messages import Messages
from support.receiver import SECRET, Receiver
from support.servers import Servers
from support.simulator import until
from support.stack import QUICK, Stack, running_stack

FOLDERS = [f"TREE{number:06}" for number in range(6)]
ENTRIES = 240
SETTINGS = QUICK | {"PASSERELLE_WEBHOOK_NETWORKS": "127.0.0.0/8", "PASSERELLE_BATCH_LINES": "12"}


@pytest.fixture(scope="module")
def stack(servers: Servers, template: str) -> Iterator[Stack]:
    with running_stack(
        servers, template, {"import_ms": 50}, broker_number=4, two_firms=False, **SETTINGS
    ) as running:
        running.start_all("-1", "-2")
        yield running


def send(stack: Stack, events: list[JsonObject]) -> None:
    for event in events:
        stack.send("entries.submit", event)


def test_a_tree_that_is_lost_at_work_loses_nothing_and_nothing_is_done_twice(
    stack: Stack, servers: Servers, hub: Receiver
) -> None:
    firm = stack.add_firm(None, *FOLDERS)
    done = stack.cli(
        *("firm", "set", firm, "--outcome-url", hub.url, "--webhook-secret-file", "-"),
        stdin=SECRET,
    )
    assert done.returncode == 0, done.stderr
    # Each folder is read once, whoever's beat rings for it; what is killed at that is done again.
    until(lambda: stack.rows("SELECT FROM folders WHERE refreshed_at IS NULL"), lambda row: not row)
    assert {stack.loop.count("journal", folder=folder) for folder in FOLDERS} == {1}
    events = [
        purchase(number, firm=firm, folder=FOLDERS[number % len(FOLDERS)])
        for number in range(ENTRIES)
    ]
    send(stack, events[: ENTRIES // 2])
    until(lambda: stack.states(firm)["synced"], lambda synced: synced >= ENTRIES // 6, 60)
    send(stack, events[ENTRIES // 2 : -20])
    stack.kill(*[name for name in stack.processes if name.endswith("-1")])
    send(stack, events[-20:])
    if servers.broker_name == "redis":
        # What was on its way into a dead worker may be lost there: a hub that reconciles sends it
        # again (docs/adr/0008-before-intake.md).
        broker = Messages(stack.env["PASSERELLE_BROKER_URL"])
        until(lambda: (broker.waiting(), broker.held()), lambda rest: not any(rest), 60)
        send(stack, events)
    stack.until_states(firm, 120, synced=ENTRIES)

    ledger = stack.loop.ledger()
    assert Counter((entry["folder"], entry["piece_ref"]) for entry in ledger) == Counter(
        (event["folder"], event["entry"]["piece_ref"]) for event in events
    )
    assert stack.rows("SELECT FROM refused_events") == []
    twice = "SELECT entry FROM transitions WHERE to_state = 'synced' GROUP BY 1 HAVING count(*) > 1"
    assert stack.rows(twice) == []
    # A message that was sent and not noted is told again, as the same.
    told = until(lambda: numbered(hub), lambda found: len(found) == ENTRIES, 60)
    assert sorted(told.values()) == sorted(event["entry"]["id"] for event in events)


def numbered(hub: Receiver) -> dict[int, str]:
    """The entries that were told to be in Loop, by the outcome's number."""
    return {one["sequence"]: one["entry_id"] for one in hub.outcomes if one["state"] == "synced"}
