"""What Loop refuses is one case, costs Loop almost nothing, and heals without an operator."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from support.events import JsonObject, purchase
from support.simulator import SimulatorHandle, until
from support.stack import Stack

ENTRIES = 200
# More than a POST each: what comes later is not even tried.
MOST_POSTS = 5


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the simulator is told to refuse and then no longer; what the case is called."""

    begin: Callable[[SimulatorHandle, str], None]
    end: Callable[[SimulatorHandle, str], None]
    scope: str
    reason: str


def _access(where: str, language: str) -> Refusal:
    return Refusal(
        lambda loop, folder: loop.patch_folder(folder, access=where, language=language),
        lambda loop, folder: loop.patch_folder(folder, access="granted"),
        "folder",
        "access_denied",
    )


def _fault(fault: str, scope: str, reason: str) -> Refusal:
    return Refusal(
        lambda loop, folder: loop.set_faults({"fault": fault, "folder": folder}),
        lambda loop, _: loop.set_faults(),
        scope,
        reason,
    )


REFUSALS = {
    "at the POST": _access("refused_at_post", "en"),
    "at the end, in French": _access("refused_at_end", "fr_curly"),
    "unknown folder": _fault("folder_unknown", "folder", "unknown_folder"),
    "keys": _fault("api_key_refused", "firm", "credentials_refused"),
}


def _events(firm: str, folder: str, count: int) -> list[JsonObject]:
    return [
        purchase(number, firm=firm, folder=folder, event_id=str(uuid.uuid4()))
        for number in range(count)
    ]


def _cases(stack: Stack, firm: str) -> Sequence[Mapping[str, Any]]:
    return stack.rows(
        "SELECT c.id, c.scope, c.reason, c.state, "
        "(SELECT count(*) FROM entries WHERE case_id = c.id) AS held "
        "FROM cases c JOIN firms f ON f.id = c.firm_id WHERE f.code = :firm ORDER BY c.id",
        firm=firm,
    )


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_one_case_that_costs_little_and_heals_by_itself(
    stack: Stack, name: str
) -> None:
    refusal, folder = REFUSALS[name], f"HEAL{len(name):06}"
    firm = stack.add_firm(None, folder, f"{folder}B")
    refusal.begin(stack.loop, folder)
    for start in range(0, ENTRIES, 100):
        stack.send("entries.submit_many", _events(firm, folder, ENTRIES)[start : start + 100])
    stack.until_states(firm, parked=ENTRIES)
    [case] = _cases(stack, firm)
    assert (case["scope"], case["reason"], case["state"]) == (refusal.scope, refusal.reason, "open")
    assert case["held"] == ENTRIES
    assert stack.loop.count("importJson", folder=folder) <= MOST_POSTS
    # Another folder goes on, unless it is the firm's keys that are refused.
    if refusal.scope == "folder":
        stack.send("entries.submit", _events(firm, f"{folder}B", 1)[0])
        stack.until_states(firm, parked=ENTRIES, synced=1)

    refusal.end(stack.loop, folder)
    # The minute until Loop is asked is over.
    with stack.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE cases SET probe_at = now() WHERE state = 'open'")
    others = len(stack.loop.ledger(f"{folder}B"))
    stack.until_states(firm, synced=ENTRIES + others)
    origins = [entry["origin"] for entry in stack.loop.ledger(folder)]
    assert len(origins) == len(set(origins)) == ENTRIES
    [healed] = until(lambda: _cases(stack, firm), lambda cases: cases[0]["state"] == "healed")
    assert healed["id"] == case["id"]
