"""What befalls the broker and the database while a trial is at work."""

import contextlib
import time
from collections.abc import Callable

import psutil
import psycopg
from psycopg import sql
from sqlalchemy.exc import OperationalError

from support.broker import Broker
from support.servers import Servers, database_name
from support.simulator import until
from support.stack import Stack

# By kind, how many seconds it lasts; workers try again after some more.
INCIDENTS = {
    "broker_flushed": 0.0,
    "broker_killed": 0.5,
    "broker_replaced": 0.5,
    "broker_frozen": 4.0,
    "broker_refusing": 2.0,
    "broker_full": 2.0,
    "database_cut": 0.0,
    "database_refusing": 3.0,
    "database_crashed": 0.0,
}


class Incidents:
    def __init__(self, stack: Stack, servers: Servers, broker: Broker) -> None:
        self._stack = stack
        self._servers = servers
        self._broker = broker

    def happen(self, kind: str) -> None:
        """It is over when this returns."""
        begin, end = self._acts(kind)
        begin()
        over = time.monotonic() + INCIDENTS[kind]
        until(lambda: time.monotonic() >= over, bool, 60)
        end()
        until(self._database_answers, bool, 60)

    def _acts(self, kind: str) -> tuple[Callable[[], None], Callable[[], None]]:
        broker = self._broker
        return {
            "broker_flushed": (broker.flush, _nothing),
            "broker_killed": (broker.kill, broker.start),
            "broker_replaced": (broker.kill, broker.start_empty),
            "broker_frozen": (broker.freeze, broker.thaw),
            "broker_refusing": (broker.refuse, broker.accept),
            "broker_full": (broker.fill, broker.clear),
            "database_cut": (self._cut, _nothing),
            "database_refusing": (self._refuse, lambda: self._allow("true")),
            "database_crashed": (self._crash, _nothing),
        }[kind]

    def _crash(self) -> None:
        """One backend is killed, and the server ends all and recovers from its log."""
        with contextlib.suppress(psycopg.OperationalError), self._administrator() as connection:
            psutil.Process(connection.info.backend_pid).kill()
            connection.execute("SELECT 1")

    def _refuse(self) -> None:
        self._allow("false")
        self._cut()

    def _cut(self) -> None:
        with self._administrator() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [self._name],
            )

    def _allow(self, connections: str) -> None:
        with self._administrator() as connection:
            connection.execute(
                sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(
                    sql.Identifier(self._name), sql.SQL(connections)
                )
            )

    @property
    def _name(self) -> str:
        return database_name(self._stack.env["PASSERELLE_DATABASE_URL"])

    def _administrator(self) -> psycopg.Connection:
        return psycopg.connect(self._servers.postgres_url, autocommit=True)

    def _database_answers(self) -> bool:
        with contextlib.suppress(OperationalError):
            return bool(self._stack.rows("SELECT 1"))
        return False


def _nothing() -> None:
    pass
