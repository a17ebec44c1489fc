"""What an answer, or an import's end, means for the entries: engine rules 4, 7, 15 and 16."""

import pytest

from passerelle.domain.outcome import Answer, Outcome, Sort, of_post, of_status
from passerelle.domain.states import Closing, Reason, State


def person(reason: Reason) -> Answer:
    return Answer(Sort.PERSON, reason=reason)


@pytest.mark.parametrize("entries", [1, 2, 500])
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(Sort.ACCEPTED, request_id="x"), Outcome(State.POSTED)),
        (Answer(Sort.AGAIN), Outcome(State.WAITING, Closing.NEVER_SENT, pause=True)),
        (Answer(Sort.PAUSE), Outcome(State.WAITING, Closing.NEVER_SENT, pause=True)),
        (Answer(Sort.UNKNOWN), Outcome(State.UNCERTAIN)),
        (Answer(Sort.UNKNOWN, down=True), Outcome(State.UNCERTAIN, pause=True)),
        (
            person(Reason.ACCESS_DENIED),
            Outcome(*(State.PARKED, Closing.REFUSED, Reason.ACCESS_DENIED), hold=True),
        ),
        (
            person(Reason.UNKNOWN_FOLDER),
            Outcome(*(State.PARKED, Closing.REFUSED, Reason.UNKNOWN_FOLDER), hold=True),
        ),
        (
            person(Reason.CREDENTIALS_REFUSED),
            Outcome(*(State.PARKED, Closing.REFUSED, Reason.CREDENTIALS_REFUSED), hold=True),
        ),
    ],
)
def test_an_answer_means_the_same_for_all_entries_of_a_request(
    answer: Answer, outcome: Outcome, entries: int
) -> None:
    assert of_post(answer, entries) == outcome


def test_an_entry_that_was_refused_alone_is_parked_without_holding_its_folder() -> None:
    assert of_post(Answer(Sort.REFUSED), 1) == Outcome(
        State.PARKED, Closing.REFUSED, Reason.REFUSED_BY_LOOP
    )


def test_entries_that_were_refused_together_go_again_in_halves() -> None:
    assert of_post(Answer(Sort.REFUSED), 2) == Outcome(State.WAITING, Closing.REFUSED, halve=True)


def test_a_person_is_not_called_without_a_reason() -> None:
    with pytest.raises(ValueError, match="for what"):
        of_post(Answer(Sort.PERSON), 1)


@pytest.mark.parametrize("status", [None, 1, 2, 0, 5, 7, 25, -1])
@pytest.mark.parametrize("reason", [None, Reason.ACCESS_DENIED])
def test_only_statuses_three_and_four_are_an_end(status: int | None, reason: Reason | None) -> None:
    assert of_status(status, reason) is None


@pytest.mark.parametrize("reason", [None, Reason.ACCESS_DENIED])
def test_status_three_is_synced_whatever_the_words(reason: Reason | None) -> None:
    assert of_status(3, reason) == Outcome(State.SYNCED, Closing.ENDED)


def test_status_four_may_have_landed_in_part() -> None:
    assert of_status(4, None) == Outcome(State.UNCERTAIN)


def test_status_four_for_want_of_access_has_not_landed_and_holds_the_folder() -> None:
    assert of_status(4, Reason.ACCESS_DENIED) == Outcome(
        State.PARKED, Closing.ENDED, Reason.ACCESS_DENIED, hold=True
    )
