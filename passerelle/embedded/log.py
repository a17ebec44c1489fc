"""What a child prints, in a file."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

# A longer file makes room when its child is started, and one old file is kept.
MAX_BYTES = 20_000_000


@dataclass(slots=True)
class Log:
    path: Path
    _read: int = 0

    def open(self) -> BinaryIO:
        """The file, to be appended to."""
        if self.path.exists() and self.path.stat().st_size > MAX_BYTES:
            self.path.replace(self.path.with_suffix(".log.1"))
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._read = os.fstat(descriptor).st_size
        return os.fdopen(descriptor, "ab", buffering=0)

    def fresh(self) -> list[str]:
        """The whole lines written since the last call."""
        with self.path.open("rb") as file:
            file.seek(self._read)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._read += len(whole) + len(newline)
        return whole.decode(errors="replace").splitlines()

    def end(self) -> str:
        """The last words, as one line."""
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - 2_000))
            lines = file.read().decode(errors="replace").splitlines()
        return " / ".join([line.strip() for line in lines if line.strip()][-4:]) or "nothing"
