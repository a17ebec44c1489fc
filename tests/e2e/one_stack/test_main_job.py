"""The main job with real processes: from a message to Loop's books."""

import json
import uuid

from support.events import JsonObject, purchase
from support.refused import digest
from support.simulator import until
from support.stack import Stack


def event(firm: str, folder: str = "MAIN000001") -> JsonObject:
    found = purchase()
    found |= {"event_id": str(uuid.uuid4()), "firm": firm, "folder": folder}
    found["entry"] = found["entry"] | {"id": f"entry-{uuid.uuid4()}"}
    return found


def test_what_is_submitted_is_synced_once(stack: Stack) -> None:
    firm = stack.add_firm(None, "MAIN000001")
    events = [event(firm) for _ in range(300)]
    stack.send("entries.submit_many", events)
    for one in events[:20]:
        stack.send("entries.submit", one)
    stack.until_states(firm, synced=300)
    booked = [entry["origin"] for entry in stack.loop.ledger("MAIN000001")]
    assert len(booked) == len(set(booked)) == 300


def test_what_the_broker_lost_is_found_by_the_hubs_list_and_sent_again(stack: Stack) -> None:
    folder = "GAP0000001"
    firm = stack.add_firm(None, folder)
    sent = [event(firm, folder) for _ in range(2)]
    stack.send("entries.submit", sent[0])
    stack.until_states(firm, synced=1)
    names: list[JsonObject] = [
        {"firm": firm, "folder": folder, "entry_id": one["entry"]["id"], "revision": 1}
        for one in sent
    ]
    listed = [*names, names[1] | {"revision": "one"}]
    stack.send("entries.reconcile", listed)
    until(
        lambda: stack.rows("SELECT entry_id FROM missing_entries WHERE firm = :firm", firm=firm),
        lambda found: found == [{"entry_id": names[1]["entry_id"]}],
    )
    [kept] = stack.rows(
        "SELECT errors FROM refused_events WHERE content_hash = :content_hash",
        content_hash=digest(json.dumps(listed).encode()),
    )
    assert [error["path"] for error in kept["errors"]] == ["/2/revision"]

    stack.send("entries.submit", sent[1])
    stack.until_states(firm, synced=2)
    lines = "".join(json.dumps(one) + "\n" for one in names)
    assert stack.cli("reconcile", "-", stdin=lines).stdout.endswith("\nNothing is missing.\n")
    assert len(stack.loop.ledger(folder)) == 2


def test_a_folder_that_only_events_name_is_asked_about_and_used(stack: Stack) -> None:
    firm = stack.add_firm()
    stack.send("entries.submit", event(firm, "NEW001"))
    stack.until_states(firm, synced=1)
    assert len(stack.loop.ledger("NEW001")) == 1


def test_an_unknown_firm_is_one_case_and_heals_when_it_is_added(stack: Stack) -> None:
    firm = f"LATER{uuid.uuid4().hex[:6]}"
    stack.send("entries.submit_many", [event(firm, "LATER1") for _ in range(5)])
    stack.until_states(firm, parked=5)
    stack.add_firm(firm)
    stack.until_states(firm, synced=5)
    cases = stack.rows(
        "SELECT c.reason, c.state FROM cases c JOIN firms f ON f.id = c.firm_id "
        "WHERE f.code = :firm",
        firm=firm,
    )
    assert cases == [{"reason": "unknown_firm", "state": "healed"}]
