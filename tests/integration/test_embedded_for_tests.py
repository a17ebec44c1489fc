"""Promises of the servers that every other test relies on."""

import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest

from support.process_tree import lives, wait_until
from support.servers import Servers, database_name

TESTS = """
import signal, sys
sys.path.insert(0, sys.argv[1])
from support.servers import running_servers
with running_servers() as servers:
    print(servers.postgres_url, flush=True)
    signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_servers_end_with_the_tests_however_those_end(
    tmp_path: Path, number: signal.Signals
) -> None:
    with subprocess.Popen(
        (sys.executable, "-c", TESTS, str(Path(__file__).parents[1])),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"TMPDIR": str(tmp_path)},
    ) as tests:
        assert tests.stdout is not None
        assert tests.stdout.readline().startswith(b"postgresql://")
        members = psutil.Process(tests.pid).children(recursive=True)
        assert len(members) > 4
        tests.send_signal(number)
    wait_until(lambda: not any(map(lives, members)))
    assert list(tmp_path.iterdir()) == []


def test_a_database_is_a_copy_of_its_template_and_gone_afterwards(servers: Servers) -> None:
    template = servers.create_database()
    with psycopg.connect(template, autocommit=True) as connection:
        connection.execute("create table kept as select 42 as answer")
    with servers.database(template=database_name(template)) as copy:
        connection = psycopg.connect(copy)
        assert connection.execute("select answer from kept").fetchone() == (42,)
    # Dropped although somebody was still connected.
    with closing(connection), pytest.raises(psycopg.OperationalError):
        connection.execute("select 1")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(copy)
