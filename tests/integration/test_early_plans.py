"""PostgreSQL keeps the plan that it made for a statement until it counts a table's rows again: what
it made while tables were nearly empty must do when they have filled.
"""

import pytest
from sqlalchemy import Engine, text

from passerelle.store.engine import make_engine
from passerelle.store.planner import analyze_grown
from support.events import purchase
from support.rows_read import COPIED, rows_read
from support.workshop import FIRM, FOLDER, Workshop

MANY = 20_000
TOGETHER = 30
OFTEN = 12
"""So often a session has to run a statement to keep its plan: five times, and five times more."""

# As many in Loop, and as many posted whose end is open.
_FILL = f"""
WITH one AS (SELECT * FROM entries LIMIT 1), synced AS (
    INSERT INTO entries (entry_id, state, synced_at, {COPIED})
    SELECT 'synced-' || n, 'synced', now(), {COPIED} FROM one, generate_series(1, {MANY}) n
), posted AS (
    INSERT INTO entries (entry_id, state, {COPIED})
    SELECT 'posted-' || n, 'posted', {COPIED} FROM one, generate_series(1, {MANY}) n RETURNING *)
INSERT INTO attempts (firm_id, folder_id, entry, entry_id, import_id, lines)
SELECT firm_id, folder_id, id, entry_id, (SELECT max(id) FROM imports),
    jsonb_build_array(jsonb_build_object('ecritureOrigine', entry_id)) FROM posted
"""  # noqa: S608 literals


def _go(shop: Workshop, rounds: range) -> None:
    for number in rounds:
        first = number * TOGETHER
        shop.submit(*(purchase(n) for n in range(first, first + TOGETHER)))
        shop.deliver()
        shop.follow_up()
        shop.sweep()


def test_plans_made_while_tables_were_empty_do_when_they_are_full(
    engine: Engine, database_url: str
) -> None:
    shop = Workshop(engine)
    shop.add_firm(FIRM, FOLDER)
    _go(shop, range(OFTEN))
    # The session, which goes on, tells what it has read until now.
    shop.execute("SELECT pg_stat_force_next_flush()")
    another = make_engine(database_url)
    with another.begin() as connection:
        connection.execute(text(_FILL))
    before = rows_read(another)
    another.dispose()
    # The tables are analyzed at the end of the first round.
    _go(shop, range(OFTEN, OFTEN + 2))
    # Ends the session whose plans these are.
    after = rows_read(engine)
    read = {table: n - before[table] for table, n in after.items()}
    assert {table: n for table, n in read.items() if n > MANY / 2} == {}
    assert shop.states()["synced"] == MANY + (OFTEN + 2) * TOGETHER


def test_a_table_that_has_grown_much_is_analyzed_once(engine: Engine) -> None:
    shop = Workshop(engine)
    shop.add_firm(FIRM, FOLDER)
    _go(shop, range(1))
    assert analyze_grown(engine) == []
    shop.execute(_FILL)
    shop.sweep()
    known = shop.row("SELECT reltuples FROM pg_class WHERE relname = 'entries'")
    assert known["reltuples"] == pytest.approx(2 * MANY, rel=0.1)
    assert analyze_grown(engine) == []


def test_a_table_that_cannot_be_analyzed_harms_nothing(engine: Engine) -> None:
    shop = Workshop(engine)
    shop.add_firm(FIRM, FOLDER)
    _go(shop, range(1))
    shop.execute("CREATE STATISTICS broken ON (1 / (revision - revision)) FROM entries")
    shop.execute(_FILL)
    shop.submit(purchase(TOGETHER))
    assert shop.sweep().folders == (shop.folder_id(),)
    assert analyze_grown(engine) == ["entries"]
