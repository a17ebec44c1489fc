"""The schema's version, and the way to this one's. Apart, because workers do without Alembic."""

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


def upgrade(engine: Engine) -> None:
    """Bring the schema to this version. Several at once: the second waits, then does nothing."""
    config = _config()
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_lock(hashtext('passerelle.migrations'))")
        connection.commit()
        try:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            remember(connection)
            connection.commit()
        finally:
            connection.rollback()
            connection.exec_driver_sql(
                "SELECT pg_advisory_unlock(hashtext('passerelle.migrations'))"
            )
            connection.commit()


def revisions(engine: Engine) -> tuple[str | None, str | None]:
    """The schema's revision in the database, and the one that this version needs."""
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    return current, ScriptDirectory.from_config(_config()).get_current_head()
