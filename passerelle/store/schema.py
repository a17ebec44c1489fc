"""The schema's version, and the way to this one's. Apart, because workers do without Alembic."""

import time

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from passerelle.store.identity import remember


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "migrations:.")
    return config


_POLL_SECONDS = 0.2


def is_newer(engine: Engine) -> bool:
    """Whether the schema is of a version after this one, which this one does not know."""
    current, _ = revisions(engine)
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    return current is not None and current not in known


def upgrade(engine: Engine, lock_seconds: float = 5.0) -> None:
    """Bring the schema to this version. Several at once: the second waits, then does nothing.

    Raises:
        OperationalError: a table could not be locked for so long; the migrations before that one
            are done, and the next call goes on. Workers wait behind who waits for such a lock.
    """
    config = _config()
    with engine.connect() as connection:
        # Not by a statement that waits: an index that is made concurrently would wait for it.
        while not connection.exec_driver_sql(
            "SELECT pg_try_advisory_lock(hashtext('passerelle.migrations'))"
        ).scalar_one():
            connection.commit()
            time.sleep(_POLL_SECONDS)
        connection.exec_driver_sql(f"SET lock_timeout = {round(lock_seconds * 1000)}")
        connection.commit()
        try:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            remember(connection)
            connection.commit()
        finally:
            connection.rollback()
            connection.exec_driver_sql("RESET lock_timeout")
            connection.exec_driver_sql(
                "SELECT pg_advisory_unlock(hashtext('passerelle.migrations'))"
            )
            connection.commit()


def revisions(engine: Engine) -> tuple[str | None, str | None]:
    """The schema's revision in the database, and the one that this version needs."""
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    return current, ScriptDirectory.from_config(_config()).get_current_head()
