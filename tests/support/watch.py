"""Looks at PostgreSQL whenever Loop is asked: the thread that asks holds no transaction open.

The request is stopped on its way, so its thread waits: a transaction of its own stays as it is for
as long as one looks. What other threads have open moves on by itself.
"""

import contextlib
import datetime as dt
import itertools
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psutil
import psycopg

from support.relay import relaying
from support.simulator import until

# Below the time that a call may take in any test; far above what a transaction needs.
_HOLD_SECONDS = 1.0
_AWAY_SECONDS = 30.0
# A machine that was away for a second shows nothing in one look before and one after.
_LOOKS = 30
# Most of what is open at first is gone by now; whose the rest is takes longer to find out.
_ASK_AT = 10
_OPEN = """
    SELECT pid, client_port, xact_start, state_change, query FROM pg_stat_activity
    WHERE datname = current_database()
    AND state IN ('idle in transaction', 'idle in transaction (aborted)')
"""
_LOCKS = """
    SELECT coalesce(relation::regclass::text, locktype) || ' ' || mode FROM pg_locks
    WHERE pid = %s AND granted ORDER BY 1
"""


class Session(NamedTuple):
    """A session that waits for its client inside a transaction; equal until it does anything."""

    pid: int
    client_port: int
    xact_start: dt.datetime
    state_change: dt.datetime
    query: str


@dataclass(frozen=True, slots=True)
class Violation:
    """`query` is the last statement of the transaction, `locks` what it held: relation and mode."""

    request: str
    query: str
    locks: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.request}: in a transaction after {self.query!r}, with {self.locks}"


@dataclass(slots=True)
class Watch:
    """`url` leads to Loop under the watch's eyes; `requests` counts by route what came that way."""

    database_url: str
    url: str = ""
    requests: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    # For a moment at a time: a request that is held keeps no other one waiting.
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _connection: psycopg.Connection[Any] | None = None

    def look(self, first: bytes, ports: tuple[int, int]) -> None:
        """Hold the request until its sender is seen to have nothing open, or seen to have."""
        line = first.partition(b"\r\n")[0].decode("latin-1")
        try:
            found = [
                Violation(line, session.query, self._locks(session))
                for session in self._stay_open(ports)
            ]
        except (psycopg.Error, TimeoutError) as error:
            found = [Violation(line, f"(nobody could look: {error})", ())]
        route = re.match(r"[A-Z]+ [^ ?]*/([^ /?]+)[ ?]", line)
        with self._lock:
            self.requests[route[1] if route else ""] += 1
            self.violations += found

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _stay_open(self, ports: tuple[int, int]) -> set[Session]:
        left, looks = self._open(), itertools.count(2)
        if not left:
            return left
        deadline = time.monotonic() + _HOLD_SECONDS

        def again() -> bool:
            nonlocal left
            look = next(looks)
            left &= self._open()
            if look == _ASK_AT and left:
                left = self._of_sender(left, ports)
            return not left or (look >= _LOOKS and time.monotonic() > deadline)

        until(again, bool, 60)
        return left

    def _open(self) -> set[Session]:
        return {Session(*row) for row in self._rows(_OPEN)}

    def _of_sender(self, sessions: set[Session], ports: tuple[int, int]) -> set[Session]:
        """Those of the process that sends; the others may wait for as long as they like."""
        owners = _owners()
        # Not asked of the database, which may let nobody in just now.
        sender, port = owners.get(ports), urlsplit(self.database_url).port
        return {
            session
            for session in sessions
            if sender is not None and owners.get((session.client_port, port)) == sender
        }

    def _locks(self, session: Session) -> tuple[str, ...]:
        return tuple(row[0] for row in self._rows(_LOCKS, session.pid))

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Raises: TimeoutError, where the database is away for long."""

        def rows() -> list[tuple[Any, ...]] | None:
            # A test may have cut all sessions, or let none in.
            with contextlib.suppress(psycopg.OperationalError):
                return self._connected().execute(statement, values).fetchall()
            return None

        return until(rows, lambda found: found is not None, _AWAY_SECONDS, every=0.1) or []

    def _connected(self) -> psycopg.Connection[Any]:
        with self._lock:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self.database_url, autocommit=True)
            return self._connection


def _owners() -> dict[tuple[int, int], int | None]:
    """The processes by the ports of their connections, their own first."""
    return {
        (connection.laddr.port, connection.raddr.port): connection.pid
        for connection in psutil.net_connections("tcp4")
        if connection.laddr and connection.raddr
    }


@contextlib.contextmanager
def watching(database_url: str, loop_url: str) -> Iterator[Watch]:
    """A watch on what is asked of `loop_url` by way of its own URL.

    Raises AssertionError at the end of the block: who asked had a transaction open.
    """
    loop = urlsplit(loop_url)
    assert loop.hostname
    assert loop.port
    watch = Watch(database_url)
    with (
        contextlib.closing(watch),
        relaying((loop.hostname, loop.port), watch.look) as relay,
    ):
        watch.url = f"{relay}{loop.path}"
        yield watch
    if watch.violations:
        told = "\n".join(map(str, watch.violations))
        raise AssertionError(f"Loop was asked while a transaction was open:\n{told}")
