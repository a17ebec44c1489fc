"""kill -9 of real workers at every step: nothing is lost and nothing is booked twice.

Engine rules 1 to 4: what died before the mark goes on; after the mark and before the record it is
uncertain, not sent again, and synced as soon as it is found in Loop; after the record it is
followed up.
"""

import subprocess
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from sqlalchemy import text

from support.events import JsonObject, purchase
from support.servers import Servers
from support.simulator import until
from support.stack import QUICK_LEASES, Stack, running_stack

STEPS = ("claim", "mark", "call", "record")
ENTRIES = 3


@dataclass(slots=True)
class Death:
    """What a dead delivery left, by step: the firm, and its entries and open attempts just then."""

    firms: dict[str, str] = field(default_factory=dict)
    states: dict[str, Counter[str]] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)


def events(firm: str, folder: str, first: int = 0) -> list[JsonObject]:
    return [
        purchase(first + number, firm=firm, folder=folder, event_id=str(uuid.uuid4()))
        for number in range(ENTRIES)
    ]


def open_attempts(stack: Stack, firm: str) -> int:
    [row] = stack.rows(
        "SELECT count(*) FROM attempts a JOIN firms f ON f.id = a.firm_id "
        "WHERE f.code = :firm AND a.closed_at IS NULL",
        firm=firm,
    )
    return int(row["count"])


def note(stack: Stack, death: Death, step: str) -> None:
    firm = death.firms[step]
    death.states[step] = stack.states(firm)
    death.attempts[step] = open_attempts(stack, firm)


def submit(stack: Stack, folder: str) -> str:
    """Entries of a firm of their own, taken in and rung for, but with no upkeep yet."""
    firm = stack.add_firm(None, folder)
    [folder_id] = stack.take_in(events(firm, folder)).folders
    stack.app.send_task("delivery.deliver", args=[folder_id], queue="delivery")
    return firm


def die_at(stack: Stack, step: str, folder: str) -> str:
    """The firm of entries for which a worker set out and killed itself at the step."""
    firm = submit(stack, folder)
    stack.start_worker("delivery", "e2e.killing_worker", KILL_AT=step)
    worker: subprocess.Popen[bytes] = stack.processes.pop("delivery")
    assert worker.wait(60) == -9
    return firm


def die_during_the_call(stack: Stack, folder: str) -> str:
    """As `die_at`, while Loop has the request: it books when the worker is dead already."""
    stack.loop.set_faults({"fault": "slow", "route": "importJson", "seconds": 1.5})
    firm = submit(stack, folder)
    stack.start_worker("delivery")
    until(stack.loop.faults, lambda rules: rules[0]["fired"] == 1, 60)
    stack.kill("delivery")
    assert stack.loop.ledger(folder) == []
    stack.loop.set_faults()
    return firm


@pytest.fixture(scope="module")
def stack(servers: Servers, template: str) -> Iterator[Stack]:
    with running_stack(
        servers, template, {"import_ms": 20}, broker_number=7, **QUICK_LEASES
    ) as running:
        yield running


@pytest.fixture(scope="module")
def death(stack: Stack) -> Death:
    """Workers died at every step; now ordinary ones run, with upkeep."""
    found = Death()
    for step in STEPS:
        found.firms[step] = die_at(stack, step, step.upper())
        note(stack, found, step)
    found.firms["during"] = die_during_the_call(stack, "DURING")
    note(stack, found, "during")
    stack.start("beat", "-A", "workers.main", "beat", "-s", str(stack.scratch / "beat"))
    for queue in ("upkeep", "delivery"):
        stack.start_worker(queue)
    return found


CASES = [
    # Step, entries just after the death, open attempts then, entries in the end, booked in Loop.
    ("claim", "posting", 0, "synced", ENTRIES),
    ("mark", "posting", ENTRIES, "uncertain", 0),
    # Loop is asked, and found to have them.
    ("call", "posting", ENTRIES, "synced", ENTRIES),
    ("during", "posting", ENTRIES, "synced", ENTRIES),
    ("record", "posted", ENTRIES, "synced", ENTRIES),
]


@pytest.mark.parametrize(("step", "state", "attempts", "final", "booked"), CASES)
def test_where_a_worker_died_decides_where_its_entries_are(
    stack: Stack, death: Death, *, step: str, state: str, attempts: int, final: str, booked: int
) -> None:
    firm, folder = death.firms[step], step.upper()
    assert (death.states[step], death.attempts[step]) == ({state: ENTRIES}, attempts)
    stack.until_states(firm, **{final: ENTRIES})
    assert open_attempts(stack, firm) == (ENTRIES if final == "uncertain" else 0)
    # The folder goes on, and what is uncertain is not sent along.
    stack.take_in(events(firm, folder, first=500))
    stack.until_states(firm, **Counter({"synced": ENTRIES}) + Counter({final: ENTRIES}))
    until(lambda: stack.loop.ledger(folder), lambda ledger: len(ledger) == booked + ENTRIES)
    assert stack.loop.totals()["origins_booked_more_than_once"] == 0


def test_a_follow_up_that_was_killed_is_taken_over(stack: Stack, death: Death) -> None:
    folder = "POLLED"
    firm = stack.add_firm(None, folder)
    stack.loop.set_faults(
        {"fault": "slow", "route": "getImportStatus", "folder": folder, "seconds": 30}
    )
    stack.take_in(events(firm, folder))
    until(stack.loop.faults, lambda rules: rules[0]["fired"] >= 1, 60)
    stack.kill("delivery")
    assert stack.states(firm) == {"posted": ENTRIES}
    stack.loop.set_faults()
    stack.start_worker("delivery")
    stack.until_states(firm, synced=ENTRIES)
    assert len(stack.loop.ledger(folder)) == ENTRIES


def test_an_upkeep_that_was_killed_is_taken_over(stack: Stack, death: Death) -> None:
    for name in ("delivery", "upkeep"):
        stack.kill(name)
    firm = die_at(stack, "claim", "TAKEN")
    with stack.engine.begin() as connection:
        connection.execute(text("LOCK TABLE transitions IN SHARE MODE"))
        stack.start_worker("upkeep")
        until(lambda: stack.waiting_for("transitions"), bool, 60)
        stack.kill("upkeep")
    assert stack.states(firm) == {"posting": ENTRIES}
    stack.start_worker("upkeep")
    stack.start_worker("delivery")
    stack.until_states(firm, synced=ENTRIES)
