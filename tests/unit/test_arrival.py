"""What an event means beside the revisions known of its entry: contract section 1."""

import pytest

from passerelle.domain.arrival import Arrival, Known, Verdict, compare
from passerelle.domain.states import State

SAME, OTHER = b"same", b"other"


def known(revision: int, state: State = State.RECEIVED, fingerprint: bytes = OTHER) -> Known:
    return Known(revision * 10, revision, state, fingerprint)


@pytest.mark.parametrize("revision", [1, 3, 1_000_000])
def test_a_first_arrival_is_new_at_any_revision(revision: int) -> None:
    assert compare(revision, SAME, []) == Arrival(Verdict.NEW)


@pytest.mark.parametrize("state", State)
def test_the_same_revision_with_the_same_content_is_nothing_new(state: State) -> None:
    same = known(2, state, SAME)
    for others in ([same], [known(1), same], [same, known(3)]):
        assert compare(2, SAME, others) == Arrival(Verdict.NOTHING, same=same)


@pytest.mark.parametrize("state", State)
def test_the_same_revision_with_other_content_is_refused(state: State) -> None:
    arrival = compare(2, SAME, [known(1), known(2, state), known(3)])
    assert arrival.verdict is Verdict.REFUSED
    assert arrival.fault is not None
    assert arrival.fault.path == "/entry/revision"


@pytest.mark.parametrize("state", State)
def test_an_older_revision_than_one_known_is_outdated_whatever_became_of_that(
    state: State,
) -> None:
    assert compare(2, SAME, [known(3, state), known(1)]) == Arrival(Verdict.OUTDATED)


@pytest.mark.parametrize("state", State)
def test_a_later_revision_replaces_what_is_unsent_and_nothing_else(state: State) -> None:
    arrival = compare(2, SAME, [known(1, state)])
    assert arrival.verdict is Verdict.NEW
    replaceable = state in {State.RECEIVED, State.WAITING, State.PARKED}
    assert arrival.replaces == ((10,) if replaceable else ())
    assert arrival.already_synced == (state is State.SYNCED)


def test_all_unsent_revisions_are_replaced_in_any_order() -> None:
    revisions = [known(3, State.SUPERSEDED), known(1, State.PARKED), known(2, State.WAITING)]
    assert set(compare(4, SAME, revisions).replaces) == {10, 20}
    assert set(compare(4, SAME, revisions[::-1]).replaces) == {10, 20}
