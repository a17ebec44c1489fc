"""`python -m benchmarks.refusal`: what one refused folder costs its neighbours, and Loop.

How it is done and how it is read: docs/performance.md.
"""

import datetime as dt
import statistics
import time
from typing import Any

import click
from sqlalchemy import Engine, text

from benchmarks.contenders import MESSAGE, PRODUCT, Running
from benchmarks.ground import Ground, prepared
from benchmarks.load import Json, Load
from benchmarks.processes import BenchmarkError, stand_alone
from passerelle.store.engine import make_engine

_POSITIVE = click.IntRange(min=1)
_LOAD = Load(0, folders=5, firms=1)
_REFUSED = _LOAD.places()[-1][1]
# An entry of a neighbour so often; a message for the refused folder with every third.
_APART_SECONDS = 0.1
_MESSAGE_EVERY = 3
_GIVEN_AFTER_SECONDS = 50.0
"""Access, after the refusal: within the minute after which Loop is asked for the first time."""

_SYNCED = text("SELECT entry_id, synced_at FROM entries WHERE synced_at IS NOT NULL")
_CASE = text("""
SELECT c.opened_at, c.closed_at, c.state,
    (SELECT count(*) FROM entries WHERE case_id = c.id) AS held, count(*) OVER () AS cases
FROM cases c
""")


@click.command(context_settings={"show_default": True})
@click.option("--entries", type=_POSITIVE, default=10_000, help="Entries of the refused folder.")
@click.option("--latency-ms", type=click.IntRange(min=0), default=50, help="Loop's.")
@click.option("--import-ms", type=click.IntRange(min=0), default=200, help="Loop's.")
def main(entries: int, latency_ms: int, import_ms: int) -> None:
    """Four folders of a firm, alone and beside a fifth that Loop refuses. Default settings."""
    stand_alone()
    try:
        with prepared(latency_ms, import_ms) as ground:
            alone = _Run(ground, "granted", 0).median
            click.echo(f"alone: median time to synced {alone:.2f} s")
            for access in ("refused_at_post", "refused_at_end"):
                run = _Run(ground, access, entries)
                click.echo(f"{access}: {run.told}; {run.median / alone:.2f} times alone")
    except BenchmarkError as error:
        raise click.ClickException(str(error)) from error


class _Run:
    """Neighbours' entries come one by one, those of the refused folder by the hundred."""

    def __init__(self, ground: Ground, access: str, entries: int) -> None:
        ground.clear()
        ground.control("PATCH", f"folders/{_REFUSED}", {"access": access, "language": "fr_curly"})
        self._ground = ground
        self._sent: dict[str, float] = {}
        self.told = ""
        with PRODUCT.start(ground, _LOAD, ground.scratch / access) as running:
            engine = make_engine(running.processes.env["PASSERELLE_DATABASE_URL"])
            self._deliver(running, _of(entries, refused=True))
            if entries:
                self._heal(running, engine, entries)
            neighbours = len(self._sent)
            running.processes.wait_until(
                lambda: running.synced() == entries + neighbours, "all entries are synced"
            )
            with engine.connect() as connection:
                found = connection.execute(_SYNCED).all()
            if entries:
                self._tell(engine, max(row.synced_at for row in found))
            engine.dispose()
        self.median = statistics.median(
            row.synced_at.timestamp() - self._sent[row.entry_id]
            for row in found
            if row.entry_id in self._sent
        )

    def _deliver(self, running: Running, refused: list[Json]) -> None:
        """For as long as Loop refuses."""
        neighbours = iter(_of(int(_GIVEN_AFTER_SECONDS / _APART_SECONDS), refused=False))
        began = time.monotonic()
        for number, event in enumerate(neighbours):
            # Each at its time, as accountants validate: what is measured is no backlog.
            time.sleep(max(0.0, began + number * _APART_SECONDS - time.monotonic()))
            self._sent[event["entry"]["id"]] = time.time()
            running.send([event])
            if number % _MESSAGE_EVERY == 0 and refused:
                running.send(refused[:MESSAGE])
                del refused[:MESSAGE]
        if refused:
            raise BenchmarkError("The refused folder's entries were not all sent in time.")

    def _heal(self, running: Running, engine: Engine, entries: int) -> None:
        case = _case(engine)
        age = dt.datetime.now(dt.UTC) - case.opened_at
        # What is measured is what a refusal costs while nobody has mended it.
        time.sleep(max(0.0, _GIVEN_AFTER_SECONDS - age.total_seconds()))
        running.processes.wait_until(lambda: _case(engine).held == entries, "all of them wait")
        posts = sum(
            row["count"]
            for row in self._ground.control("GET", "requests")["counts"]
            if row["folder"] == _REFUSED and row["route"] == "importJson"
        )
        held = _case(engine)
        self.told = f"{held.cases} case, {held.held:,} entries wait, {posts} POSTs"
        self._ground.control("PATCH", f"folders/{_REFUSED}", {"access": "granted"})
        self._given = dt.datetime.now(dt.UTC)

    def _tell(self, engine: Engine, last: dt.datetime) -> None:
        case = _case(engine)
        twice = sum(count > 1 for count in self._ground.booked().values())
        self.told += (
            f"; access given: {case.state} after {(case.closed_at - self._given).seconds} s, all "
            f"in Loop after {(last - self._given).seconds} s, twice: {twice}"
        )


def _of(count: int, *, refused: bool) -> list[Json]:
    """So many events of the refused folder, or of the others."""
    share = 1 if refused else _LOAD.folders - 1
    events = _LOAD.events("refused" if refused else "fine", -(-count // share) * _LOAD.folders)
    return [event for event in events if (event["folder"] == _REFUSED) is refused][:count]


def _case(engine: Engine) -> Any:
    """The latest case."""
    with engine.connect() as connection:
        return connection.execute(text(f"{_CASE.text} ORDER BY c.id DESC LIMIT 1")).one()


if __name__ == "__main__":
    main()
