"""A migrated database to copy, and copies that the next test gets as the first one had them."""

import psycopg
from psycopg import sql

from passerelle.store.engine import make_engine
from passerelle.store.schema import upgrade
from support.servers import Servers, database_name


def make_template(servers: Servers) -> str:
    """The name of a migrated database that nobody is connected to.

    A copy of it is another database than it is, so each has to remember itself at its first use.
    """
    url = servers.create_database()
    engine = make_engine(url)
    upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM database_identity")
    engine.dispose()
    return database_name(url)


# Whatever a test may have made, altered or grown large; the tables' own growth counts by the page.
_SHAPE = """
SELECT (SELECT version_num FROM alembic_version),
       (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_proc),
       (SELECT count(*) FROM pg_trigger), (SELECT count(*) FROM pg_attribute),
       (SELECT count(*) FROM pg_constraint),
       (SELECT count(*) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
        WHERE d.datname = current_database()),
       (SELECT datallowconn AND datconnlimit = -1 FROM pg_database
        WHERE datname = current_database())
"""
_PAGES = """
SELECT coalesce(sum(pg_relation_size(oid)), 0) / 8192 FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
"""
_MOST_PAGES = 100


class Spares:
    """Databases of tests that are over, emptied: a copy of the template takes ten times as long."""

    def __init__(self, servers: Servers, template: str) -> None:
        self._servers = servers
        self._template = template
        self._free: list[str] = []
        self._shape: tuple[object, ...] | None = None

    def take(self) -> str:
        """The URL of a migrated, empty database."""
        if self._free:
            return self._free.pop()
        url = self._servers.create_database(template=self._template)
        if self._shape is None:
            with psycopg.connect(url) as connection:
                self._shape = connection.execute(_SHAPE).fetchone()
        return url

    def give_back(self, url: str) -> None:
        """Whoever is still connected is cut off; what cannot be emptied is dropped."""
        try:
            self._servers.cut(url)
            with psycopg.connect(url) as connection:
                reusable = self._empty(connection)
        except psycopg.Error:
            reusable = False
        if reusable:
            self._free.append(url)
        else:
            self._servers.drop_database(url)

    def _empty(self, connection: psycopg.Connection) -> bool:
        pages = connection.execute(_PAGES).fetchone()
        if connection.execute(_SHAPE).fetchone() != self._shape or pages is None:
            return False
        if pages[0] > _MOST_PAGES:
            return False
        # Without looking at foreign keys, which all of it together keeps.
        connection.execute("SET session_replication_role = replica")
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' "
            "AND tablename <> 'alembic_version'"
        ).fetchall()
        for (table,) in tables:
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        connection.execute("SELECT setval(seqrelid, 1, false) FROM pg_sequence")
        connection.execute("INSERT INTO outages (id) VALUES (1)")
        return True
