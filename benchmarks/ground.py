"""What all contenders stand on: a PostgreSQL, a Valkey and a simulator of this run's own.

The two servers are as `passerelle up` starts them, durable, under a process of their own that ends
with this one, however it ends: it waits for the end of its standard input.
"""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
import requests
from psycopg import sql
from redis import Redis
from sqlalchemy import Engine, TextClause

from benchmarks.load import LISTS, Load
from benchmarks.processes import ROOT, BenchmarkError, running
from passerelle.embedded.port import free_base
from passerelle.store.engine import make_engine
from passerelle.store.schema import upgrade

_FIRST_PORT = 18_600
_PAGE = 1_000
_TIMEOUT = 60


@dataclass(frozen=True, slots=True)
class Ground:
    """`roots` are the first processes of PostgreSQL, Valkey and the simulator, by name."""

    scratch: Path
    postgres_url: str
    broker_url: str
    simulator_url: str
    roots: dict[str, psutil.Process]

    @property
    def loop_url(self) -> str:
        return f"{self.simulator_url}/loop-api-publiques"

    def clear(self) -> None:
        """Empty books and an empty broker."""
        self.control("POST", "reset")
        with Redis.from_url(self.broker_url) as redis:
            redis.flushall()

    def open_folders(self, load: Load) -> None:
        """Charts and journals of the load's folders; one that is left bare takes anything."""
        for _, folder in load.places():
            self.control("PATCH", f"folders/{folder}", LISTS)

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a migrated database that is dropped afterwards."""
        name = f"turn_{secrets.token_hex(6)}"
        self._administer(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url = f"{self.postgres_url.rpartition('/')[0]}/{name}"
        engine = make_engine(url)
        upgrade(engine)
        engine.dispose()
        yield url
        self._administer(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def calls(self) -> Counter[str]:
        """How often Loop was called so far, by route."""
        found: Counter[str] = Counter()
        for row in self.control("GET", "requests")["counts"]:
            found[row["route"]] += row["count"]
        return found

    def booked(self) -> Counter[str]:
        """How often each entry stands in the books, by its origin."""
        found: Counter[str] = Counter()
        while True:
            page = self.control("GET", f"ledger?offset={found.total()}&limit={_PAGE}")
            found.update(entry["origin"] for entry in page["entries"])
            if not page["entries"]:
                return found

    def check_books(self, sent: Counter[str]) -> None:
        """Raises: BenchmarkError, where an entry is not in the books, or not once."""
        booked = self.booked()
        if booked != sent:
            twice = sum(count > 1 for count in booked.values())
            raise BenchmarkError(
                f"The simulator's books hold {booked.total()} entries for {sent.total()} sent, "
                f"{twice} of them more than once."
            )

    def versions(self) -> dict[str, str]:
        with psycopg.connect(self.postgres_url) as connection:
            version = connection.info.parameter_status("server_version")
        with Redis.from_url(self.broker_url) as redis:
            info: Any = redis.info("server")
        return {"PostgreSQL": version or "", "Valkey": info["valkey_version"]}

    def _administer(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.postgres_url, autocommit=True) as connection:
            connection.execute(statement)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """The simulator's own door: what it answers, decoded; None where that is nothing."""
        url = f"{self.simulator_url}/_simulator/{path}"
        answer = requests.request(method, url, json=body, timeout=_TIMEOUT)
        answer.raise_for_status()
        return answer.json() if answer.content else None


@contextlib.contextmanager
def prepared(latency_ms: int, import_ms: int) -> Iterator[Ground]:
    """Servers and simulator for the length of a block.

    Raises:
        BenchmarkError: they cannot be started.
    """
    with (
        tempfile.TemporaryDirectory(prefix="passerelle-benchmarks-") as folder,
        _servers() as (serving, urls),
        running(Path(folder, "simulator"), os.environ) as processes,
    ):
        scenario = Path(folder, "scenario.json")
        scenario.write_text(json.dumps({"latency_ms": latency_ms, "import_ms": import_ms}))
        processes.start("simulator", "-m", "simulator", "--port", "0", "--scenario", str(scenario))
        processes.wait_until(
            lambda: processes.log("simulator").endswith("\n"), "the simulator listens"
        )
        yield Ground(
            scratch=Path(folder),
            postgres_url=urls["postgres"],
            broker_url=urls["valkey"],
            simulator_url=processes.log("simulator").removeprefix("READY ").strip(),
            roots={
                **{name: _child(serving, name) for name in urls},
                **processes.roots(),
            },
        )


def scalar(engine: Engine, statement: TextClause, **values: object) -> Any:
    """The one value that a statement finds, of the type that it has in the database."""
    with engine.connect() as connection:
        return connection.execute(statement, values).scalar_one()


@contextlib.contextmanager
def _servers() -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    """The process above PostgreSQL and Valkey, and their URLs."""
    port = free_base(_FIRST_PORT, 2)
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.serve", str(port + 1), str(port)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl-C is for the run, which still needs the servers while it clears up.
        start_new_session=True,
    ) as serving:
        line = serving.stdout.readline() if serving.stdout else b""
        if not line:
            raise BenchmarkError("The embedded servers did not start.")
        yield psutil.Process(serving.pid), json.loads(line)


def _child(parent: psutil.Process, name: str) -> psutil.Process:
    (found,) = (child for child in parent.children() if child.name().startswith(name))
    return found
