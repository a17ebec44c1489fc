"""A process tree as a program of its own, for the tests that start, watch and kill it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from support.simulator import until

PROGRAM = """
import sys
from pathlib import Path
from passerelle.embedded.errors import EmbeddedError
from passerelle.embedded.folder import claim
from passerelle.embedded.supervisor import Child, Supervisor

def tell(name, line):
    print(f"{name}: {line}", flush=True)

try:
    with claim(Path(sys.argv[1])) as folder, Supervisor(folder, tell, echo=True) as tree:
        exec(sys.argv[2])
        tell("tree", "READY")
        tree.watch()
except EmbeddedError as error:
    sys.exit(str(error))
tell("tree", "ENDED")
"""


def wait_until(condition: Callable[[], object], *, seconds: float = 20.0) -> None:
    until(condition, bool, seconds)


class Tree:
    def __init__(self, process: subprocess.Popen[bytes], folder: Path, printed: Path) -> None:
        self.process = process
        self.folder = folder
        self._printed = printed

    @property
    def output(self) -> str:
        return self._printed.read_text()

    def wait_for(self, text: str) -> None:
        """Until the tree has printed `text`."""
        wait_until(lambda: text in self.output or self.process.poll() is not None)
        assert text in self.output, self.output

    def failure(self) -> str:
        """What it says when it gives up by itself."""
        wait_until(lambda: self.process.poll() is not None)
        assert self.process.returncode == 1, self.output
        return self.output

    def end(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Ask it to end; gives the seconds that took."""
        asked = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(timeout=30)
        return time.monotonic() - asked

    def members(self) -> list[psutil.Process]:
        """The processes below the supervisor."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def member(self, words: str) -> psutil.Process:
        """The one process below the supervisor with `words` in its command line."""
        (found,) = self.find(words)
        return found

    def find(self, words: str) -> list[psutil.Process]:
        return [process for process in self.members() if words in command_line(process)]

    def leftovers(self, members: Iterable[psutil.Process]) -> list[psutil.Process]:
        """What still runs of `members`, and whatever works in the data folder or names it."""
        return [
            *filter(lives, members),
            *(other for other in psutil.process_iter() if self._concerns(other) and lives(other)),
        ]

    def _concerns(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            return str(self.folder) in f"{process.cwd()} {command_line(process)}"
        return False


def lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def command_line(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def as_ordinary_user() -> tuple[str, ...]:
    """The words before a command that is not to run as root, where the tests do.

    It may read everything, since the interpreter may be where only root can; it may write no more
    than other people.
    """
    if os.geteuid() != 0:
        return ()
    return (
        *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
        *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
        *("--securebits=+no_setuid_fixup", "--"),
    )


@contextmanager
def process_tree(
    folder: Path | str,
    body: str,
    *,
    printed: Path,
    prefix: Iterable[str] = (),
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Tree]:
    """A tree in `folder` that runs `body`, statements about `tree` and `folder`, for one block.

    `printed` is the file that takes what it prints.
    """
    with printed.open("wb") as file:
        process = subprocess.Popen(
            (*prefix, sys.executable, "-c", PROGRAM, str(folder), body),
            stdout=file,
            stderr=file,
            cwd=cwd,
            env=environment,
        )
    tree = Tree(process, Path(cwd or ".", folder).resolve(), printed)
    try:
        yield tree
    finally:
        if process.poll() is None:
            # A test that fails may leave it stopped.
            process.send_signal(signal.SIGCONT)
            tree.end()
