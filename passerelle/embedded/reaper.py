"""The process that ends the tree when its supervisor was killed.

It waits for the end of its standard input, which comes when the supervisor closes it or is no
more, however it died. It is run as a file and needs nothing but the standard library. It inherits
the lock of the data folder, so that the folder is free only when nothing of the tree is left.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import NamedTuple

# What a tree without a supervisor gets: time to put itself in order, then to break off.
STOP_SECONDS = 1.5
ABORT_SECONDS = 0.5


class Group(NamedTuple):
    """A process group: its leader, and the signals that ask it to end and to break off."""

    leader: int
    stop: int
    abort: int


class Reaper:
    """The supervisor's side."""

    def __init__(self, lock: int, groups: Iterable[Group] = ()) -> None:
        end, self._pipe = os.pipe()
        # Before it runs: there is no moment at which it knows nothing.
        self.know(groups)
        self._process = subprocess.Popen(  # noqa: S603 -- our own interpreter and file
            (sys.executable, "-I", "-S", __file__),
            stdin=end,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
            pass_fds=(lock,),
            start_new_session=True,
        )
        os.close(end)

    def alive(self) -> bool:
        return self._process.poll() is None

    def know(self, groups: Iterable[Group]) -> None:
        """Tell which groups there are now."""
        words = (":".join(str(int(number)) for number in group) for group in groups)
        # Where the reaper itself was killed, the supervisor sees it and starts another.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, f"{' '.join(words)}\n".encode())

    def close(self) -> None:
        """Let it end what it still knows, and wait for that."""
        os.close(self._pipe)
        self._process.wait()


def tell(process: int, number: int) -> None:
    """Send a signal to one process, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


def kill_group(leader: int) -> None:
    """Kill what is left of a group, its leader or what the leader started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _is_there(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _end(groups: list[Group]) -> None:
    for step, seconds in ((1, STOP_SECONDS), (2, ABORT_SECONDS)):
        for group in groups:
            tell(group.leader, group[step])
        deadline = time.monotonic() + seconds
        while any(_is_there(group.leader) for group in groups) and time.monotonic() < deadline:
            # They are nobody's children here: the system tells nothing of their end.
            time.sleep(0.05)
    for group in groups:
        kill_group(group.leader)


def _main() -> None:
    # A terminal that closes and a careless `kill` must not take the last guard.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    groups: list[Group] = []
    for line in sys.stdin:
        groups = [Group(*map(int, word.split(":"))) for word in line.split()]
    _end(groups)


if __name__ == "__main__":
    _main()
