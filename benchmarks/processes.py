"""Programs of one contender, or of what it stands on: started, measured, ended together."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from passerelle.embedded.reaper import Group, Reaper, kill_group

ROOT = Path(__file__).resolve().parents[1]
_MOST_SECONDS = 120.0
_EVERY = 0.05
_LAST_LINES = 15


def stand_alone() -> None:
    """What is measured has default settings, whatever the caller's are, and ends with this run."""
    for name in [name for name in os.environ if name.startswith(("PASSERELLE_", "CELERY_"))]:
        del os.environ[name]
    # Else what was started would go on.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))


class BenchmarkError(Exception):
    """The run is worth nothing; the text says why."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes of a kind have used: CPU of all together, memory of the largest."""

    processes: int
    cpu_seconds: float
    peak_bytes: int


@dataclass(slots=True)
class Processes:
    """Programs by kind; each leads a session of its own and logs into `scratch`."""

    scratch: Path
    env: Mapping[str, str]
    # Ends them where this process is killed.
    _reaper: Reaper
    _started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, kind: str, *arguments: str) -> None:
        """Run `python arguments…`."""
        with self._path(kind).open("wb") as log:
            self._started[kind] = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._reaper.know(
            Group(one.pid, signal.SIGKILL, signal.SIGKILL) for one in self._started.values()
        )

    def roots(self) -> dict[str, psutil.Process]:
        return {kind: psutil.Process(one.pid) for kind, one in self._started.items()}

    def wait_until(self, condition: Callable[[], bool], what: str, every: float = _EVERY) -> None:
        """Raises: BenchmarkError, where one has ended, or `what` does not come true in time."""
        deadline = time.monotonic() + _MOST_SECONDS
        while not condition():
            self.require_alive()
            if time.monotonic() > deadline:
                raise BenchmarkError(f"After {_MOST_SECONDS:g} s it is not so that {what}.")
            # As in a turn, looking costs what is measured.
            time.sleep(every)

    def require_alive(self) -> None:
        """Raises: BenchmarkError, where one has ended by itself."""
        for kind, one in self._started.items():
            if one.poll() is not None:
                raise BenchmarkError(f"{kind} ended with code {one.returncode}.")

    def log(self, kind: str) -> str:
        return self._path(kind).read_text(encoding="utf-8", errors="replace")

    def last_words(self) -> str:
        return "\n".join(
            f"--- {kind}\n" + "\n".join(self.log(kind).splitlines()[-_LAST_LINES:])
            for kind in self._started
        )

    def kill_one(self, kind: str) -> None:
        """kill -9 of a program and of what it started."""
        one = self._started.pop(kind)
        kill_group(one.pid)
        one.wait()

    def kill(self) -> None:
        """End them and what they started, at once: a warm end is not what is measured."""
        for one in self._started.values():
            kill_group(one.pid)
        for one in self._started.values():
            one.wait()
        self._reaper.know([])
        self._reaper.close()

    def _path(self, kind: str) -> Path:
        return self.scratch / f"{kind}.log"


@contextlib.contextmanager
def running(scratch: Path, env: Mapping[str, str]) -> Iterator[Processes]:
    """Nothing at first; what is started ends with the block."""
    scratch.mkdir()
    folder = os.open(scratch, os.O_RDONLY)
    processes = Processes(scratch, env, Reaper(folder))
    os.close(folder)
    try:
        yield processes
    except BenchmarkError as error:
        raise BenchmarkError(f"{error}\n{processes.last_words()}") from error
    finally:
        processes.kill()


def usage(roots: Mapping[str, psutil.Process]) -> dict[str, Usage]:
    """What each kind has used so far, with the processes below it."""
    return {kind: _usage([root, *root.children(recursive=True)]) for kind, root in roots.items()}


def _usage(processes: list[psutil.Process]) -> Usage:
    count, seconds, peak = 0, 0.0, 0
    for process in processes:
        # A database's connection may end between two looks; its parent has its time then.
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
            # Children that have ended are in their parent's times: the sum never falls.
            seconds += sum(process.cpu_times()[:4])
            peak = max(peak, _peak(process))
            count += 1
    return Usage(count, seconds, peak)


def _peak(process: psutil.Process) -> int:
    """The most memory the process ever had resident, in bytes; elsewhere than on Linux the present
    figure, which is all that the system tells of others.
    """
    if not psutil.LINUX:
        return int(process.memory_info().rss)
    for line in Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
