"""`python -m benchmarks.idle`: what an idle system costs, and how soon it sends an entry.

How it is done and how it is read: docs/performance.md.
"""

import datetime as dt
import statistics
import time

import click

from benchmarks.contenders import PRODUCT, Running
from benchmarks.ground import Ground, prepared
from benchmarks.load import Json, Load
from benchmarks.processes import BenchmarkError, stand_alone, usage

_POSITIVE = click.IntRange(min=1)
_APART_SECONDS = 0.4
"""Between an entry and the next: what is measured is one alone."""

_BEFORE = 12
"""Entries that each folder has had: by then it knows the accounts of nearly all of the next."""

_QUIET_SECONDS = 5.0
"""Without a request: then the folders have been read, and no import is asked about."""

_IMPORT = "importJson"


@click.command(context_settings={"show_default": True})
@click.option("--seconds", type=_POSITIVE, default=60, help="That nothing happens for.")
@click.option("--entries", type=_POSITIVE, default=200, help="Of a folder each, one by one.")
def main(seconds: int, entries: int) -> None:
    """Default settings, Loop answers after 50 ms."""
    stand_alone()
    load = Load(entries, folders=entries, firms=5)
    try:
        with (
            prepared(50, 200) as ground,
            PRODUCT.start(ground, load, ground.scratch / "idle") as running,
        ):
            _settle(ground, running, load)
            _idle(ground, running, seconds)
            found = sorted(
                _latency(ground, running, event) for event in load.events("one", entries)
            )
    except BenchmarkError as error:
        raise click.ClickException(str(error)) from error
    click.echo(
        f"{entries} entries, from send_task to Loop: median {statistics.median(found) * 1000:.0f} "
        f"ms, 99th percentile {found[int(len(found) * 0.99)] * 1000:.0f} ms, "
        f"at most {found[-1] * 1000:.0f} ms"
    )


def _settle(ground: Ground, running: Running, load: Load) -> None:
    """All folders have been read by then, and each has had entries."""
    before = load.entries * _BEFORE
    running.send(load.events("first", before))
    processes = running.processes
    processes.wait_until(lambda: running.synced() == before, "all are synced")
    calls = [-1]

    def is_quiet() -> bool:
        calls.append(ground.calls().total())
        return calls[-1] == calls[-2]

    processes.wait_until(is_quiet, "nothing is asked any more", every=_QUIET_SECONDS)


def _idle(ground: Ground, running: Running, seconds: int) -> None:
    calls, spent = ground.calls(), usage(running.processes.roots())
    # What is measured is what goes on while nothing happens.
    time.sleep(seconds)
    asked = ground.calls() - calls
    of_kind = {
        kind: (one.cpu_seconds - spent[kind].cpu_seconds) / seconds
        for kind, one in usage(running.processes.roots()).items()
    }
    parts = ", ".join(f"{kind} {share:.2%}" for kind, share in of_kind.items())
    click.echo(
        f"idle for {seconds} s: {sum(of_kind.values()):.2%} of a core ({parts}); "
        f"requests to Loop: {asked.total()} {dict(asked)}"
    )


def _latency(ground: Ground, running: Running, event: Json) -> float:
    """Seconds from `send_task` until its request is at Loop."""
    # The nearest to ask of the two programs' clock, which is the machine's.
    began = dt.datetime.now(dt.UTC)
    running.send([event])

    def arrived() -> list[float]:
        times = (
            dt.datetime.fromisoformat(one["at"])
            for one in ground.control("GET", "requests")["last"]
            if one["route"] == _IMPORT and one["folder"] == event["folder"]
        )
        return [(at - began).total_seconds() for at in times if at > began]

    running.processes.wait_until(lambda: bool(arrived()), "it was sent", every=_APART_SECONDS)
    return min(arrived())


if __name__ == "__main__":
    main()
