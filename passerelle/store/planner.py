"""Statistics for PostgreSQL's planner, which keeps what it planned for a table of a few rows."""

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from passerelle.observe import log

# Twice as large as when they were last analyzed, once they are more than a few pages. Who owns a
# table may analyze it; to anybody else the server only says that it does not.
_GROWN = text("""
SELECT c.oid::regclass::text FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
  AND pg_has_role(c.relowner, 'USAGE') AND pg_relation_size(c.oid)
    > 2 * current_setting('block_size')::bigint * greatest(c.relpages, 10)
""")


def analyze_grown(engine: Engine) -> list[str]:
    """Analyze the schema's tables that have grown much; which they were.

    PostgreSQL does it by itself once a minute at best: in the first minutes of a database, or after
    a restore, statements would go through whole tables meanwhile. A table that cannot be analyzed
    is left to PostgreSQL.
    """
    with engine.begin() as connection:
        grown = list(connection.execute(_GROWN).scalars())
    for table in grown:
        try:
            with engine.begin() as connection:
                connection.exec_driver_sql(f"ANALYZE (SKIP_LOCKED) {table}")
        except DBAPIError as error:
            log.warning("not analyzed", table=table, error=type(error.orig).__name__)
    return grown
