"""The data folder: one process tree at a time, secrets for its owner only."""

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from passerelle.embedded.errors import EmbeddedError

# Longer than the reaper needs to end what a killed supervisor left running.
RELEASE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class DataFolder:
    path: Path
    # Descriptor of the locked file. Whoever holds it open keeps the folder in use.
    lock: int

    @property
    def logs(self) -> Path:
        return self.path / "logs"


@contextlib.contextmanager
def claim(path: Path) -> Iterator[DataFolder]:
    """The folder at `path`, made if need be, and ours until the block ends.

    Raises:
        EmbeddedError: it cannot be written, or another process tree uses it.
    """
    path = path.resolve()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        (path / "logs").mkdir(mode=0o700, exist_ok=True)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise EmbeddedError(
            f"The data folder {path} cannot be used ({error.strerror}): "
            "choose another with --data-dir, or make it yours to write."
        ) from error
    try:
        _lock(path, lock)
        os.truncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
        yield DataFolder(path, lock)
    finally:
        os.close(lock)


def _lock(path: Path, lock: int) -> None:
    deadline = time.monotonic() + RELEASE_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(lock, 32, 0).decode().strip()
            # A supervisor that was killed has left the lock to its reaper for some seconds.
            if _alive(owner) or time.monotonic() > deadline:
                raise EmbeddedError(
                    f"The data folder {path} is in use by another `passerelle up` (process "
                    f"{owner or 'unknown'}): stop that one, or choose another with --data-dir."
                ) from error
            # A lock that is waited for cannot be given up in time.
            time.sleep(0.1)
        else:
            return


def _alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except PermissionError:
        return True
    except (ProcessLookupError, ValueError):
        return False
    return True


def secret(path: Path) -> str:
    """The secret kept at `path`, made the first time; safe in a URL and in a line of settings."""
    with contextlib.suppress(FileNotFoundError):
        kept = path.read_text().strip()
        if kept:
            return kept
    made = secrets.token_urlsafe(24)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{made}\n")
        file.flush()
        os.fsync(file.fileno())
    return made
