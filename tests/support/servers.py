"""A PostgreSQL and a Valkey of its own for each test process.

They are started in half a second by a process of their own, which ends with the one that started
it, however that one ends: it waits for the end of its standard input.
"""

import contextlib
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from redis import Redis

from support.named import Named, database_prefix, named, place
from support.ports import free_port


@dataclass(frozen=True, slots=True)
class Servers:
    """`postgres_url` is of the administrator's database: tests make theirs with `database`, and a
    broker with `broker`. `settings` are the product's with these servers.
    """

    postgres_url: str
    broker_url: str
    settings: dict[str, str] = field(default_factory=dict)
    # The name of a run on servers that are not its own.
    run: str | None = None
    # `given`: it is one test's own, all of it.
    broker_is: Literal["embedded", "named", "given"] = "embedded"
    postgres_is: Literal["embedded", "named"] = "embedded"

    def instead(self, found: Named) -> "Servers":
        """Those that were named in the place of these."""
        return Servers(
            found.postgres or self.postgres_url,
            found.broker or self.broker_url,
            found.settings,
            found.run,
            broker_is="embedded" if found.broker is None else "named",
            postgres_is="embedded" if found.postgres is None else "named",
        )

    def with_broker(self, url: str) -> "Servers":
        """With a broker that is one test's own."""
        return replace(self, broker_url=url, broker_is="given")

    @property
    def broker_name(self) -> str:
        """`redis` or `amqp`."""
        return urlsplit(self.broker_url).scheme

    @contextlib.contextmanager
    def broker(self, number: int) -> Iterator[str]:
        """The URL of a broker without messages, and emptied afterwards: of Redis the database of
        this number, or, where it is not the tests' own server, one that nobody else uses.
        """
        if self.broker_is == "given":
            yield self.broker_url
            return
        if self.broker_is == "named":
            with place(self.broker_url, self.run or "") as url:
                yield url
            return
        url = f"{self.broker_url.rpartition('/')[0]}/{number}"
        with Redis.from_url(url) as redis:
            redis.flushdb()
            yield url
            redis.flushdb()

    def create_database(self, *, template: str = "template1") -> str:
        """The URL of a new database, a copy of the one named `template` (to which nobody may be
        connected at that moment).
        """
        prefix = "test_" if self.run is None else database_prefix(self.run)
        name = f"{prefix}{secrets.token_hex(6)}"
        self._administer(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return urlsplit(self.postgres_url)._replace(path=f"/{name}").geturl()

    def drop_database(self, url: str) -> None:
        """Drop a database, and cut off who is still connected to it."""
        self._administer(
            sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database_name(url)))
        )

    @contextlib.contextmanager
    def database(self, *, template: str = "template1") -> Iterator[str]:
        """The URL of a database that is dropped afterwards."""
        url = self.create_database(template=template)
        yield url
        self.drop_database(url)

    def cut(self, url: str) -> None:
        """End all sessions of a database."""
        self._administer(
            sql.SQL(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}"
            ).format(sql.Literal(database_name(url)))
        )

    def alter(self, url: str, change: str) -> None:
        """`ALTER DATABASE …`, at once in force: all its sessions end."""
        database = sql.Identifier(database_name(url))
        self._administer(sql.SQL("ALTER DATABASE {} {}").format(database, sql.SQL(change)))
        self.cut(url)

    def _administer(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.postgres_url, autocommit=True) as connection:
            connection.execute(statement)


def database_name(url: str) -> str:
    return str(conninfo_to_dict(url)["dbname"])


@contextlib.contextmanager
def running_servers() -> Iterator[Servers]:
    """Servers for the length of a block, or until this process dies; those that were named for the
    run in the place of its own.
    """
    process = subprocess.Popen(
        (
            *(sys.executable, "-m", "benchmarks.serve", str(free_port()), str(free_port())),
            "--quick",
        ),
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl-C is for pytest, which still needs them while it tears down.
        start_new_session=True,
    )
    # Leaving this context closes the pipes and waits.
    with process:
        assert process.stdout is not None
        urls = json.loads(process.stdout.readline())
        own = Servers(urls["postgres"], urls["valkey"])
        found = named()
        yield own if found is None else own.instead(found)
