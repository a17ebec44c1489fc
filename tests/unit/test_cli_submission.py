"""Promises of submitting many events: order, bounds, and a word on how far it came."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from passerelle.cli.submission import Item, submit_all
from passerelle.domain.errors import PasserelleError

MILLION = 1_000_000


class Door:
    """A door of a test: notes what it took, and fails when told to."""

    def __init__(self, fails_at: int | None = None, error: BaseException | None = None) -> None:
        self.counts = {"events": 0}
        self.parts: list[list[Item]] = []
        self.closed = False
        self._fails_at = fails_at
        self._error = error

    def take(self, items: list[Item]) -> None:
        if len(self.parts) == self._fails_at and self._error is not None:
            raise self._error
        self.parts.append(items)
        self.counts["events"] += len(items)

    def close(self) -> None:
        self.closed = True


def items(*sizes: int) -> list[Item]:
    return [Item(b"x" * size, number) for number, size in enumerate(sizes)]


@given(st.lists(st.integers(1, 3_000) | st.integers(300_000, 2_000_000), max_size=30))
def test_parts_keep_order_and_bounds_and_lose_nothing(sizes: list[int]) -> None:
    door = Door()
    steps: list[int] = []
    submit_all(items(*sizes), door, steps.append)
    assert [item.event for part in door.parts for item in part] == list(range(len(sizes)))
    assert all(
        len(part) == 1 or sum(len(item.body) for item in part) <= MILLION for part in door.parts
    )
    assert sum(steps) == sum(sizes)
    assert door.closed


def test_a_message_has_at_most_a_thousand_events() -> None:
    door = Door()
    submit_all(items(*[2] * 2_001), door, lambda _: None)
    assert [len(part) for part in door.parts] == [1_000, 1_000, 1]


def test_a_part_is_sent_before_the_next_is_read() -> None:
    door = Door()

    def source() -> Iterator[Item]:
        for number in range(10_000):
            assert number - door.counts["events"] <= 1_000
            yield Item(b"{}", number)

    submit_all(source(), door, lambda _: None)
    assert door.counts["events"] == 10_000


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyboardInterrupt(), "Interrupted. 2,000 events"),
        (
            OperationalError("SELECT 1", {}, Exception("gone away\nat noon")),
            "The database does not answer: gone away. 2,000 events",
        ),
        (OSError(5, "Input/output error", "disk"), "disk: Input/output error. 2,000 events"),
    ],
)
def test_what_ends_it_early_is_told_with_how_far_it_came(error: BaseException, told: str) -> None:
    door = Door(fails_at=2, error=error)
    with pytest.raises(PasserelleError) as raised:
        submit_all(items(*[2] * 5_000), door, lambda _: None)
    assert str(raised.value) == (
        f"{told} were submitted before; submitting the same file again is harmless."
    )
    assert not door.closed


def test_an_interruption_between_two_parts_is_told_too() -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(PasserelleError, match=r"Interrupted\. 1,000 events"):
        submit_all(items(*[2] * 1_001), Door(), interrupt)


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        submit_all(items(2), Door(0, ZeroDivisionError()), lambda _: None)
