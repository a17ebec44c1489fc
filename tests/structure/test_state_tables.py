"""One table of states: the code's, the contract's, the database's and the picture's."""

import re

import pytest
from sqlalchemy import CheckConstraint

from passerelle.domain.states import FINAL, TRANSITIONS, CaseState, Closing, Reason, Scope, State
from passerelle.store.deployment import metadata
from support.simulator import ROOT

# As the contract has them.
LEAVES_TO = {
    "received": {"posting", "parked", "superseded", "uncertain", "posted"},
    "posting": {"posted", "waiting", "uncertain", "parked"},
    "posted": {"synced", "waiting", "uncertain", "parked"},
    "waiting": {"posting", "parked", "superseded", "uncertain", "posted"},
    "uncertain": {"synced", "posted", "waiting", "parked"},
    "parked": {"received", "uncertain", "posted", "synced", "superseded", "discarded"},
    "synced": set(),
    "superseded": set(),
    "discarded": set(),
}
REASONS = {
    *("access_denied", "unknown_firm", "unknown_folder", "credentials_refused"),
    *("unknown_account", "closed_account", "unknown_journal", "closed_journal"),
    *("outside_open_period", "auxiliary_collision", "attachment_expired", "refused_by_loop"),
    *("undecided", "landed_differently", "already_synced", "exhausted", "internal"),
    *("landed_twice", "import_stuck"),
}


def test_the_states_and_the_ways_between_them_are_the_contracts() -> None:
    assert {str(state): {*map(str, ways)} for state, ways in TRANSITIONS.items()} == LEAVES_TO


def test_every_state_has_its_row_and_three_are_final() -> None:
    assert TRANSITIONS.keys() == set(State)
    assert {State.SYNCED, State.SUPERSEDED, State.DISCARDED} == FINAL


def test_the_reasons_are_the_contracts() -> None:
    assert {*map(str, Reason)} == REASONS


@pytest.mark.parametrize(
    ("constraint", "words"),
    [
        ("ck_entries_state", State),
        ("ck_entries_reason", Reason),
        ("ck_cases_state", CaseState),
        ("ck_cases_reason", Reason),
        ("ck_cases_scope", Scope),
        ("ck_attempts_closed_as", Closing),
    ],
)
def test_a_column_takes_the_words_of_its_vocabulary(constraint: str, words: type[State]) -> None:
    [text] = [
        str(one.sqltext)
        for table in metadata.tables.values()
        for one in table.constraints
        if isinstance(one, CheckConstraint) and one.name == constraint
    ]
    assert sorted(re.findall(r"'(\w+)'", text)) == sorted(words)


def test_the_picture_in_the_architecture_names_exactly_these_ways() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = re.search(r"^\| state \| leaves to \|\n\|[- |]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table is not None
    drawn = {}
    for row in table[1].splitlines():
        _, state, ways, _ = row.split("|")
        drawn[state.strip(" `")] = set(re.findall(r"`(\w+)`", ways))
    assert drawn == LEAVES_TO
