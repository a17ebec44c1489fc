"""Answers that are lost, with real workers: each entry is in Loop once in the end."""

import json
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from support.events import JsonObject, purchase
from support.servers import Servers
from support.simulator import until
from support.stack import QUICK, Stack, running_stack

ENTRIES = 4
# What happens to a request, and how many of its entries Loop booked.
LOST = {
    "http_500": 0,
    "http_504_stored": ENTRIES,
    "dropped": 0,
    "dropped_stored": ENTRIES,
    "neither_key_stored": ENTRIES,
}
ALONE = "ALONE"


@pytest.fixture(scope="module")
def stack(servers: Servers, template: str) -> Iterator[Stack]:
    with running_stack(servers, template, {"import_ms": 20}, broker_number=9, **QUICK) as running:
        running.start("beat", "-A", "workers.main", "beat", "-s", str(running.scratch / "beat"))
        for queue in ("upkeep", "delivery"):
            running.start_worker(queue)
        yield running


def events(firm: str, folder: str, first: int) -> list[JsonObject]:
    return [
        purchase(first + number, firm=firm, folder=folder, event_id=str(uuid.uuid4()))
        for number in range(ENTRIES)
    ]


@pytest.fixture(scope="module")
def firms(stack: Stack) -> dict[str, str]:
    """The firm of each folder; the answer to a request of each was lost, in all at once."""
    found = {folder: stack.add_firm(None, folder) for folder in (*map(str.upper, LOST), ALONE)}
    # What is in Loop already shows that Loop can be asked.
    for folder, firm in found.items():
        if folder != ALONE:
            stack.take_in(events(firm, folder, 0))
    for folder, firm in found.items():
        if folder != ALONE:
            stack.until_states(firm, synced=ENTRIES)
    faults = {**{fault.upper(): fault for fault in LOST}, ALONE: "http_500"}
    stack.loop.set_faults(
        *(
            {"fault": fault, "route": "importJson", "folder": folder, "count": 1}
            for folder, fault in faults.items()
        )
    )
    for folder, firm in found.items():
        stack.take_in(events(firm, folder, 100))
    until(stack.loop.faults, lambda rules: all(rule["fired"] == 1 for rule in rules), 60)
    return found


def assert_booked_once(stack: Stack, folder: str, entries: int) -> None:
    origins = Counter(entry["origin"] for entry in stack.loop.ledger(folder))
    assert (len(origins), set(origins.values())) == (entries, {1})


@pytest.mark.parametrize(("fault", "booked"), LOST.items())
def test_an_answer_that_was_lost_costs_time_and_nothing_else(
    stack: Stack, firms: dict[str, str], fault: str, booked: int
) -> None:
    folder = fault.upper()
    firm = firms[folder]
    stack.until_states(firm, 120, synced=2 * ENTRIES)
    assert_booked_once(stack, folder, 2 * ENTRIES)
    closed = stack.rows(
        "SELECT a.closed_as FROM attempts a JOIN firms f ON f.id = a.firm_id "
        "WHERE f.code = :firm AND a.closed_as = 'proven_absent'",
        firm=firm,
    )
    assert len(closed) == (0 if booked else ENTRIES)


def test_an_entry_that_nobody_can_tell_of_explains_itself_and_can_be_settled(
    stack: Stack, firms: dict[str, str]
) -> None:
    """Without anything in Loop yet there is no control: absence is not believed."""
    folder, firm = ALONE, firms[ALONE]
    stack.until_states(firm, uncertain=ENTRIES)
    asked = "SELECT count(*) FROM questions q JOIN firms f ON f.id = q.firm_id WHERE f.code = :firm"
    until(lambda: stack.rows(asked, firm=firm)[0]["count"], lambda count: count >= 2, 60)
    listed = stack.cli("entry", "list", "--firm", firm, "--json").stdout.splitlines()
    ids = [str(json.loads(line)["id"]) for line in listed]
    [asked_for, *_] = stack.rows(
        "SELECT entry FROM questions q JOIN firms f ON f.id = q.firm_id WHERE f.code = :firm",
        firm=firm,
    )
    told = stack.cli("entry", "show", str(asked_for["entry"])).stdout
    assert "Asked of Loop, whether it is there (UTC)" in told
    assert "0 lines: no line is there; it may still come, so it is not sent again" in told
    first, *others = ids
    done = stack.cli("entry", "settle", first, "--not-in-loop", "--why", "looked it up")
    assert (done.returncode, done.stdout) == (0, "It is sent again.\n")
    # What was sent again is in Loop, and so the control that was missing.
    stack.until_states(firm, synced=1, uncertain=ENTRIES - 1)

    def asked_at_once() -> Counter[str]:
        """What is asked about ever more slowly has its turn each second."""
        with stack.engine.begin() as connection:
            connection.execute(
                text(
                    "UPDATE entries SET due_at = now() "
                    "WHERE state = 'uncertain' AND due_at > now() + interval '6 s'"
                )
            )
        return stack.states(firm)

    until(asked_at_once, lambda found: found == {"synced": ENTRIES}, 120, every=1)
    assert_booked_once(stack, folder, ENTRIES)
    assert others
    again = stack.cli("entry", "settle", first, "--in-loop", "--why", "no")
    assert again.returncode == 1
    assert "no open attempt" in again.stderr
