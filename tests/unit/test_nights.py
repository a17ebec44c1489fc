"""When a folder's reference data are read."""

import datetime as dt

import pytest

from passerelle.domain.nights import Night

NIGHT = Night(dt.time(21), dt.timedelta(hours=7))
DAY = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)


def into_the_night(turn: dt.datetime) -> dt.timedelta:
    since = dt.timedelta(hours=turn.hour - 21, minutes=turn.minute, seconds=turn.second)
    return since % dt.timedelta(days=1)


@pytest.mark.parametrize("hour", range(24))
def test_the_next_turn_is_at_most_a_day_away_and_in_the_night(hour: int) -> None:
    for folder in range(1, 200):
        after = DAY + dt.timedelta(hours=hour, minutes=17)
        turn = NIGHT.next_turn(folder, after)
        assert after < turn <= after + dt.timedelta(days=1)
        assert into_the_night(turn) < NIGHT.length


def test_a_folder_has_the_same_time_every_night() -> None:
    first = NIGHT.next_turn(7, DAY)
    assert NIGHT.next_turn(7, first) == first + dt.timedelta(days=1)
    assert NIGHT.next_turn(7, first - dt.timedelta(microseconds=1)) == first


def test_another_time_zone_is_the_same_moment() -> None:
    paris = dt.timezone(dt.timedelta(hours=2))
    assert NIGHT.next_turn(7, DAY.astimezone(paris)) == NIGHT.next_turn(7, DAY)


@pytest.mark.parametrize("start", [1, 100_000, 10**12])
def test_folders_are_spread_over_the_night(start: int) -> None:
    """No hour of seven has more than a fifth of 2,000 folders, however they are numbered."""
    hours = [0] * 7
    for folder in range(start, start + 2_000):
        hours[int(into_the_night(NIGHT.next_turn(folder, DAY)) / dt.timedelta(hours=1))] += 1
    assert max(hours) < 400
