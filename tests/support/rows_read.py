"""Many rows, and how many PostgreSQL has read: for tests of what a statement need not read."""

from sqlalchemy import Engine, text

# Of entries, what many copies of one have in common.
COPIED = "firm_id, folder_id, revision, event_id, occurred_at, entry, fingerprint, line_count"


def vacuum(engine: Engine) -> None:
    """As PostgreSQL does by itself after a while: it knows what is where, and how much."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM (ANALYZE)")


def rows_read(engine: Engine) -> dict[str, int]:
    """Of each table, so far."""
    # A session tells what it counted when it ends.
    engine.dispose()
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) AS n "
                "FROM pg_stat_user_tables"
            )
        )
        return {row.relname: row.n for row in rows}
