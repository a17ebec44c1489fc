"""A lone entry goes at once; what comes close behind a request goes together."""

from sqlalchemy import Engine

from support.events import purchase
from support.rows_read import COPIED, rows_read
from support.workshop import FIRM, FOLDER, Workshop

LONG = 3600.0


def test_a_lone_entry_goes_at_once(engine: Engine) -> None:
    shop = Workshop(engine, gather_seconds=LONG)
    shop.add_firm(FIRM, FOLDER)
    assert shop.submit(purchase(1)).folders
    shop.deliver()
    assert len(shop.told.bodies) == 1


def _behind_a_request(engine: Engine) -> Workshop:
    shop = Workshop(engine, gather_seconds=LONG)
    shop.add_firm(FIRM, FOLDER)
    shop.submit(purchase(1))
    shop.deliver()
    return shop


def test_what_comes_close_behind_gathers_without_a_bell_and_goes_together(engine: Engine) -> None:
    shop = _behind_a_request(engine)
    for number in range(2, 12):
        assert not shop.submit(purchase(number)).folders
        assert shop.deliver() is None
    assert not shop.sweep().folders
    _pass(shop, "61 min")
    assert shop.sweep().folders
    shop.deliver()
    assert [len(pieces) for pieces in shop.told.pieces()] == [1, 10]


# Of an hour's gathering: entries keep coming while the last came within twenty minutes, and gather
# for three hours at most.


def _gathering(engine: Engine) -> Workshop:
    """The time to gather is just over, and an entry has come within it."""
    shop = _behind_a_request(engine)
    shop.submit(purchase(2))
    _pass(shop, "61 min", of_entries="2 min")
    return shop


def _pass(shop: Workshop, time: str, of_entries: str | None = None) -> None:
    """As if so much time had passed; since the last entries came, maybe less."""
    for column in ("gather_until", "gather_limit"):
        shop.execute(f"UPDATE folders SET {column} = {column} - interval '{time}'")  # noqa: S608 literals
    shop.execute(f"UPDATE entries SET due_at = due_at - interval '{of_entries or time}'")  # noqa: S608 idem


def test_while_more_keep_coming_they_gather_on(engine: Engine) -> None:
    shop = _gathering(engine)
    for number in range(3, 8):
        _pass(shop, "19 min")
        shop.submit(purchase(number))
        assert shop.deliver() is None
        assert not shop.sweep().folders
    assert len(shop.told.bodies) == 1
    _pass(shop, "21 min")
    assert shop.sweep().folders
    shop.deliver()
    assert [len(pieces) for pieces in shop.told.pieces()] == [1, 6]


def test_they_gather_for_three_times_as_long_at_most(engine: Engine) -> None:
    shop = _gathering(engine)
    _pass(shop, "118 min")
    shop.submit(purchase(3))
    assert not shop.sweep().folders
    _pass(shop, "2 min")
    shop.submit(purchase(4))
    assert shop.sweep().folders
    shop.deliver()
    assert [len(pieces) for pieces in shop.told.pieces()] == [1, 3]


def test_what_a_request_left_has_gathered_already(engine: Engine) -> None:
    """Of a backlog the last request is not full; nothing more comes, and it need not wait."""
    shop = Workshop(engine, gather_seconds=LONG, batch_lines=6)
    shop.add_firm(FIRM, FOLDER)
    shop.submit(*(purchase(number) for number in range(1, 4)))
    shop.execute("UPDATE entries SET due_at = due_at - interval '61 min'")
    assert shop.deliver() == shop.folder_id()
    shop.deliver()
    assert [len(pieces) for pieces in shop.told.pieces()] == [2, 1]


def test_what_a_request_left_gathers_on_while_more_keep_coming(engine: Engine) -> None:
    shop = Workshop(engine, gather_seconds=LONG, batch_lines=12)
    shop.add_firm(FIRM, FOLDER)
    shop.submit(*(purchase(number) for number in range(1, 6)))
    shop.execute("UPDATE entries SET due_at = due_at - interval '61 min'")
    shop.submit(purchase(6))
    assert shop.deliver() is None
    _pass(shop, "19 min")
    assert not shop.sweep().folders
    _pass(shop, "2 min")
    assert shop.sweep().folders
    shop.deliver()
    assert [len(pieces) for pieces in shop.told.pieces()] == [4, 2]


def test_a_lone_entry_goes_at_once_when_the_time_to_gather_is_over(engine: Engine) -> None:
    shop = _behind_a_request(engine)
    _pass(shop, "61 min")
    assert shop.submit(purchase(2)).folders
    shop.deliver()
    assert [len(pieces) for pieces in shop.told.pieces()] == [1, 1]


def test_a_whole_batch_does_not_wait(engine: Engine) -> None:
    shop = Workshop(engine, gather_seconds=LONG, batch_lines=6)
    shop.add_firm(FIRM, FOLDER)
    shop.submit(*(purchase(number) for number in range(1, 6)))
    assert shop.deliver() == shop.folder_id()
    assert shop.deliver() is None
    assert [len(pieces) for pieces in shop.told.pieces()] == [2, 2]


def test_of_many_that_wait_no_more_is_looked_at_than_fits_a_batch(engine: Engine) -> None:
    shop = _behind_a_request(engine)
    shop.execute(
        f"INSERT INTO entries (entry_id, state, {COPIED}) "  # noqa: S608 literals
        f"SELECT 'due-' || n, 'waiting', {COPIED} FROM entries, generate_series(1, 20000) n"
    )
    before = rows_read(engine)["entries"]
    assert shop.sweep().folders
    shop.deliver()
    assert rows_read(engine)["entries"] - before < 5_000


def test_upkeep_rings_for_a_batch_that_became_whole_while_it_gathered(engine: Engine) -> None:
    """Nobody else does: what waits already was rung for, before it was whole."""
    shop = Workshop(engine, gather_seconds=LONG, batch_lines=6)
    shop.add_firm(FIRM, FOLDER)
    shop.submit(purchase(1))
    shop.deliver()
    shop.submit(purchase(2))
    assert not shop.sweep().folders
    assert not shop.submit(purchase(3)).folders
    assert shop.sweep().folders
    shop.deliver()
    assert [len(pieces) for pieces in shop.told.pieces()] == [1, 2]


def test_a_bell_that_was_heard_is_rung_again_for_what_comes_after(engine: Engine) -> None:
    shop = Workshop(engine)
    shop.add_firm(FIRM, FOLDER)
    shop.submit(purchase(1))
    assert shop.sweep().folders
    shop.deliver()
    shop.submit(purchase(2))
    assert shop.sweep().folders
