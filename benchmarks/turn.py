"""One turn of one contender: warm up, send, wait for the last entry, look into the books."""

import os
import time
from collections import Counter
from dataclasses import dataclass

from benchmarks.contenders import Contender, Running
from benchmarks.ground import Ground
from benchmarks.load import WARM_UP, Load, origin_of
from benchmarks.processes import BenchmarkError, Usage, usage

_LOOK_SECONDS = 0.05
_STUCK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Turn:
    """`seconds` from the first `send_task` to the last entry done, `sending` to the last
    `send_task`. `calls` to Loop are by route; the rest is by kind of process: seconds of CPU, how
    many processes there are at the end, and the largest one's peak of memory since its start.
    """

    contender: str
    number: int
    entries: int
    load_average_before: float
    seconds: float
    sending: float
    calls: dict[str, int]
    cpu_own: dict[str, float]
    cpu_others: dict[str, float]
    processes: dict[str, int]
    peak_bytes: dict[str, int]

    @property
    def rate(self) -> float:
        """Entries a second."""
        return self.entries / self.seconds


def take_turn(contender: Contender, ground: Ground, load: Load, number: int) -> Turn:
    """Raises: BenchmarkError, where an entry did not arrive, or not once."""
    load_average = os.getloadavg()[0]
    warm_up = load.events("warm", WARM_UP)
    events = load.events("entry", load.entries)
    ground.clear()
    ground.open_folders(load)
    with contender.start(ground, load, ground.scratch / f"{number}-{contender.name}") as running:
        running.send(warm_up)
        _wait_for(running, WARM_UP)
        running.processes.wait_until(running.all_read, "the lists of all folders have been read")
        before = _Reading.of(running, ground)
        running.send(events)
        sent = time.perf_counter()
        _wait_for(running, WARM_UP + len(events))
        ended = time.perf_counter()
        if running.ended is not None:
            ended -= time.time() - running.ended()
        after = _Reading.of(running, ground)
        expected = Counter(map(origin_of, [*warm_up, *events]))
        # Who only posts is through before Loop has done the last import.
        running.processes.wait_until(
            lambda: ground.control("GET", "ledger?limit=0")["total"] >= expected.total(),
            "all imports are done",
        )
        ground.check_books(expected)
    return Turn(
        contender=contender.name,
        number=number,
        entries=len(events),
        load_average_before=load_average,
        seconds=ended - before.at,
        sending=sent - before.at,
        calls=dict(after.calls - before.calls),
        cpu_own=_spent(before.own, after.own),
        cpu_others={
            **_spent(before.servers, after.servers),
            "sender": after.sender - before.sender,
        },
        processes={kind: used.processes for kind, used in after.own.items()},
        peak_bytes={kind: used.peak_bytes for kind, used in after.own.items()},
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    """All meters, read once; `sender` is the CPU of this process, `at` the clock thereafter."""

    calls: Counter[str]
    own: dict[str, Usage]
    servers: dict[str, Usage]
    sender: float
    at: float

    @classmethod
    def of(cls, running: Running, ground: Ground) -> "_Reading":
        return cls(
            ground.calls(),
            usage(running.processes.roots()),
            usage(ground.roots),
            time.process_time(),
            time.perf_counter(),
        )


def _spent(before: dict[str, Usage], after: dict[str, Usage]) -> dict[str, float]:
    return {kind: used.cpu_seconds - before[kind].cpu_seconds for kind, used in after.items()}


def _wait_for(running: Running, wanted: int) -> None:
    last, since = -1, time.monotonic()
    while True:
        began = time.monotonic()
        done = running.synced()
        if done >= wanted:
            return
        if done != last:
            last, since = done, time.monotonic()
        elif time.monotonic() - since > _STUCK_SECONDS:
            raise BenchmarkError(f"{done} of {wanted} entries done, and no more come.")
        running.processes.require_alive()
        # Looking costs what is measured: a fiftieth of the time at most.
        time.sleep(max(_LOOK_SECONDS, 50 * (time.monotonic() - began)))
