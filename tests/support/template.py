"""A migrated database to copy for each test."""

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
