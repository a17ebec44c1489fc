"""Beat's jobs, on a clock that may be set back."""

import datetime as dt

import pytest

from workers.schedule import Every

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("since", "due"), [(0.0, False), (0.9, False), (1.0, True), (300.0, True), (-300.0, True)]
)
def test_a_job_is_due_a_second_after_its_last_run_or_when_that_is_yet_to_come(
    since: float, *, due: bool
) -> None:
    every = Every(1.0, nowfun=lambda: NOW)
    found = every.is_due(NOW - dt.timedelta(seconds=since))
    assert found.is_due is due
    assert 0 < found.next <= 1
