"""Delays are bounded, however long something has been failing."""

from hypothesis import given
from hypothesis import strategies as st

from passerelle.domain.backoff import (
    POLL_CAP,
    PROBE_CAP,
    PROBE_FIRST,
    RETRY_AFTER_CAP,
    RETRY_CAP,
    poll_delay,
    probe_delay,
    retry_delay,
)

CHANCES = st.floats(0, 1)
COUNTS = st.integers(1, 10_000) | st.just(10_000)


@given(COUNTS, CHANCES)
def test_a_retry_is_never_later_than_the_cap(failures: int, chance: float) -> None:
    assert 0 <= retry_delay(failures, chance) <= RETRY_CAP


@given(COUNTS, CHANCES, st.floats(allow_nan=False))
def test_what_loop_asks_for_is_bounded_too(
    failures: int, chance: float, retry_after: float
) -> None:
    delay = retry_delay(failures, chance, retry_after)
    assert 0 <= delay <= RETRY_AFTER_CAP + 1
    assert delay >= min(retry_after, RETRY_AFTER_CAP)


@given(st.integers(0, 10_000), CHANCES)
def test_a_poll_is_never_much_later_than_hourly(polls: int, chance: float) -> None:
    assert 0.9 <= poll_delay(polls, chance) <= 1.1 * POLL_CAP


@given(st.integers(0, 10_000), CHANCES)
def test_a_refusal_is_looked_at_neither_within_the_minute_nor_much_later_than_hourly(
    probes: int, chance: float
) -> None:
    jitter = 0.9 + 0.2 * chance
    assert PROBE_FIRST * jitter <= probe_delay(probes, chance) <= PROBE_CAP * jitter


@given(st.integers(1, 9_999), CHANCES)
def test_a_longer_outage_is_never_asked_about_sooner(failures: int, chance: float) -> None:
    assert retry_delay(failures, chance) <= retry_delay(failures + 1, chance)
    assert poll_delay(failures, chance) <= poll_delay(failures + 1, chance)
