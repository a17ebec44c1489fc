"""A lone entry goes at once; what comes close behind a request goes together."""

from sqlalchemy import Engine

from support.events import purchase
from support.workshop import FIRM, FOLDER, Workshop

LONG = 3600.0


def test_a_lone_entry_goes_at_once(engine: Engine) -> None:
    shop = Workshop(engine, gather_seconds=LONG)
    shop.add_firm(FIRM, FOLDER)
    assert shop.submit(purchase(1)).folders
    shop.deliver()
    assert len(shop.told.bodies) == 1


def test_what_comes_close_behind_gathers_without_a_bell_and_goes_together(engine: Engine) -> None:
    shop = Workshop(engine, gather_seconds=LONG)
    shop.add_firm(FIRM, FOLDER)
    shop.submit(purchase(1))
    shop.deliver()
    for number in range(2, 12):
        assert not shop.submit(purchase(number)).folders
        assert shop.deliver() is None
    assert not shop.sweep().folders
    shop.execute("UPDATE folders SET gather_until = now()")
    assert shop.sweep().folders
    shop.deliver()
    assert [len(pieces) for pieces in shop.told.pieces()] == [1, 10]


def test_a_whole_batch_does_not_wait(engine: Engine) -> None:
    shop = Workshop(engine, gather_seconds=LONG, batch_lines=6)
    shop.add_firm(FIRM, FOLDER)
    shop.submit(*(purchase(number) for number in range(1, 6)))
    assert shop.deliver() == shop.folder_id()
    assert shop.deliver() is None
    assert [len(pieces) for pieces in shop.told.pieces()] == [2, 2]


def test_a_bell_that_was_heard_is_rung_again_for_what_comes_after(engine: Engine) -> None:
    shop = Workshop(engine)
    shop.add_firm(FIRM, FOLDER)
    shop.submit(purchase(1))
    assert shop.sweep().folders
    shop.deliver()
    shop.submit(purchase(2))
    assert shop.sweep().folders
