"""What Loop calls done is checked by reading samples: engine rule 14."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from passerelle.domain.outcome import Answer, Sort
from passerelle.domain.verdict import Row
from passerelle.followup import spread
from support.books import Books
from support.events import purchase
from support.workshop import AGAIN, FIRM, FOLDER, THROTTLED, UNKNOWN, Workshop, shown

UNREADABLE = Answer(Sort.UNKNOWN, "Loop's entries cannot be read.", 200)
DOWN = Answer(Sort.UNKNOWN, "HTTP 503", 503, down=True)


@pytest.fixture
def shop(engine: Engine) -> Workshop:
    """Six entries of a folder's first import, which Loop calls done."""
    made = Workshop(engine, first_samples=3)
    made.add_firm()
    made.submit(*(purchase(number, piece_ref=f"F-{number}") for number in range(6)))
    made.deliver()
    made.follow_up()
    return made


def lines_of(shop: Workshop, number: int) -> list[dict[str, object]]:
    [attempt] = shop.rows(
        "SELECT lines FROM attempts WHERE entry = :entry AND closed_at IS NULL",
        entry=shop.entry(number)["id"],
    )
    found: list[dict[str, object]] = attempt["lines"]
    return found


def books_of(shop: Workshop, numbers: Sequence[int], **changes: str) -> dict[str, list[Row]]:
    """What Loop shows by the origins of these entries."""
    return {
        str(lines[0]["ecritureOrigine"]): shown(lines, **changes)
        for lines in (lines_of(shop, number) for number in numbers)
    }


def test_nothing_of_a_folders_first_import_is_synced_before_three_of_it_were_read(
    shop: Workshop,
) -> None:
    assert shop.states() == {"posted": 6}
    shop.told.books = books_of(shop, range(6))
    [bell] = shop.sweep().entries
    assert len(bell) == 3
    shop.told.asked.clear()
    shop.asking.ask(bell[:2])
    assert (shop.states(), shop.attempts()) == ({"posted": 6}, [None] * 6)
    shop.asking.ask(bell)
    assert (shop.states(), shop.attempts()) == ({"synced": 6}, ["ended"] * 6)
    assert len(shop.told.asked) == 3
    assert shop.sweep().entries == ()
    assert [row["strategy"] for row in shop.rows("SELECT strategy FROM questions")] == (
        ["origin"] * 3
    )


def test_if_one_is_not_there_each_of_the_import_is_read_before_it_is_synced(
    shop: Workshop,
) -> None:
    """An import that Loop calls done and that it worked off in part."""
    shop.told.books = books_of(shop, range(1, 6))
    shop.ask()
    assert shop.states() == {"uncertain": 6}
    assert shop.rows("SELECT FROM entries WHERE read_again_at IS NOT NULL") == []
    shop.ask()
    assert (shop.states(), shop.state(0)) == ({"synced": 5, "uncertain": 1}, "uncertain")
    assert len(shop.told.bodies) == 1


def test_what_comes_into_sight_late_is_found_all_the_same(shop: Workshop) -> None:
    books = books_of(shop, range(6))
    shop.ask()
    assert shop.states() == {"uncertain": 6}
    shop.told.books = books
    shop.ask()
    assert shop.states() == {"synced": 6}


def test_what_landed_differently_is_parked_and_holds_its_folder(shop: Workshop) -> None:
    shop.told.books = books_of(shop, range(6), tiers="ATTENTE")
    for _ in range(3):
        shop.ask()
    # The first holds the folder; the others are read all the same.
    assert shop.states() == {"parked": 6}
    assert {row["reason"] for row in shop.rows("SELECT reason FROM entries")} == {
        "landed_differently"
    }
    assert shop.cases() == [("folder", "landed_differently", "open")]
    shop.submit(purchase(7))
    assert shop.state(7) == "parked"


def test_where_loop_keeps_no_origins_the_samples_are_found_by_piece(shop: Workshop) -> None:
    shop.told.by_piece = [replace(row, origin=None) for row in shown(lines_of(shop, 0))]
    shop.sweep()
    shop.asking.ask([shop.entry(0)["id"]])
    assert shop.states() == {"posted": 6}
    [question] = shop.rows("SELECT strategy, verdict FROM questions")
    assert (question["strategy"], question["verdict"]) == ("piece", "present")


def test_where_loop_keeps_no_origins_the_others_of_the_import_are_found_at_once(
    engine: Engine,
) -> None:
    loop = Books()
    shop = Workshop(engine, loop, first_samples=3)
    shop.add_firm()
    shop.submit(*(purchase(number, piece_ref=f"F-{number}") for number in range(6)))
    shop.deliver()
    shop.follow_up()
    loop.forget_origins()
    loop.booked = [line for line in loop.booked if line["refPiece"] != "F-0"]
    shop.ask()
    assert shop.states() == {"uncertain": 6}
    shop.ask()
    assert (shop.states(), shop.state(0)) == ({"synced": 5, "uncertain": 1}, "uncertain")


def test_what_cannot_be_told_speaks_against_nobody(shop: Workshop) -> None:
    """Loop ignores the filter: what it calls done is believed, as it is without samples."""
    other = [replace(row, origin="other", place=None) for row in shown(lines_of(shop, 0))]
    shop.told.found, shop.told.by_piece = [other], other
    shop.ask()
    assert shop.states() == {"synced": 6}


def test_what_nobody_can_read_speaks_against_nobody(shop: Workshop) -> None:
    shop.told.found = [UNREADABLE]
    shop.ask()
    assert shop.states() == {"synced": 6}


@pytest.mark.parametrize("answer", [AGAIN, DOWN, THROTTLED])
def test_without_an_answer_for_a_day_what_loop_said_is_believed(
    shop: Workshop, answer: Answer
) -> None:
    shop.told.found = [answer]
    for _ in range(3):
        shop.time_passes()
        shop.ask()
    assert shop.states() == {"posted": 6}
    shop.execute("UPDATE imports SET sent_at = sent_at - interval '25 hours'")
    for _ in range(3):
        shop.time_passes()
        shop.ask()
    assert shop.states() == {"synced": 6}


def test_a_person_who_settles_the_last_sample_lets_the_others_go_on(shop: Workshop) -> None:
    shop.told.books = books_of(shop, range(6))
    [bell] = shop.sweep().entries
    shop.asking.ask(bell[1:])
    assert shop.states() == {"posted": 6}
    shop.settling.settle(bell[0], in_loop=True, who="me", why="looked it up")
    assert shop.states() == {"synced": 6}


def test_without_an_answer_samples_are_read_later(shop: Workshop) -> None:
    books = books_of(shop, range(6))
    shop.told.found = [AGAIN]
    shop.ask()
    assert shop.states() == {"posted": 6}
    wait = "SELECT extract(epoch FROM max(read_again_at) - now())::float AS wait FROM entries"
    assert shop.row(wait)["wait"] == pytest.approx(20, abs=1)
    shop.told.books = books
    shop.time_passes()
    shop.ask()
    assert shop.states() == {"synced": 6}


def test_what_was_not_read_yet_is_no_control(shop: Workshop) -> None:
    """Loop calls an import done; that it keeps and shows what it has is not known by that."""
    books = books_of(shop, range(6))
    shop.told.answers = [UNKNOWN]
    shop.submit(purchase(7, piece_ref="F-7"))
    shop.deliver()
    shop.told.books = books
    shop.time_passes()
    shop.execute("UPDATE entries SET read_again_at = NULL")
    for _ in range(3):
        shop.execute("UPDATE imports SET settled_seconds = 1e6")
        shop.execute("UPDATE attempts SET absent_at = absent_at - interval '61 s'")
        shop.ask()
    assert shop.state(7) == "uncertain"


def test_a_sample_that_is_there_twice_is_told(shop: Workshop) -> None:
    books = books_of(shop, range(6))
    shop.told.books = {origin: rows * 2 for origin, rows in books.items()}
    shop.ask()
    assert shop.states() == {"synced": 6}
    assert shop.cases() == [("entry", "landed_twice", "open")] * 3


def test_the_first_import_is_the_first_of_its_folder(engine: Engine) -> None:
    shop = Workshop(engine, first_samples=3)
    shop.add_firm(FIRM, FOLDER, "DEMO000002")
    for number, folder in ((1, FOLDER), (2, "DEMO000002")):
        shop.submit(purchase(number, folder=folder))
        shop.deliver(folder)
        shop.follow_up()
        assert shop.state(number) == "posted"
    shop.told.books = books_of(shop, (1, 2))
    shop.ask()
    assert shop.states() == {"synced": 2}
    shop.submit(purchase(3))
    shop.deliver()
    shop.follow_up()
    assert shop.states() == {"synced": 3}


@pytest.mark.parametrize(
    ("verify", "chance", "posted"), [(0, 0.0, 0), (20, 0.049, 4), (20, 0.05, 0), (1, 0.999, 4)]
)
def test_later_one_entry_in_so_many_imports_is_read(
    engine: Engine, verify: int, chance: float, posted: int
) -> None:
    shop = Workshop(engine, first_samples=0, verify=verify, chance=lambda: chance)
    shop.add_firm()
    shop.submit(purchase(1))
    shop.deliver()
    shop.follow_up()
    # The folder's first import is another matter.
    assert shop.states() == {"synced": 1}
    shop.submit(*(purchase(number) for number in range(2, 6)))
    shop.deliver()
    shop.follow_up()
    assert shop.states() == ({"synced": 1, "posted": 4} if posted else {"synced": 5})
    assert sum(map(len, shop.sweep().entries)) == (1 if posted else 0)


@pytest.mark.parametrize(
    ("entries", "most", "chosen"),
    [(0, 3, []), (1, 3, [0]), (3, 3, [0, 1, 2]), (6, 3, [0, 2, 4]), (100, 3, [0, 34, 68])],
)
def test_samples_are_spread(entries: int, most: int, chosen: list[int]) -> None:
    assert spread(range(entries), most) == chosen
