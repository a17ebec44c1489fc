"""When to try again: doubling, jitter, a cap, and what Loop itself asks for (engine rule 9)."""

import pytest

from passerelle.domain.backoff import poll_delay, retry_delay


def test_delays_double_from_one_second_to_five_minutes() -> None:
    assert [retry_delay(failures, 1.0) for failures in range(1, 12)] == [
        *(1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300),
    ]


def test_jitter_is_full_at_the_cap_too() -> None:
    assert [retry_delay(50, chance) for chance in (0.0, 0.5, 1.0)] == [0, 150, 300]


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_loop_is_never_asked_before_the_time_that_it_named(chance: float) -> None:
    assert 57 <= retry_delay(1, chance, 57.0) <= 58
    assert 57 <= retry_delay(40, chance, 57.0) <= 58


def test_what_loop_asks_for_is_believed_up_to_a_day() -> None:
    assert retry_delay(1, 0.0, 3_000_000.0) == 86_400
    assert retry_delay(1, 0.0, float("inf")) == 86_400
    assert retry_delay(1, 0.0, -5.0) == 0


def test_polls_are_quick_first_and_slower_up_to_hourly() -> None:
    assert [poll_delay(polls, 0.5) for polls in range(14)] == [
        *(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600),
    ]


def test_polls_of_many_imports_spread() -> None:
    assert poll_delay(3, 0.0) == pytest.approx(7.2)
    assert poll_delay(3, 1.0) == pytest.approx(8.8)
