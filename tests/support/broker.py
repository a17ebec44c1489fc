"""A Valkey of a test's own, that may die, freeze and come back on its port."""

import contextlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from redis import Redis, RedisError

from passerelle.embedded import valkey
from support.ports import free_port
from support.simulator import until

_PASSWORD = "secret"


@dataclass(slots=True)
class Broker:
    """As `passerelle up` starts it, with its data in `home`. Each fault stands above its end."""

    home: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{_PASSWORD}@127.0.0.1:{self.port}/0"

    def kill(self) -> None:
        """kill -9: what it had not written in the last second is gone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def start(self) -> None:
        """It answers when this returns."""
        self.home.mkdir(exist_ok=True)
        settings = self.home / "valkey.conf"
        settings.write_text(
            valkey.SETTINGS.format(host="127.0.0.1", port=self.port, password=_PASSWORD)
        )
        with (self.home.parent / "valkey.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(valkey.binary()), settings.name], cwd=self.home, stdout=log, stderr=log
            )
        until(self._answers, bool)

    def start_empty(self) -> None:
        shutil.rmtree(self.home)
        self.start()

    def flush(self) -> None:
        with self._client() as client:
            client.flushall()

    def freeze(self) -> None:
        """It takes connections and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def refuse(self) -> None:
        """It refuses whatever writes, as a master without its replicas."""
        self._set("min-replicas-to-write", 1)

    def accept(self) -> None:
        self._set("min-replicas-to-write", 0)

    def fill(self) -> None:
        """It refuses whatever needs memory; to take a message out of a queue does not."""
        self._set("maxmemory", 1)

    def clear(self) -> None:
        self._set("maxmemory", 0)

    def _set(self, name: str, value: int) -> None:
        with self._client() as client:
            client.config_set(name, value)

    def _answers(self) -> bool:
        with self._client() as client, contextlib.suppress(RedisError):
            return bool(client.ping())
        return False

    def _client(self) -> Redis:
        return Redis.from_url(self.url)


@contextlib.contextmanager
def running_broker() -> Iterator[Broker]:
    """A broker for the length of a block."""
    with tempfile.TemporaryDirectory(prefix="passerelle-broker-") as folder:
        broker = Broker(Path(folder, "data"), free_port())
        broker.start()
        try:
            yield broker
        finally:
            broker.kill()
