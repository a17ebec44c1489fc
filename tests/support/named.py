"""Servers that somebody has named for tests, and places on them that are a run's own.

What a run makes there bears its name, so that it takes away what is its own and nothing else, and
two runs side by side do not meet.
"""

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from redis import Redis

from support.vhosts import Vhosts, vhost_url

# How `brokers.passes` tells its tests what to use: never set by hand, so that a plain run of pytest
# has nothing but servers of its own, whatever its environment names.
VARIABLE = "NAMED_SERVERS"
CLAIM = "passerelle-tests"
# Number 0 is what everybody else uses.
_NUMBERS = range(15, 0, -1)


@dataclass(frozen=True, slots=True)
class Named:
    """`run` is the run's name; what is None is embedded. `settings` are the product's."""

    run: str
    broker: str | None = None
    postgres: str | None = None
    settings: dict[str, str] = field(default_factory=dict)

    def told(self) -> str:
        """For the environment of the tests."""
        return json.dumps(
            {
                "run": self.run,
                "broker": self.broker,
                "postgres": self.postgres,
                "settings": self.settings,
            }
        )


def named() -> Named | None:
    """None in a plain run."""
    text = os.environ.get(VARIABLE)
    return None if text is None else Named(**json.loads(text))


def new_run() -> str:
    return secrets.token_hex(4)


def database_prefix(run: str) -> str:
    return f"test_{run}_"


@contextlib.contextmanager
def place(url: str, run: str) -> Iterator[str]:
    """The URL of an empty broker of the run's own on the one named, taken away afterwards.

    Raises AssertionError: there is no room for it.
    """
    if urlsplit(url).scheme == "redis":
        with _claimed_number(url, run) as number:
            yield _numbered(url, number)
    else:
        name = f"{vhost_prefix(run)}{secrets.token_hex(3)}"
        maker = Vhosts(url)
        maker.make(name)
        try:
            yield vhost_url(url, name)
        finally:
            maker.drop(name)


def take_away(found: Named) -> None:
    """What is left of the run, as by tests that were killed."""
    if found.postgres is not None:
        with psycopg.connect(found.postgres, autocommit=True) as connection:
            for (name,) in connection.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s)",
                [database_prefix(found.run)],
            ).fetchall():
                drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
                connection.execute(drop.format(sql.Identifier(name)))
    if found.broker is None:
        return
    if urlsplit(found.broker).scheme == "redis":
        for number in _NUMBERS:
            with Redis.from_url(_numbered(found.broker, number)) as redis:
                if redis.get(CLAIM) == found.run.encode():
                    redis.flushdb()
    else:
        maker = Vhosts(found.broker)
        for name in maker.names():
            if name.startswith(vhost_prefix(found.run)):
                maker.drop(name)


def flush(url: str) -> None:
    """Empty a claimed database, which stays claimed."""
    with Redis.from_url(url) as redis:
        claim = redis.get(CLAIM)
        with redis.pipeline() as together:
            together.flushdb()
            if claim is not None:
                together.set(CLAIM, claim)
            together.execute()


@contextlib.contextmanager
def _claimed_number(url: str, run: str) -> Iterator[int]:
    for number in _NUMBERS:
        with Redis.from_url(_numbered(url, number)) as redis:
            if redis.dbsize() or not redis.set(CLAIM, run, nx=True):
                continue
            if redis.dbsize() > 1:
                # Somebody else's has come in between.
                redis.delete(CLAIM)
                continue
            try:
                yield number
            finally:
                redis.flushdb()
            return
    raise AssertionError("TEST_REDIS_URL: none of its databases 1 to 15 is empty.")


def _numbered(url: str, number: int) -> str:
    return urlsplit(url)._replace(path=f"/{number}").geturl()


def vhost_prefix(run: str) -> str:
    return f"{CLAIM}-{run}-"
