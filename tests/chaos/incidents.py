"""What befalls the broker and the database while a trial is at work."""

import contextlib
import time
from collections.abc import Callable

import psutil
import psycopg
from sqlalchemy.exc import OperationalError

from chaos.elsewhere import Elsewhere
from support.broker import Broker
from support.servers import Servers
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
# The same to a server that is not the trial's own, which nobody may stop, fill or crash: the way to
# the broker is shut, or everything on it stands still.
ELSEWHERE = {"broker_flushed": 0.0, "broker_cut": 0.5, "broker_frozen": 4.0}
_CRASH = "database_crashed"


def possible(servers: Servers) -> list[str]:
    """What may befall these servers."""
    kinds = list(INCIDENTS)
    if servers.postgres_is == "named":
        kinds.remove(_CRASH)
    if servers.broker_is == "named":
        kinds = [*ELSEWHERE, *(kind for kind in kinds if kind.startswith("database"))]
    return kinds


class Incidents:
    def __init__(self, stack: Stack, servers: Servers, broker: Broker | Elsewhere) -> None:
        self._stack = stack
        self._servers = servers
        self._broker = broker

    def happen(self, kind: str) -> None:
        """It is over when this returns."""
        begin, end = self._acts(kind)
        begin()
        over = time.monotonic() + (INCIDENTS | ELSEWHERE)[kind]
        until(lambda: time.monotonic() >= over, bool, 60)
        end()
        # A session of before may answer once more before the server has ended it.
        self._stack.engine.dispose()
        until(self._database_answers, bool, 60)

    def _acts(self, kind: str) -> tuple[Callable[[], None], Callable[[], None]]:
        servers = self._servers
        url = self._stack.env["PASSERELLE_DATABASE_URL"]
        return {
            **_of_broker(self._broker),
            "database_cut": (lambda: servers.cut(url), _nothing),
            "database_refusing": (
                lambda: servers.alter(url, "ALLOW_CONNECTIONS false"),
                lambda: servers.alter(url, "ALLOW_CONNECTIONS true"),
            ),
            _CRASH: (self._crash, _nothing),
        }[kind]

    def _crash(self) -> None:
        """One backend is killed, and the server ends all and recovers from its log."""
        with (
            contextlib.suppress(psycopg.OperationalError),
            psycopg.connect(self._servers.postgres_url) as victim,
            psycopg.connect(self._servers.postgres_url) as other,
        ):
            psutil.Process(victim.info.backend_pid).kill()
            # The server notices a little later; until then it answers.
            until(lambda: other.execute("SELECT 1"), lambda _: False, 60)

    def _database_answers(self) -> bool:
        with contextlib.suppress(OperationalError):
            return bool(self._stack.rows("SELECT 1"))
        return False


def _of_broker(
    broker: Broker | Elsewhere,
) -> dict[str, tuple[Callable[[], None], Callable[[], None]]]:
    if isinstance(broker, Elsewhere):
        return {
            "broker_flushed": (broker.flush, _nothing),
            "broker_cut": (broker.gate.shut, broker.gate.open),
            "broker_frozen": (broker.gate.freeze, broker.gate.thaw),
        }
    return {
        "broker_flushed": (broker.flush, _nothing),
        "broker_killed": (broker.kill, broker.start),
        "broker_replaced": (broker.kill, broker.start_empty),
        "broker_frozen": (broker.freeze, broker.thaw),
        "broker_refusing": (broker.refuse, broker.accept),
        "broker_full": (broker.fill, broker.clear),
    }


def _nothing() -> None:
    pass
