"""People are told how many entries are in each state without all of them being read.

That the numbers are right is asserted wherever a test asks for states (`Workshop.states`).
"""

import pytest
from sqlalchemy import Engine

from passerelle.store import counts
from support.events import purchase
from support.workshop import Workshop

MANY = 5_000
COPIED = (
    "firm_id, folder_id, revision, event_id, occurred_at, entry, fingerprint, line_count, state, "
    "synced_at"
)


@pytest.fixture
def shop(engine: Engine) -> Workshop:
    made = Workshop(engine)
    made.add_firm()
    made.submit(purchase(1))
    made.deliver()
    made.follow_up()
    made.execute(
        f"INSERT INTO entries (entry_id, {COPIED}) "  # noqa: S608 literals
        f"SELECT 'old-' || n, {COPIED} FROM entries, generate_series(1, {MANY}) n"
    )
    made.submit(purchase(2))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM (ANALYZE) entries")
    return made


def test_what_is_settled_is_counted_unread(shop: Workshop, engine: Engine) -> None:
    def read() -> int:
        # A session tells what it counted when it ends.
        engine.dispose()
        [row] = shop.rows(
            "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) AS count FROM pg_stat_user_tables "
            "WHERE relname = 'entries'"
        )
        found: int = row["count"]
        return found

    before = read()
    with engine.connect() as connection:
        assert counts.by_state(connection) == {"synced": MANY + 1, "received": 1}
    assert read() - before < MANY / 10
