"""`python -m benchmarks.outage`: a backlog after an outage, and Loop's limit on requests.

How it is done and how it is read: docs/performance.md.
"""

import time
from collections import Counter, deque

import click

from benchmarks.contenders import PRODUCT, Running
from benchmarks.ground import Ground, prepared
from benchmarks.load import Json, Load
from benchmarks.processes import BenchmarkError, stand_alone

_LOOK_SECONDS = 0.25
_WINDOW_SECONDS = 3.0
_POSITIVE = click.IntRange(min=1)
# What a lost answer left open is asked about for an hour: the run does not wait for it.
_UNDER_WAY = ("received", "waiting", "posting", "posted")


@click.command(context_settings={"show_default": True})
@click.option("--entries", type=_POSITIVE, default=20_000, help="Entries of the backlog.")
@click.option("--folders", type=_POSITIVE, default=200, help="Folders they are dealt out to.")
@click.option("--firms", type=_POSITIVE, default=5, help="Firms the folders are dealt out to.")
@click.option("--limit", type=_POSITIVE, default=5, help="Requests a second that Loop allows.")
@click.option("--minutes", type=_POSITIVE, default=3, help="How long under that limit.")
@click.option("--latency-ms", type=click.IntRange(min=0), default=50, help="Loop's.")
@click.option("--import-ms", type=click.IntRange(min=0), default=200, help="Loop's.")
def main(
    entries: int,
    folders: int,
    firms: int,
    limit: int,
    minutes: int,
    latency_ms: int,
    import_ms: int,
) -> None:
    """What an outage costs, and how many requests are refused under a limit. Default settings."""
    stand_alone()
    try:
        with prepared(latency_ms, import_ms) as ground:
            _outage(ground, Load(entries, folders, firms))
            _limited(ground, Load(entries, folders, 1), limit, minutes)
    except BenchmarkError as error:
        raise click.ClickException(str(error)) from error


def _outage(ground: Ground, load: Load) -> None:
    ground.clear()
    with PRODUCT.start(ground, load, ground.scratch / "outage") as running:
        before = _Curve(ground, running)
        running.send(_by_folder(load, "before"))
        before.follow(load.entries)
        former = before.rate()
        click.echo(f"before the outage: {load.entries:,} entries at {former:,.0f} a second")

        ground.control("PUT", "faults", {"faults": [{"fault": "http_503"}]})
        running.send(_by_folder(load, "after"))
        running.processes.wait_until(
            lambda: running.states().total() == 2 * load.entries, "all are taken in"
        )
        running.processes.wait_until(
            lambda: not running.states()["posting"], "nothing is being sent"
        )
        calls = ground.calls().total()
        _idle(running, 60)
        while_down = ground.calls().total() - calls
        uncertain = running.states()["uncertain"]
        click.echo(
            f"while Loop is down: {while_down} requests a minute with {load.folders} folders "
            f"waiting; {uncertain} entries uncertain of {load.entries:,}"
        )

        calls_before = ground.calls()
        after = _Curve(ground, running)
        ground.control("PUT", "faults", {"faults": []})
        after.follow(load.entries - uncertain)
        calls_after = ground.calls() - calls_before
        back = after.reaches(0.9 * former)
        click.echo(
            f"drained: {load.entries - uncertain:,} entries in {after.seconds():.1f} s, "
            f"{after.rate():,.0f} a second; 90 % of the former rate after "
            f"{'more time than it took' if back is None else f'{back:.1f} s'}; requests "
            + ", ".join(f"{route} {count}" for route, count in sorted(calls_after.items()))
        )
        twice = sum(count > 1 for count in ground.booked().values())
        click.echo(f"in Loop more than once: {twice}")


def _limited(ground: Ground, load: Load, limit: int, minutes: int) -> None:
    """Entries come faster than Loop lets requests through."""
    ground.clear()
    ground.control("PATCH", "settings", {"rate_limit": {"calls": limit, "seconds": 1.0}})
    with PRODUCT.start(ground, load, ground.scratch / "limited") as running:
        # Each needs a request of its own, and a poll: six times of what is let through.
        a_second = 3 * limit
        events = load.events("limited", a_second * 60 * minutes)
        began = time.monotonic()
        found: list[tuple[int, int]] = []
        for second in range(60 * minutes):
            running.send(events[second * a_second : (second + 1) * a_second])
            _idle(running, began + second + 1 - time.monotonic())
            if second % 60 == 59:
                found.append(_throttled(ground))
    for minute, ((refused, total), (before, all_before)) in enumerate(
        zip(found, [(0, 0), *found], strict=False), 1
    ):
        share = (refused - before) / (total - all_before)
        click.echo(
            f"limit of {limit} a second, minute {minute}: {total - all_before} requests, "
            f"{share:.1%} answered 429"
        )
    ground.control("PATCH", "settings", {"rate_limit": None})


def _by_folder(load: Load, series: str) -> list[Json]:
    """As a hub sends them when a client's books are closed."""
    return sorted(load.events(series, load.entries), key=lambda event: str(event["folder"]))


def _throttled(ground: Ground) -> tuple[int, int]:
    """Requests that were answered 429, and all."""
    kinds: Counter[str] = Counter()
    for row in ground.control("GET", "requests")["counts"]:
        kinds[row["kind"]] += row["count"]
    return kinds["http_429"], kinds.total()


def _idle(running: Running, seconds: float) -> None:
    """What is measured is what happens in so many seconds."""
    running.processes.require_alive()
    time.sleep(max(0.0, seconds))


class _Curve:
    """How many entries are in Loop, over time."""

    def __init__(self, ground: Ground, running: Running) -> None:
        self._ground = ground
        self._running = running
        self._start = self._booked()
        self._points = [(time.monotonic(), 0)]

    def _booked(self) -> int:
        found: int = self._ground.control("GET", "ledger/totals")["entries"]
        return found

    def follow(self, wanted: int) -> None:
        """Until so many more are there and all are synced."""

        def done() -> bool:
            self._points.append((time.monotonic(), self._booked() - self._start))
            return self._points[-1][1] >= wanted and not self._under_way()

        self._running.processes.wait_until(
            done, f"{wanted} entries are in Loop", every=_LOOK_SECONDS
        )

    def _under_way(self) -> int:
        states = self._running.states()
        return sum(states[state] for state in _UNDER_WAY)

    def seconds(self) -> float:
        """Until the last one was there."""
        last = self._points[-1][1]
        return next(at for at, count in self._points if count == last) - self._points[0][0]

    def rate(self) -> float:
        """Entries a second, over the middle four fifths."""
        last = self._points[-1][1]
        middle = [(at, n) for at, n in self._points if 0.1 * last <= n <= 0.9 * last]
        (first, low), (end, high) = middle[0], middle[-1]
        return (high - low) / (end - first)

    def reaches(self, rate: float) -> float | None:
        """Seconds until it was so many a second, over a window; None where it never was."""
        window: deque[tuple[float, int]] = deque()
        for at, count in self._points:
            window.append((at, count))
            while at - window[0][0] > _WINDOW_SECONDS:
                window.popleft()
            seconds = at - window[0][0]
            if seconds and (count - window[0][1]) / seconds >= rate:
                return at - self._points[0][0]
        return None


if __name__ == "__main__":
    main()
