"""Two ways to find an entry in Loop again, behind one door: engine rules 10, 11 and 13."""

import pytest
from sqlalchemy import Engine

from passerelle.domain.verdict import MOST_ROWS
from support.books import WHOLE_FILTER, Books, Fate
from support.events import JsonObject, purchase
from support.workshop import Workshop

LOST = Fate(answered=False, stored=False)
LOST_AND_STORED = Fate(answered=False)
PIECE = "F-7"


def open_shop(engine: Engine, **options: object) -> tuple[Workshop, Books]:
    """Something is in Loop already."""
    loop = Books()
    shop = Workshop(engine, loop, **options)  # type: ignore[arg-type]
    shop.add_firm()
    shop.submit(purchase(900, piece_ref="F-900"))
    shop.deliver()
    shop.follow_up()
    assert shop.states() == {"synced": 1}
    return shop, loop


def deliver(shop: Workshop, loop: Books, fate: Fate) -> None:
    loop.fate = fate
    shop.time_passes()
    shop.deliver()
    loop.fate = Fate()
    shop.time_passes()


def strategies(shop: Workshop) -> list[str]:
    return [row["strategy"] for row in shop.rows("SELECT strategy FROM questions ORDER BY id")]


def reason_of(shop: Workshop, number: int) -> str | None:
    found: str | None = shop.entry(number)["reason"]
    return found


# Loop keeps no origins.


@pytest.fixture
def forgetful(engine: Engine) -> tuple[Workshop, Books]:
    """A Loop that drops every origin."""
    shop, loop = open_shop(engine)
    loop.forget_origins()
    return shop, loop


def test_where_loop_keeps_no_origins_an_entry_is_found_by_piece(
    forgetful: tuple[Workshop, Books],
) -> None:
    shop, loop = forgetful
    shop.submit(purchase(7, piece_ref=PIECE))
    deliver(shop, loop, LOST_AND_STORED)
    loop.forget_origins()
    shop.ask()
    assert shop.state(7) == "uncertain"
    shop.hours_pass()
    shop.ask()
    assert (shop.state(7), shop.attempts()) == ("synced", ["ended", "ended"])
    assert strategies(shop) == ["origin", "piece"]


def test_where_loop_keeps_no_origins_absence_is_proven_by_piece(
    forgetful: tuple[Workshop, Books],
) -> None:
    shop, loop = forgetful
    shop.submit(purchase(7, piece_ref=PIECE))
    deliver(shop, loop, LOST)
    shop.ask_for_hours()
    assert (shop.state(7), shop.attempts()) == ("waiting", ["ended", "proven_absent"])
    assert strategies(shop)[-1] == "piece"


def test_where_loop_shows_no_control_in_any_way_nothing_is_concluded(
    forgetful: tuple[Workshop, Books],
) -> None:
    shop, loop = forgetful
    loop.booked.clear()
    shop.submit(purchase(7, piece_ref=PIECE))
    deliver(shop, loop, LOST)
    shop.ask_for_hours()
    assert (shop.state(7), shop.attempts()) == ("uncertain", ["ended", None])


@pytest.mark.parametrize("send_origin", [True, False])
@pytest.mark.parametrize("fate", [LOST, LOST_AND_STORED])
def test_where_loop_ignores_the_filter_absence_is_never_believed(
    engine: Engine, fate: Fate, *, send_origin: bool
) -> None:
    shop, loop = open_shop(engine, send_origin=send_origin)
    loop.ignored = WHOLE_FILTER
    shop.submit(purchase(7, piece_ref=PIECE))
    deliver(shop, loop, fate)
    shop.ask_for_hours()
    # What is shown is there, whoever asked for it.
    assert shop.state(7) == ("synced" if fate.stored else "uncertain")
    shop.execute("UPDATE imports SET sent_at = sent_at - interval '25 hours'")
    shop.hours_pass()
    shop.ask()
    if not fate.stored:
        assert (shop.state(7), reason_of(shop, 7)) == ("parked", "undecided")
    assert loop.posts == [1, 1]


@pytest.mark.parametrize("fate", [LOST, LOST_AND_STORED])
def test_where_loop_ignores_the_origin_it_is_asked_by_piece(engine: Engine, fate: Fate) -> None:
    shop, loop = open_shop(engine)
    loop.ignored = {"origin"}
    shop.submit(purchase(7, piece_ref=PIECE))
    deliver(shop, loop, fate)
    shop.ask_for_hours()
    assert shop.state(7) == ("synced" if fate.stored else "waiting")


@pytest.mark.parametrize("lines", [1, 3])
def test_what_failed_and_landed_without_its_origin_is_left_to_a_person(
    engine: Engine, lines: int
) -> None:
    """Sent again, it would be there twice, in part or as a whole."""
    shop, loop = open_shop(engine)
    shop.submit(purchase(7, piece_ref=PIECE))
    deliver(shop, loop, Fate(failing=1, origin=False))
    del loop.booked[-3:-lines]
    shop.follow_up()
    shop.execute("UPDATE imports SET ended_at = ended_at - interval '61 s' WHERE status = 4")
    shop.ask()
    assert (shop.state(7), reason_of(shop, 7)) == ("parked", "undecided")


# By piece from the start.


def test_by_piece_no_origin_is_sent_and_what_is_there_is_found(engine: Engine) -> None:
    shop, loop = open_shop(engine, send_origin=False)
    shop.submit(purchase(7, piece_ref=PIECE))
    deliver(shop, loop, LOST_AND_STORED)
    assert all("ecritureOrigine" not in line for line in loop.booked)
    shop.ask()
    assert (shop.state(7), strategies(shop)) == ("synced", ["piece"])


def test_by_piece_absence_needs_all_that_it_needs_by_origin(engine: Engine) -> None:
    shop, loop = open_shop(engine, send_origin=False)
    shop.submit(purchase(7, piece_ref=PIECE))
    deliver(shop, loop, LOST)
    shop.ask()
    assert shop.state(7) == "uncertain"
    shop.hours_pass()
    shop.ask()
    assert shop.state(7) == "uncertain"
    shop.hours_pass()
    shop.ask()
    assert (shop.state(7), shop.attempts()) == ("waiting", ["ended", "proven_absent"])
    shop.deliver()
    shop.follow_up()
    assert (shop.state(7), loop.posts) == ("synced", [1, 1, 1])
    # It is no twin of itself.
    assert shop.rows("SELECT FROM attempts WHERE count_before IS NOT NULL") == []


# Twins: nobody can tell them apart by piece.


def twins(*numbers: int) -> list[JsonObject]:
    return [purchase(number, piece_ref=PIECE) for number in numbers]


@pytest.fixture
def by_piece(engine: Engine) -> tuple[Workshop, Books]:
    return open_shop(engine, send_origin=False)


def count_before(shop: Workshop, number: int) -> int | None:
    [row] = shop.rows(
        "SELECT count_before FROM attempts WHERE entry = :entry", entry=shop.entry(number)["id"]
    )
    found: int | None = row["count_before"]
    return found


def test_twins_are_never_on_their_way_together(by_piece: tuple[Workshop, Books]) -> None:
    shop, loop = by_piece
    shop.submit(*twins(1, 2, 3), purchase(4, piece_ref="F-4"))
    deliver(shop, loop, LOST_AND_STORED)
    # One of them, and what has none.
    assert loop.posts == [1, 2]
    assert shop.states() == {"synced": 1, "uncertain": 2, "waiting": 2}
    assert not shop.deliver()
    shop.ask()
    assert shop.states() == {"synced": 3, "waiting": 2}
    deliver(shop, loop, LOST_AND_STORED)
    assert (loop.posts, shop.states()) == ([1, 2, 1], {"synced": 3, "uncertain": 1, "waiting": 1})


@pytest.mark.parametrize("fate", [LOST, LOST_AND_STORED])
def test_of_a_twin_it_is_counted_before_how_often_it_is_there(
    by_piece: tuple[Workshop, Books], fate: Fate
) -> None:
    shop, loop = by_piece
    shop.submit(*twins(1))
    shop.deliver()
    shop.follow_up()
    shop.submit(*twins(2))
    deliver(shop, loop, fate)
    assert (count_before(shop, 1), count_before(shop, 2)) == (None, 1)
    shop.ask_for_hours()
    # The one that is there is not taken for the other.
    assert shop.state(2) == ("synced" if fate.stored else "waiting")
    shop.deliver()
    shop.follow_up()
    assert shop.states() == {"synced": 3}
    assert len([line for line in loop.booked if line["refPiece"] == PIECE]) == 6


def test_a_twin_of_an_accountants_makes_it_undecided(by_piece: tuple[Workshop, Books]) -> None:
    shop, loop = by_piece
    shop.submit(*twins(1))
    shop.deliver()
    shop.follow_up()
    shop.submit(*twins(2))
    deliver(shop, loop, LOST_AND_STORED)
    loop.booked += [line for line in loop.booked if line["refPiece"] == PIECE][:3]
    for _ in range(2):
        shop.hours_pass()
        shop.ask()
    assert (shop.state(2), reason_of(shop, 2)) == ("parked", "undecided")
    assert shop.attempts()[-1] is None


def test_what_cannot_be_counted_is_sent_and_never_mistaken(
    by_piece: tuple[Workshop, Books],
) -> None:
    """Somebody deleted the twin: its return would look like the entry."""
    shop, loop = by_piece
    shop.submit(*twins(1))
    shop.deliver()
    shop.follow_up()
    kept = [line for line in loop.booked if line["refPiece"] == PIECE]
    loop.booked = [line for line in loop.booked if line["refPiece"] != PIECE]
    shop.submit(*twins(2))
    deliver(shop, loop, LOST)
    assert count_before(shop, 2) is None
    loop.booked += kept
    shop.ask_for_hours()
    assert (shop.state(2), reason_of(shop, 2)) == ("parked", "undecided")


def test_a_twin_waits_where_loop_does_not_say_how_many_there_are(
    by_piece: tuple[Workshop, Books],
) -> None:
    shop, loop = by_piece
    shop.submit(*twins(1), purchase(5, piece_ref="F-5"))
    shop.deliver()
    shop.follow_up()
    shop.submit(*twins(2), purchase(6, piece_ref="F-5"), purchase(4, piece_ref="F-4"))
    loop.down, loop.reads = True, 0
    deliver(shop, loop, Fate())
    # Asked once is enough to know that it does not say; and what is down is not sent to.
    assert (shop.states()["waiting"], loop.posts, loop.reads) == (3, [1, 2], 1)
    loop.down = False
    shop.execute("UPDATE firms SET paused_until = NULL")
    deliver(shop, loop, Fate())
    assert (shop.state(2), shop.state(4)) == ("posted", "posted")


def test_twins_that_carry_an_origin_are_told_apart_by_it(engine: Engine) -> None:
    shop, loop = open_shop(engine)
    shop.submit(*twins(1))
    shop.deliver()
    shop.follow_up()
    shop.submit(*twins(2))
    deliver(shop, loop, LOST)
    shop.ask_for_hours()
    # The twin stands under its piece, but it is known whose it is.
    assert (shop.state(2), shop.attempts()[-1]) == ("waiting", "proven_absent")


# An answer of 100 rows may not be all.


def long_entry(number: int, lines: int, accounts: int) -> JsonObject:
    """Each line moves one cent more than the one before; the last balances them."""
    event = purchase(number, piece_ref=PIECE)
    parts = [
        {
            "account": f"{606000 + line % accounts}",
            "description": "Achats",
            "debit": f"{line + 1}.00",
            "credit": "0.00",
        }
        for line in range(lines - 1)
    ]
    total = {"account": "401000", "description": "F", "debit": "0.00"}
    total["credit"] = f"{(lines - 1) * lines // 2}.00"
    entry = {**event["entry"], "lines": [*parts, total]}
    return {**event, "entry": entry}


@pytest.mark.parametrize("send_origin", [True, False])
def test_an_entry_of_many_lines_is_found_account_by_account(
    engine: Engine, *, send_origin: bool
) -> None:
    shop, loop = open_shop(engine, send_origin=send_origin)
    shop.submit(long_entry(7, 2 * MOST_ROWS, accounts=5))
    deliver(shop, loop, LOST_AND_STORED)
    shop.ask()
    assert shop.state(7) == "synced"


def test_where_loop_ignores_the_origin_an_account_is_narrowed_by_journal_and_date(
    engine: Engine,
) -> None:
    """More lines than it can show stand on one of its accounts."""
    shop, loop = open_shop(engine)
    for number in range(MOST_ROWS):
        shop.submit(purchase(number, piece_ref=f"F-{100 + number}"))
    shop.deliver_all()
    shop.follow_up()
    shop.submit(purchase(700, piece_ref=PIECE))
    deliver(shop, loop, LOST_AND_STORED)
    loop.ignored = {"origin"}
    shop.ask()
    assert (shop.state(700), strategies(shop)) == ("synced", ["origin"])


def test_what_was_not_asked_for_does_not_count_twice(engine: Engine) -> None:
    """Asked account by account, a Loop that ignores accounts shows the same lines each time."""
    shop, loop = open_shop(engine)
    shop.submit(long_entry(7, MOST_ROWS, accounts=3))
    deliver(shop, loop, LOST_AND_STORED)
    loop.ignored = {"account"}
    shop.ask()
    assert shop.state(7) == "synced"
    assert shop.cases() == []


def test_where_one_account_has_too_many_lines_nothing_is_concluded(engine: Engine) -> None:
    shop, loop = open_shop(engine)
    shop.submit(long_entry(7, 2 * MOST_ROWS, accounts=1))
    deliver(shop, loop, LOST_AND_STORED)
    shop.ask_for_hours()
    assert (shop.state(7), shop.attempts()[-1]) == ("uncertain", None)
    shop.execute("UPDATE imports SET sent_at = sent_at - interval '25 hours'")
    shop.hours_pass()
    shop.ask()
    assert (shop.state(7), reason_of(shop, 7)) == ("parked", "undecided")


def test_lines_that_stand_under_its_piece_by_the_hundred_hide_no_absence(engine: Engine) -> None:
    """Another entry of as many lines has its piece: whether its own are there is not shown."""
    shop, loop = open_shop(engine, send_origin=False)
    shop.submit(long_entry(6, MOST_ROWS, accounts=3))
    shop.deliver()
    shop.follow_up()
    shop.submit(purchase(7, piece_ref=PIECE))
    deliver(shop, loop, LOST)
    shop.ask_for_hours()
    assert shop.state(7) == "uncertain"


# What was sent twice is read again by piece, too.


@pytest.mark.parametrize(("send_origin", "kept"), [(False, True), (True, False)])
def test_what_landed_twice_and_once_without_an_origin_is_told(
    engine: Engine, *, send_origin: bool, kept: bool
) -> None:
    shop, loop = open_shop(engine, send_origin=send_origin)
    shop.submit(purchase(7, piece_ref=PIECE))
    deliver(shop, loop, Fate(answered=False, late=True, origin=kept))
    shop.ask_for_hours()
    deliver(shop, loop, Fate())
    shop.follow_up()
    assert (shop.state(7), shop.cases()) == ("synced", [])
    # Later than anybody waits.
    loop.land()
    shop.ask()
    assert shop.cases() == [("entry", "landed_twice", "open")]


def test_a_twin_is_not_taken_for_a_second_landing(by_piece: tuple[Workshop, Books]) -> None:
    shop, loop = by_piece
    shop.submit(*twins(1))
    deliver(shop, loop, LOST)
    shop.ask_for_hours()
    deliver(shop, loop, Fate())
    shop.follow_up()
    shop.submit(*twins(2))
    deliver(shop, loop, Fate())
    shop.follow_up()
    assert shop.states() == {"synced": 3}
    shop.ask()
    assert shop.cases() == []
