"""`python -m benchmarks.beside`: small folders beside a large one.

How it is done and how it is read: docs/performance.md.
"""

import statistics
import time

import click
from sqlalchemy import Engine, text

from benchmarks.contenders import PRODUCT, Running
from benchmarks.ground import prepared, scalar
from benchmarks.load import Json, Load
from benchmarks.processes import BenchmarkError, stand_alone
from passerelle.store.engine import make_engine

_POSITIVE = click.IntRange(min=1)
_LOAD = Load(entries=500, folders=50, firms=5)
_LARGE = Load(entries=1, folders=1, firms=1)
_PLACE = _LARGE.places()[0]

# By folder: that is an index, and the large folder's rows are not looked at.
_SYNCED = text("""
SELECT sum(found.n) AS n, extract(epoch FROM max(found.last)) AS last
FROM folders fo JOIN firms f ON f.id = fo.firm_id CROSS JOIN LATERAL (
    SELECT count(*) AS n, max(e.synced_at) AS last FROM entries e
    WHERE e.firm_id = fo.firm_id AND e.folder_id = fo.id AND e.state = 'synced'
      AND starts_with(e.entry_id, :series)) found
WHERE (f.code, fo.code) <> (:firm, :folder)
""")
_WAITING = text("SELECT count(*) FROM entries WHERE state IN ('received', 'waiting')")
_TAKEN_IN = text("SELECT count(*) FROM events")


@click.command(context_settings={"show_default": True})
@click.option("--entries", type=_POSITIVE, default=50_000, help="Of the large folder.")
@click.option("--rounds", type=_POSITIVE, default=3, help="Of the small folders, each way.")
def main(entries: int, rounds: int) -> None:
    """49 folders of 10 entries, alone and beside a large one. Default settings."""
    stand_alone()
    try:
        with (
            prepared(50, 200) as ground,
            PRODUCT.start(ground, _LOAD, ground.scratch / "beside") as running,
        ):
            engine = make_engine(running.processes.env["PASSERELLE_DATABASE_URL"])
            _small(running, engine, "first")
            alone = [_small(running, engine, f"alone{number}") for number in range(rounds)]
            wanted = scalar(engine, _TAKEN_IN) + entries
            began = time.monotonic()
            running.send(_LARGE.events("large", entries))
            running.processes.wait_until(
                lambda: scalar(engine, _TAKEN_IN) == wanted, "the large folder's are taken in", 0.5
            )
            click.echo(f"{entries:,} taken in after {time.monotonic() - began:.1f} s")
            beside = [_beside(running, engine, f"beside{number}") for number in range(rounds)]
            engine.dispose()
    except BenchmarkError as error:
        raise click.ClickException(str(error)) from error
    for name, seconds in (("alone", alone), ("beside the large one", beside)):
        click.echo(
            f"{name}: {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
        )
    click.echo(f"{statistics.median(beside) / statistics.median(alone):.2f} times alone")


def _events(series: str) -> list[Json]:
    events = _LOAD.events(series, _LOAD.entries)
    return [event for event in events if (event["firm"], event["folder"]) != _PLACE]


def _small(running: Running, engine: Engine, series: str) -> float:
    """Seconds from `send_task` until the last entry of the small folders is synced."""
    events = _events(series)
    values = dict(zip(("firm", "folder"), _PLACE, strict=True), series=f"{series}-")
    began = time.time()
    running.send(events)
    ended: list[float] = []

    def all_are() -> bool:
        with engine.connect() as connection:
            found = connection.execute(_SYNCED, values).one()
        ended.append(float(found.last or 0))
        return int(found.n or 0) == len(events)

    running.processes.wait_until(all_are, "all of the small folders' entries are synced")
    return ended[-1] - began


def _beside(running: Running, engine: Engine, series: str) -> float:
    seconds = _small(running, engine, series)
    if not scalar(engine, _WAITING):
        raise BenchmarkError("The large folder was through too early; take more --entries.")
    return seconds


if __name__ == "__main__":
    main()
