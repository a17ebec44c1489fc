"""A PostgreSQL and a Valkey of its own for each test process.

They are started in half a second by a process of their own, which ends with the one that started
it, however that one ends: it waits for the end of its standard input.
"""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from passerelle.embedded import postgres, valkey
from passerelle.embedded.folder import claim
from passerelle.embedded.supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class Servers:
    """`postgres_url` is of the administrator's database: tests make theirs with `database`."""

    postgres_url: str
    broker_url: str

    def create_database(self, *, template: str = "template1") -> str:
        """The URL of a new database, a copy of the one named `template` (to which nobody may be
        connected at that moment).
        """
        name = f"test_{secrets.token_hex(6)}"
        self._administer(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return f"{self.postgres_url.rpartition('/')[0]}/{name}"

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
    """Servers for the length of a block, or until this process dies."""
    process = subprocess.Popen(
        (sys.executable, __file__),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl-C is for pytest, which still needs them while it tears down.
        start_new_session=True,
    )
    # Leaving this context closes the pipes and waits.
    with process:
        assert process.stdout is not None
        yield Servers(**json.loads(process.stdout.readline()))


def free_port() -> int:
    """A port of the loopback address on which nobody listens.

    Not one of those that the system gives to outgoing connections: one could have it a moment
    later. By the system's chance, not by `random`: pytest-randomly seeds all processes alike.
    """
    while True:
        port = 15_000 + secrets.randbelow(15_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _serve() -> None:
    def end_with_standard_input() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)

    def tell(name: str, line: str) -> None:
        sys.stderr.write(f"{name}: {line}\n")

    with (
        tempfile.TemporaryDirectory(prefix="passerelle-tests-") as scratch,
        claim(Path(scratch) / "data") as folder,
        Supervisor(folder, tell) as tree,
    ):
        threading.Thread(target=end_with_standard_input, daemon=True).start()
        broker_url = valkey.start(tree, folder.path, free_port())
        postgres_url = postgres.start(tree, folder.path, free_port(), durable=False)
        sys.stdout.write(
            f"{json.dumps({'postgres_url': postgres_url, 'broker_url': broker_url})}\n"
        )
        sys.stdout.flush()
        tree.watch()


if __name__ == "__main__":
    _serve()
