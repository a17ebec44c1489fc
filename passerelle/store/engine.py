"""The connection pool, made after a worker's fork."""

import time
from collections.abc import Callable
from typing import TypeVar

from psycopg import errors
from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import IntegrityError, OperationalError

T = TypeVar("T")


def make_engine(database_url: str, pool_size: int = 5) -> Engine:
    """An engine on PostgreSQL through psycopg 3; sessions speak UTC.

    A dead server is noticed within about half a minute instead of never: connections are
    checked when taken from the pool and kept alive below it. The one that came back last is taken
    first: it has most statements prepared. Read with `begin`, too: behind a rollback, with which
    `connect` ends, psycopg forgets them.
    """
    engine = create_engine(
        make_url(database_url).set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        pool_use_lifo=True,
        # An error's text never shows what was stored.
        hide_parameters=True,
        connect_args={
            "connect_timeout": 5,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
            "application_name": "passerelle",
            # A server that became a standby counts as away, rather than as one that refuses what
            # is written to it.
            "target_session_attrs": "read-write",
            # What was committed stays, whatever the server's or the role's default; a writer that
            # hangs would hold rows for ever.
            "options": "-c timezone=UTC -c synchronous_commit=on "
            "-c idle_in_transaction_session_timeout=60s -c lock_timeout=30s",
        },
    )
    event.listen(engine, "handle_error", _away)
    return engine


def _away(context: ExceptionContext) -> None:
    """A server that takes no writes any more is away: whoever writes tries again, elsewhere."""
    error = context.original_exception
    if isinstance(error, errors.ReadOnlySqlTransaction):
        context.is_disconnect = True
        raise OperationalError(
            context.statement,
            None,
            error,
            hide_parameters=True,
            connection_invalidated=True,
        )


def transact(engine: Engine, work: Callable[[Connection], T], *, tries: int) -> T:
    """Run `work` in a transaction; again where it met another one or lost its connection.

    The pauses between tries add up to half a second for 5 and to half a minute for 20.
    """
    for attempt in range(tries):
        try:
            with engine.begin() as connection:
                return work(connection)
        except (IntegrityError, OperationalError):
            if attempt == tries - 1:
                raise
            time.sleep(min(2.0, 0.03 * 2**attempt))
    raise ValueError("no tries")
