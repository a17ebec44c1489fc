"""Promise: whatever a trial of keys came to is one sentence that says what to do."""

import pytest

from passerelle.domain.key_trial import PASSED, sentence
from passerelle.domain.outcome import Answer, Failure, Sort
from passerelle.domain.states import Reason


@pytest.mark.parametrize("failure", Failure)
@pytest.mark.parametrize("sort", [Sort.AGAIN, Sort.UNKNOWN])
def test_every_failure_is_told_with_what_to_do(failure: Failure, sort: Sort) -> None:
    told = sentence(Answer(sort, failure, down=True))
    assert any(word in told for word in ("see", "correct", "try again"))


def test_every_answer_is_one_sentence() -> None:
    for sort in Sort:
        for status in (None, 200, 201, 302, 400, 401, 403, 404, 407, 408, 418, 429, 500, 503):
            for down in (False, True):
                answer = Answer(sort, "HUSH", status, Reason.CREDENTIALS_REFUSED, down=down)
                told = sentence(answer)
                assert told.endswith(".")
                assert told.count(". ") == 0
                assert (told == PASSED) is (sort is Sort.ACCEPTED)
                assert "HUSH" not in told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        *((None, "later"), (0.0, "in 1 s"), (56.2, "in 57 s"), (60.0, "in 1 min 0 s")),
        *((25_280.0, "in 7 h 2 min"), (1_763_935.0, "in 20 d 10 h"), (86_399.0, "in 24 h 0 min")),
    ],
)
def test_how_long_to_wait_is_told(seconds: float | None, told: str) -> None:
    for status in (429, 403):
        answer = Answer(Sort.PAUSE, "", status, retry_after=seconds)
        assert sentence(answer).endswith(f"try again {told}.")
