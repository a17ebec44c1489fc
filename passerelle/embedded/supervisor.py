"""The process tree: children started in order, started again when they die, ended together."""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn, Self

from passerelle.embedded.errors import EmbeddedError
from passerelle.embedded.folder import DataFolder
from passerelle.embedded.log import Log
from passerelle.embedded.reaper import Group, Reaper, kill_group

# Together under the ten seconds that the end of the tree may take.
PROGRAM_SECONDS = 5.5
SERVER_SECONDS = 2.0
ABORT_SECONDS = 0.5

FIRST_PAUSE = 0.2
MAX_PAUSE = 10.0
# A child that ran this long had got over what killed it before.
HEALTHY_SECONDS = 30.0

POLL_SECONDS = 0.05
WATCH_SECONDS = 0.5


class StopRequest(BaseException):
    """Ctrl-C, SIGTERM or a closed terminal, seen while the tree was waiting."""


@dataclass(frozen=True, slots=True)
class Child:
    """A program to run. `environment` replaces ours, and secrets come in it: not in `command`."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] | None = None
    directory: Path | None = None
    # Says, without raising, whether the child does its work; may take a second.
    ready: Callable[[], bool] = lambda: True
    # For getting ready or, of a step, for being done.
    seconds: float = 30.0
    stop: signal.Signals = signal.SIGTERM
    # Sent where `stop` was not enough, before the whole group is killed.
    abort: signal.Signals = signal.SIGKILL
    # Servers end when the programs that use them have ended.
    server: bool = False


@dataclass(slots=True)
class _Running:
    child: Child
    log: Log
    process: subprocess.Popen[bytes]
    since: float
    # Once it has been ready, its death is no longer a reason to give up.
    kept: bool = False
    deaths: int = 0
    # When it is started again; None while it lives.
    due: float | None = None


class Supervisor:
    """The tree of one data folder, to be used in the main thread as a context.

    Leaving the context ends all children within ten seconds and swallows `StopRequest`. While
    inside, Ctrl-C, SIGTERM and SIGHUP do nothing but make the present or next wait of this class
    raise `StopRequest`: long work belongs into `run`, not between two calls.

    `tell` is given a name and a line: what befalls the children and, with `echo`, what they print.
    """

    def __init__(
        self, folder: DataFolder, tell: Callable[[str, str], None], *, echo: bool = False
    ) -> None:
        self._folder = folder
        self._tell = tell
        self._echo = echo
        self._running: list[_Running] = []
        self._asked_to_stop = False

    def __enter__(self) -> Self:
        self._reaper = Reaper(self._folder.lock)
        self._wake, wake = os.pipe()
        for end in (self._wake, wake):
            os.set_blocking(end, False)
        self._before_wake = signal.set_wakeup_fd(wake)
        caught = [signal.SIGINT, signal.SIGTERM, signal.SIGCHLD]
        # Under nohup the tree outlives its terminal.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            caught.append(signal.SIGHUP)
        self._before = {number: signal.signal(number, self._on_signal) for number in caught}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._end(server=False, seconds=PROGRAM_SECONDS)
        self._end(server=True, seconds=SERVER_SECONDS)
        self._reaper.know([])
        self._reaper.close()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(signal.set_wakeup_fd(self._before_wake))
        os.close(self._wake)
        return isinstance(error, StopRequest)

    def start(self, child: Child) -> None:
        """Start a child that is to stay, and wait until it is ready.

        Raises:
            EmbeddedError: it ended or did not get ready in time.
            StopRequest: the tree is to end.
        """
        running = self._spawn(child)
        deadline = time.monotonic() + child.seconds
        while not child.ready():
            self._pause(POLL_SECONDS)
            code = running.process.poll()
            if code is not None:
                raise EmbeddedError(
                    f"{child.name} {_how(code)} while it started: {_see(running.log)}"
                )
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"{child.name} was not ready after {child.seconds:g} s: {_see(running.log)}"
                )
        running.kept = True

    def run(self, child: Child) -> None:
        """Run a step, and wait until it is done.

        Raises:
            EmbeddedError: it failed or took too long.
            StopRequest: the tree is to end.
        """
        running = self._spawn(child)
        deadline = time.monotonic() + child.seconds
        while (code := running.process.poll()) is None:
            self._pause(POLL_SECONDS)
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"{child.name} was not done after {child.seconds:g} s: {_see(running.log)}"
                )
        kill_group(running.process.pid)
        self._show(running)
        self._running.remove(running)
        self._reaper.know(self._groups())
        if code != 0:
            raise EmbeddedError(f"{child.name} {_how(code)}: {_see(running.log)}")

    def watch(self) -> NoReturn:
        """Keep the children alive until the tree is to end.

        Raises:
            StopRequest: the tree is to end.
        """
        while True:
            self._pause(WATCH_SECONDS)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        # Children's deaths only end the present wait, through the wake-up descriptor.
        if number != signal.SIGCHLD:
            self._asked_to_stop = True

    def _spawn(self, child: Child) -> _Running:
        log = Log(self._folder.logs / f"{child.name}.log")
        try:
            process = _popen(child, log)
        except OSError as error:
            raise EmbeddedError(
                f"{child.name} cannot be started: {error.strerror}: {error.filename}"
            ) from error
        running = _Running(child, log, process, since=time.monotonic())
        self._running.append(running)
        self._reaper.know(self._groups())
        return running

    def _groups(self) -> list[Group]:
        return [
            Group(running.process.pid, running.child.stop, running.child.abort)
            for running in self._running
            if running.due is None
        ]

    def _pause(self, seconds: float) -> None:
        """Until a signal comes or for `seconds`, then see to the children."""
        self._sleep(seconds)
        if self._asked_to_stop:
            raise StopRequest
        for running in self._running:
            self._show(running)
            if running.kept:
                self._revive(running)
        if not self._reaper.alive():
            self._reaper.close()
            self._reaper = Reaper(self._folder.lock, self._groups())

    def _sleep(self, seconds: float) -> None:
        select.select([self._wake], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake, 512):
                pass

    def _show(self, running: _Running) -> None:
        if self._echo:
            for line in running.log.fresh():
                self._tell(running.child.name, line)

    def _revive(self, running: _Running) -> None:
        now = time.monotonic()
        if running.due is None:
            code = running.process.poll()
            if code is None:
                return
            # What it had started itself must not work beside its successor.
            kill_group(running.process.pid)
            running.deaths = 1 if now - running.since > HEALTHY_SECONDS else running.deaths + 1
            pause = min(MAX_PAUSE, FIRST_PAUSE * 2 ** min(running.deaths - 1, 10))
            running.due = now + pause
            self._tell(
                running.child.name,
                f"{_how(code)} and is started again in {pause:g} s: {_see(running.log)}",
            )
        elif now >= running.due:
            try:
                running.process = _popen(running.child, running.log)
            except OSError as error:
                running.due = now + MAX_PAUSE
                self._tell(running.child.name, f"cannot be started: {error}")
                return
            running.since = now
            running.due = None
        else:
            return
        self._reaper.know(self._groups())

    def _end(self, *, server: bool, seconds: float) -> None:
        """End the servers or the others, last started first."""
        ending = [
            running
            for running in reversed(self._running)
            if running.child.server is server and running.due is None
        ]
        for running in ending:
            running.process.send_signal(running.child.stop)
        self._wait(ending, seconds)
        for running in ending:
            running.process.send_signal(running.child.abort)
        self._wait(ending, ABORT_SECONDS)
        for running in ending:
            kill_group(running.process.pid)
        self._wait(ending, ABORT_SECONDS)

    def _wait(self, ending: list[_Running], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        # `poll` of each: all that have ended are to be collected.
        while None in [running.process.poll() for running in ending]:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self._sleep(left)


def _popen(child: Child, log: Log) -> subprocess.Popen[bytes]:
    with log.open() as output:
        return subprocess.Popen(  # noqa: S603 -- commands are ours
            child.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=child.directory,
            env=child.environment,
            # Out of reach of the terminal's Ctrl-C, and one group with what it starts itself.
            start_new_session=True,
        )


def _how(code: int) -> str:
    if code < 0:
        return f"was ended by signal {-code} ({signal.strsignal(-code)})"
    return f"ended with code {code}"


def _see(log: Log) -> str:
    return f"{log.path} ends with: {log.end()}"
