"""The table of states is the contract's, word for word."""

import pytest

from passerelle.domain.states import FINAL, TRANSITIONS, UNSENT, Reason, State

# Contract section 5, as it is printed there.
CONTRACT = {
    "received": "posting parked superseded uncertain posted",
    "posting": "posted waiting uncertain parked",
    "posted": "synced waiting uncertain parked",
    "waiting": "posting parked superseded uncertain posted",
    "uncertain": "synced posted waiting parked",
    "parked": "received uncertain posted synced superseded discarded",
    "synced": "",
    "superseded": "",
    "discarded": "",
}
REASONS = """
access_denied unknown_firm unknown_folder credentials_refused unknown_account closed_account
unknown_journal closed_journal outside_open_period auxiliary_collision attachment_expired
refused_by_loop undecided landed_differently already_synced exhausted internal
landed_twice import_stuck
"""


def test_the_table_is_the_contracts() -> None:
    assert {state: set(ways) for state, ways in TRANSITIONS.items()} == {
        state: set(ways.split()) for state, ways in CONTRACT.items()
    }


def test_the_reasons_are_the_contracts() -> None:
    assert {str(reason) for reason in Reason} == set(REASONS.split())


def test_three_states_are_final() -> None:
    assert {State.SYNCED, State.SUPERSEDED, State.DISCARDED} == FINAL


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_reached_and_left_for_a_final_one(state: State) -> None:
    assert state in _reachable(State.RECEIVED)
    assert _reachable(state) & FINAL


def test_what_may_be_claimed_is_what_leads_to_posting() -> None:
    assert {state for state, ways in TRANSITIONS.items() if State.POSTING in ways} == UNSENT


def _reachable(start: State) -> set[State]:
    found, ahead = {start}, [start]
    while ahead:
        fresh = TRANSITIONS[ahead.pop()] - found
        found |= fresh
        ahead.extend(fresh)
    return found
