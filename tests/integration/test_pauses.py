"""A firm's pace and pauses: shared by all workers, kept by the database."""

import pytest

from passerelle.store import pauses
from support.workshop import Workshop, all_at_once

START, MOST = 10.0, 50.0


def turn(shop: Workshop, ahead: int = 4) -> float | None:
    with shop.engine.begin() as connection:
        return pauses.take_turn(connection, 1, START, MOST, ahead)


def answered(shop: Workshop) -> None:
    with shop.engine.begin() as connection:
        pauses.answered(connection, 1, MOST)


def failed(shop: Workshop, seconds: float = 60, *, throttled: bool = False) -> int:
    with shop.engine.begin() as connection:
        count = pauses.failures(connection, 1)
        pauses.pause(connection, 1, seconds, "non", throttled=throttled)
        return count


def firm(shop: Workshop, column: str) -> float:
    row = shop.row(f"SELECT {column} AS found FROM firms")  # noqa: S608 a literal of a test
    found: float = row["found"]
    return found


def pause(shop: Workshop) -> float:
    return firm(shop, "extract(epoch FROM paused_until - now())::float")


def test_turns_are_as_far_apart_as_the_pace_says(shop: Workshop) -> None:
    waits = [turn(shop) for _ in range(5)]
    assert waits == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=0.09)
    assert waits[0] == 0


@pytest.mark.parametrize("ahead", [1, 4])
def test_behind_too_many_others_no_turn_is_taken(shop: Workshop, ahead: int) -> None:
    waits = [turn(shop, ahead) for _ in range(30)]
    taken = [wait for wait in waits if wait is not None]
    assert ahead + 1 <= len(taken) <= ahead + 3
    assert waits[-1] is None
    assert firm(shop, "extract(epoch FROM next_turn_at - now())::float") <= (ahead + 1) / START


def test_who_may_wait_behind_more_finds_a_turn_when_the_others_do_not(shop: Workshop) -> None:
    while turn(shop, 4) is not None:
        pass
    assert (turn(shop, 4), turn(shop, 6)) == (None, pytest.approx(0.45, abs=0.1))


def test_a_turn_too_far_away_is_not_taken(shop: Workshop) -> None:
    shop.execute("UPDATE firms SET pace = 0.2")
    waits = [turn(shop, 4) for _ in range(4)]
    assert waits == [0, None, None, None]


def test_workers_at_once_get_turns_of_their_own(shop: Workshop) -> None:
    waits = [wait for wait in all_at_once([lambda: turn(shop)] * 4) if wait is not None]
    assert sorted(waits) == pytest.approx([0, 0.1, 0.2, 0.3], abs=0.09)


def test_the_pace_grows_while_loop_answers_and_halves_when_it_throttles(shop: Workshop) -> None:
    turn(shop)
    for _ in range(4):
        answered(shop)
    assert firm(shop, "pace") == 12
    failed(shop, throttled=True)
    assert firm(shop, "pace") == 6
    shop.time_passes()
    turn(shop)
    assert firm(shop, "pace") == 6
    # Once is enough to be careful: it is a long way back to what was too much.
    for _ in range(40):
        answered(shop)
    assert 10 < firm(shop, "pace") < 12
    for _ in range(400):
        answered(shop)
    assert firm(shop, "pace") == MOST


def test_a_lower_limit_takes_the_pace_down(shop: Workshop) -> None:
    turn(shop)
    with shop.engine.begin() as connection:
        pauses.take_turn(connection, 1, 2.0, 5.0, 4)
    assert firm(shop, "pace") == 5


def test_requests_that_are_throttled_together_count_as_one(shop: Workshop) -> None:
    turn(shop)
    counts = [failed(shop, throttled=True) for _ in range(16)]
    assert counts == [1] * 16
    assert firm(shop, "pace") == 5


def test_failures_in_a_row_are_counted_and_an_answer_forgets_them(shop: Workshop) -> None:
    counts = []
    for _ in range(4):
        counts.append(failed(shop))
        shop.time_passes()
    assert counts == [1, 2, 3, 4]
    answered(shop)
    assert firm(shop, "failures") == 0
    assert failed(shop) == 1


def test_an_answer_to_what_was_sent_before_the_pause_does_not_end_it(shop: Workshop) -> None:
    failed(shop, 57)
    answered(shop)
    assert pause(shop) == pytest.approx(57, abs=1)
    assert firm(shop, "failures") == 1


def test_a_pause_is_never_made_shorter(shop: Workshop) -> None:
    failed(shop, 3600)
    failed(shop, 1)
    assert pause(shop) == pytest.approx(3600, abs=1)


def test_the_pace_never_falls_to_nothing(shop: Workshop) -> None:
    turn(shop)
    for _ in range(40):
        failed(shop, throttled=True)
        shop.time_passes()
    assert firm(shop, "pace") >= 0.1
    assert turn(shop) == 0
