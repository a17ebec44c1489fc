"""`python -m benchmarks.night`: what reading reference data costs those who deliver.

How it is done and how it is read: docs/performance.md.
"""

import statistics
import time
from collections import Counter
from collections.abc import Callable

import click
from sqlalchemy import Engine, text

from benchmarks.contenders import PRODUCT, Running
from benchmarks.ground import Ground, prepared, scalar
from benchmarks.load import Load
from benchmarks.processes import BenchmarkError, stand_alone
from passerelle.store.engine import make_engine

_POSITIVE = click.IntRange(min=1)
_APART_SECONDS = 0.5
_LISTS = 6
# Of an ISO time: down to the second.
_SECOND = 19

# From when an entry was taken in to when it was marked to be sent.
_WAITS = text("""
SELECT extract(epoch FROM i.sent_at - e.received_at)::float FROM entries e
JOIN attempts a ON a.entry = e.id JOIN imports i ON i.id = a.import_id
WHERE e.entry_id LIKE :series
""")
_PACE = text("SELECT max(pace) FROM firms")


@click.command(context_settings={"show_default": True})
@click.option("--folders", type=_POSITIVE, default=2_000, help="Folders that are read.")
@click.option("--firms", type=_POSITIVE, default=10, help="Firms the folders are dealt out to.")
@click.option("--latency-ms", type=click.IntRange(min=0), default=50, help="Loop's.")
def main(folders: int, firms: int, latency_ms: int) -> None:
    """Entries come one by one while all folders are read, and afterwards. Default settings."""
    stand_alone()
    try:
        with prepared(latency_ms, import_ms=200) as ground:
            _night(ground, Load(0, folders, firms))
    except BenchmarkError as error:
        raise click.ClickException(str(error)) from error


def _night(ground: Ground, load: Load) -> None:
    ground.clear()
    with PRODUCT.start(ground, load, ground.scratch / "night") as running:
        engine = make_engine(running.processes.env["PASSERELLE_DATABASE_URL"])
        traffic = _Traffic(ground, load)
        began = time.monotonic()
        # All folders are new, and so all are due.
        night = _deliver(running, load, "night", traffic, running.all_read)
        seconds = time.monotonic() - began
        read = sum(count for route, count in ground.calls().items() if route in _Traffic.LISTS)
        click.echo(
            f"{load.folders:,} folders of {load.firms} firms read in {seconds:.0f} s: {read:,} "
            f"requests for {load.folders * _LISTS:,} lists; most of a firm in a second: "
            f"{traffic.most()}, pace {scalar(engine, _PACE):.0f}"
        )
        end = time.monotonic() + min(seconds, 60.0)
        quiet = _deliver(running, load, "quiet", traffic, lambda: time.monotonic() > end)
        running.processes.wait_until(
            lambda: running.synced() == night + quiet, "all entries are synced"
        )
        waits = {name: _waits(engine, name) for name in ("night", "quiet")}
        for name, (median, worst, count) in waits.items():
            click.echo(
                f"{name}: {count} entries, from taken in to sent: median {median * 1000:.0f} ms, "
                f"99th percentile {worst * 1000:.0f} ms"
            )
        engine.dispose()


def _deliver(
    running: Running, load: Load, series: str, traffic: "_Traffic", over: Callable[[], bool]
) -> int:
    """An entry every half second, each in another folder, until it is over; how many."""
    events = iter(load.events(series, load.folders))
    count = 0
    while not over():
        running.send([next(events)])
        count += 1
        running.processes.require_alive()
        # What is measured is an entry alone, not a backlog.
        time.sleep(_APART_SECONDS)
        traffic.look()
    return count


def _waits(engine: Engine, series: str) -> tuple[float, float, int]:
    """Median and 99th percentile in seconds, and of how many."""
    with engine.connect() as connection:
        found = sorted(connection.execute(_WAITS, {"series": f"{series}-%"}).scalars())
    return statistics.median(found), found[int(len(found) * 0.99)], len(found)


class _Traffic:
    """How many requests came in each second, by firm: a folder tells whose it is."""

    LISTS = frozenset(
        {"compte", "journal", "tiersClient", "tiersFournisseur", "tiersSalarie", "tiersDivers"}
    )

    def __init__(self, ground: Ground, load: Load) -> None:
        self._ground = ground
        self._firms = {folder: firm for firm, folder in load.places()}
        self._seen: set[tuple[str, str]] = set()

    def look(self) -> None:
        """The simulator remembers the last thousand."""
        for one in self._ground.control("GET", "requests")["last"]:
            self._seen.add((one["at"], self._firms[one["folder"]]))

    def most(self) -> int:
        """Of one firm in one second."""
        return max(Counter((at[:_SECOND], firm) for at, firm in self._seen).values())


if __name__ == "__main__":
    main()
