"""The process tree of `passerelle up`: servers, migrations, workers, beat, Flower."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import requests
from celery import Celery
from cryptography.fernet import Fernet
from kombu.exceptions import OperationalError

from config.settings import Settings, read_env_file, read_settings
from passerelle.embedded import postgres, valkey
from passerelle.embedded.folder import DataFolder
from passerelle.embedded.port import LOOPBACK, require_free
from passerelle.embedded.supervisor import Child, Supervisor
from workers.app import make_app
from workers.flower import FLOWER_OPTIONS
from workers.queues import CONSUMERS, worker_arguments

PORT_BASE = 17600
"""The broker's port; the database's, Flower's and the simulator's follow it."""

_HEARTBEAT = "PASSERELLE_HEARTBEAT"
_START_SECONDS = 90.0
_PING_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Ports:
    base: int

    @property
    def broker(self) -> int:
        return self.base

    @property
    def database(self) -> int:
        return self.base + 1

    @property
    def flower(self) -> int:
        return self.base + 2

    @property
    def simulator(self) -> int:
        return self.base + 3


@dataclass(slots=True)
class Tree:
    """Grows in the order in which its parts need one another.

    `environ` is the caller's environment: a server whose URL stands in it is not started.
    """

    folder: DataFolder
    supervisor: Supervisor
    ports: Ports
    environ: Mapping[str, str]
    made: dict[str, str] = field(default_factory=dict)

    def grow(self, *, simulator: bool) -> Settings:
        """Start everything; the settings that all processes have. What was made is in `env`.

        Raises:
            EmbeddedError: something cannot be started.
            SettingsError: the environment is wrong.
            StopRequest: the tree is to end.
        """
        given = read_settings(self.environ, env_file=False)
        path = self.folder.path
        if given.secret_keys is None:
            # Kept over starts: what is stored was encrypted with it.
            kept = read_env_file(path / "env").get("PASSERELLE_SECRET_KEYS")
            self._set("PASSERELLE_SECRET_KEYS", kept or Fernet.generate_key().decode())
            # On disk before anything is encrypted with it.
            self._write_env()
        if given.broker_url is None:
            self._set(
                "PASSERELLE_BROKER_URL", valkey.start(self.supervisor, path, self.ports.broker)
            )
        if given.database_url is None:
            self._set(
                "PASSERELLE_DATABASE_URL",
                postgres.start(self.supervisor, path, self.ports.database),
            )
        if simulator:
            self._start_simulator()
        self._write_env()
        settings = read_settings(self._environment(), env_file=False)
        self._run("migrations", "-m", "passerelle.cli.main", "db", "upgrade")
        self._start_celery(settings)
        return settings

    def _set(self, name: str, value: str) -> None:
        self.made[name] = value

    def _environment(self) -> dict[str, str]:
        # A heartbeat is of one worker, and here are five.
        environ = {name: one for name, one in self.environ.items() if name != _HEARTBEAT}
        return {
            **environ,
            **self.made,
            "PASSERELLE_DATA_DIR": str(self.folder.path),
            # Only JSON is accepted, so Celery's warning about a root user has no object.
            "C_FORCE_ROOT": "1",
        }

    def _write_env(self) -> None:
        text = "".join(f"{name}={value}\n" for name, value in sorted(self.made.items()))
        path = self.folder.path / "env"
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)

    def _child(self, name: str, *arguments: str, ready: Callable[[], bool]) -> Child:
        return Child(
            name,
            (sys.executable, *arguments),
            environment=self._environment(),
            # Python looks for modules where it is started: a folder `tasks` there would be ours.
            directory=self.folder.path,
            seconds=_START_SECONDS,
            ready=ready,
        )

    def _run(self, name: str, *arguments: str) -> None:
        self.supervisor.run(self._child(name, *arguments, ready=lambda: True))

    def _start_simulator(self) -> None:
        port = self.ports.simulator
        require_free(port, "simulator")
        url = f"http://{LOOPBACK}:{port}"
        self._set("PASSERELLE_LOOP_URL", f"{url}/loop-api-publiques")
        self.supervisor.start(
            self._child(
                "simulator", "-m", "simulator", "--port", str(port),
                ready=lambda: _answers(f"{url}/_simulator/health"),
            )
        )  # fmt: skip

    def _start_celery(self, settings: Settings) -> None:
        celery = ("-m", "celery", "-A", "workers.main")
        for consumer in CONSUMERS:
            self.supervisor.start(
                self._child(
                    f"worker-{consumer.queue}", *celery, *worker_arguments(consumer),
                    ready=lambda: True,
                )
            )  # fmt: skip
        with make_app(settings) as app:
            # It is ready when all are: they start side by side.
            self.supervisor.start(
                self._child(
                    "beat", *celery, "beat", "--schedule", "beat", ready=lambda: _all_answer(app)
                )
            )
        require_free(self.ports.flower, "flower")
        # Behind them, since it asks each worker once what it consumes.
        self.supervisor.start(
            self._child(
                "flower", *celery, "flower", f"--address={LOOPBACK}",
                f"--port={self.ports.flower}", *FLOWER_OPTIONS,
                ready=lambda: _answers(f"http://{LOOPBACK}:{self.ports.flower}/healthcheck"),
            )
        )  # fmt: skip


def _all_answer(app: Celery) -> bool:
    try:
        replies = app.control.ping(timeout=_PING_SECONDS)
    except OperationalError:
        return False
    answered = {name.partition("@")[0] for reply in replies for name in reply}
    return answered >= {"celerybeat", *(consumer.queue for consumer in CONSUMERS)}


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=_PING_SECONDS).ok
    except requests.RequestException:
        return False
