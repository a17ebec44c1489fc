"""The product as its users run it: worker processes, beat, a simulator, the command line."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from celery import Celery
from cryptography.fernet import Fernet
from sqlalchemy import Engine, text

from config.settings import read_settings
from passerelle.domain.firm_keys import FirmKeys
from passerelle.intake import TakenIn
from passerelle.registration import FolderTerms
from passerelle.runtime import Runtime
from support.mirror import DOMAIN, Mirror, twin_of
from support.servers import Servers
from support.simulator import ROOT, SimulatorHandle, running_simulator, until
from support.watch import Watch, watching
from workers.app import make_app
from workers.queues import CONSUMERS, worker_arguments

# A worker that died is noticed within seconds.
QUICK_LEASES = {
    "PASSERELLE_SEND_SECONDS": "1",
    "PASSERELLE_CALL_SECONDS": "2",
    "PASSERELLE_LEASE_SECONDS": "3",
    "PASSERELLE_VISIBILITY_SECONDS": "4",
}
# `make test-firms`: each firm of a test has a twin with the same folders and entries.
TWO_FIRMS = os.environ.get("TWO_FIRMS") == "1"
# Hours become seconds; the order of them stays what it is.
QUICK = QUICK_LEASES | {
    "PASSERELLE_GATEWAY_SECONDS": "3",
    "PASSERELLE_SETTLE_SECONDS": "5",
    "PASSERELLE_READ_GAP_SECONDS": "1",
}


@dataclass(slots=True)
class Stack:
    """`env` is the environment of every process; `scratch` holds their logs."""

    env: dict[str, str]
    scratch: Path
    # The use cases in this process, on the same database.
    runtime: Runtime
    loop: SimulatorHandle
    # What the processes ask of Loop goes through it; `loop` is the test's own way there.
    watch: Watch
    app: Celery
    # None: the firms of the tests have no twins.
    mirror: Mirror | None = None
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start_all(self, *trees: str) -> None:
        """A worker for every queue, and beat; they listen when this returns.

        With `trees` as many of each, their names ending in these.
        """
        queues = [consumer.queue for consumer in CONSUMERS]
        for tree in trees or ("",):
            for queue in queues:
                self.start_worker(queue, name=f"{queue}{tree}")
            schedule = str(self.scratch / f"beat{tree}")
            self.start(f"beat{tree}", "-A", "workers.main", "beat", "-s", schedule)
        for tree in trees or ("",):
            for queue in queues:
                self.wait_for_worker(f"{queue}{tree}")

    def start_worker(
        self, queue: str, app: str = "workers.main", name: str = "", root: Path = ROOT, **env: str
    ) -> None:
        """The worker of a queue as `passerelle up` runs it; `app` may wrap it for a test.

        `name` is the process's, where a queue has several; `root` is the folder of its sources.
        """
        [consumer] = [one for one in CONSUMERS if one.queue == queue]
        name = name or queue
        host = ("--hostname", f"{name}@%h")
        self.start(name, "-A", app, *worker_arguments(consumer), *host, root=root, **env)

    def start(self, name: str, *arguments: str, root: Path = ROOT, **env: str) -> None:
        """A Celery process with a group of its own, so that it dies with its children."""
        log = self.scratch / f"{name}.log"
        with log.open("ab") as out:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "celery", *arguments],
                # Modules are looked for there first.
                cwd=root,
                env=self.env | env,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for_worker(self, queue: str) -> None:
        self.until_log(queue, "ready.")

    def until_log(self, name: str, words: str) -> None:
        until(lambda: self.log(name), lambda found: words in found, 60)

    def log(self, name: str) -> str:
        return (self.scratch / f"{name}.log").read_text(encoding="utf-8")

    def stop(self, *names: str, seconds: float = 20) -> None:
        """SIGTERM. Raises AssertionError, TimeoutExpired: one did not end well, or not in time."""
        for name in names:
            self.processes[name].send_signal(signal.SIGTERM)
        for name in names:
            assert self.processes[name].wait(seconds) == 0, self.log(name)
            self.kill(name)

    def kill(self, *names: str) -> None:
        """kill -9 of processes and their children, all at once."""
        processes = [self.processes.pop(name) for name in names]
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for process in processes:
            process.wait()

    def send(self, name: str, *args: object) -> None:
        for call in self.copies(args):
            self.app.send_task(name, args=call, queue="intake")

    def copies(self, args: Sequence[object]) -> Iterator[Sequence[object]]:
        """The arguments of a task of intake as the firm sends them, after those of its twin."""
        if self.mirror is not None and (twins := self.mirror.events([*args])) is not None:
            yield twins
        yield args

    def take_in(self, events: list[dict[str, Any]]) -> TakenIn:
        """What intake says of them without the broker; those of the twins are taken in before."""
        *_, result = [self.runtime.intake.take_in(one) for [one] in self.copies([events])]
        return result

    @property
    def engine(self) -> Engine:
        return self.runtime.engine

    def add_firm(self, code: str | None = None, *folders: str) -> str:
        """A registered firm of a code that no other test has, with folders."""
        code = code or f"FIRM{uuid.uuid4().hex[:8].upper()}"
        self._register(code, f"key-{code}", folders)
        if self.mirror is not None:
            self.mirror.firms.add(code)
            self._register(twin_of(code), f"{DOMAIN}/key-{code}", folders)
        return code

    def _register(self, code: str, key: str, folders: Iterable[str]) -> None:
        registration = self.runtime.registration
        registration.add_firm(code, FirmKeys(key, "secret", "subscription"))
        for folder in folders:
            registration.add_folder(code, folder, FolderTerms())

    def rows(self, statement: str, **values: object) -> list[Mapping[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(statement), values).mappings()]

    def waiting_for(self, table: str) -> int:
        """How many sessions wait until they may use a table that somebody has locked."""
        return len(
            self.rows(
                "SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
                "WHERE d.datname = current_database() "
                "AND l.relation = CAST(:table AS regclass) AND NOT l.granted",
                table=table,
            )
        )

    def states(self, firm: str) -> Counter[str]:
        """How many of a firm's entries are in each state."""
        found = self.rows(
            "SELECT e.state FROM entries e JOIN firms f ON f.id = e.firm_id WHERE f.code = :firm",
            firm=firm,
        )
        return Counter(row["state"] for row in found)

    def until_states(self, firm: str, seconds: float = 60, **wanted: int) -> None:
        """Wait until the firm's entries are exactly in these states. Raises: TimeoutError."""
        if self.mirror is not None:
            # There is twice as much to do.
            seconds *= 2
        until(lambda: self.states(firm), lambda found: found == Counter(wanted), seconds)

    def cli(self, *arguments: str, stdin: str | bytes = b"") -> subprocess.CompletedProcess[str]:
        """`passerelle …` as a process; its output as text."""
        done = subprocess.run(
            [sys.executable, "-m", "passerelle.cli.main", *arguments],
            cwd=self.scratch,
            env=self.env,
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            timeout=120,
            check=False,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )


@contextlib.contextmanager
def running_stack(
    servers: Servers,
    template: str,
    scenario: dict[str, Any] | None = None,
    broker_number: int = 2,
    *,
    two_firms: bool = TWO_FIRMS,
    **env: str,
) -> Iterator[Stack]:
    """A database, a simulator and the means to start workers; all ends with the block.

    `broker_number` is the broker's database, where it has such; two stacks at once need two. With
    `two_firms` each firm has a twin, and the stack's `loop` is the firms' own domain.

    Raises AssertionError at the end: Loop was asked by a thread with a transaction open, or by a
    way on which nobody looked; or a twin was harmed, or saw what is not its own (TimeoutError: or
    is not through).
    """
    with (
        servers.broker(broker_number) as broker_url,
        servers.database(template=template) as database_url,
        running_simulator(scenario or {"import_ms": 50}) as loop,
        watching(database_url, loop.base_url) as watch,
        tempfile.TemporaryDirectory(prefix="passerelle-stack-") as scratch,
    ):
        environment = os.environ | {
            "PASSERELLE_DATABASE_URL": database_url,
            "PASSERELLE_BROKER_URL": broker_url,
            "PASSERELLE_SECRET_KEYS": Fernet.generate_key().decode(),
            "PASSERELLE_LOOP_URL": watch.url,
            "PASSERELLE_DATA_DIR": scratch,
            "PASSERELLE_GATHER_SECONDS": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
            # Celery warns of a root user on standard error; nothing is loaded by pickle here.
            "C_FORCE_ROOT": "1",
            **servers.settings,
            **env,
        }
        settings = read_settings(environment)
        runtime = Runtime(settings)
        app = make_app(settings)
        stack = Stack(environment, Path(scratch), runtime, loop, watch, app)
        if two_firms:
            stack.loop, twins = (replace(loop, domain=name) for name in ("", DOMAIN))
            stack.mirror = Mirror(runtime.engine, stack.loop, twins)
        try:
            yield stack
            if stack.mirror is not None:
                stack.mirror.check()
        finally:
            for name in list(stack.processes):
                stack.kill(name)
            app.close()
            runtime.close()
        asked = loop.requests()["total"]
        assert asked <= watch.requests.total(), "Loop was asked behind the watch's back."
