"""`python -m benchmarks.memory`: what the workers' memory grows by over a million entries.

How it is done and how it is read: docs/performance.md.
"""

from collections import Counter

import click

from benchmarks.contenders import PRODUCT
from benchmarks.ground import Ground, prepared
from benchmarks.load import Load, origin_of
from benchmarks.processes import BenchmarkError, stand_alone, usage
from benchmarks.rate import MOST, rate_of
from passerelle.store.engine import make_engine

_MEGABYTE = 1_000_000
_PARTS = 20


@click.command(context_settings={"show_default": True})
@click.option("--entries", type=click.IntRange(min=_PARTS, max=_PARTS * MOST), default=1_000_000)
def main(entries: int) -> None:
    """Default settings, 50 folders of 5 firms; Loop answers after 50 ms and has done an import
    after 200 ms. The largest that a process of each kind has been is told twenty times.
    """
    stand_alone()
    try:
        with prepared(50, 200) as ground:
            _fill(ground, Load(entries // _PARTS, folders=50, firms=5))
    except BenchmarkError as error:
        raise click.ClickException(str(error)) from error


def _fill(ground: Ground, load: Load) -> None:
    sent: Counter[str] = Counter()
    ground.open_folders(load)
    with PRODUCT.start(ground, load, ground.scratch / "product") as running:
        engine = make_engine(running.processes.env["PASSERELLE_DATABASE_URL"])
        for number in range(1, _PARTS + 1):
            events = load.events(f"part-{number}", load.entries)
            sent.update(map(origin_of, events))
            rate = rate_of(running, engine, events)
            peaks = {
                kind: round(one.peak_bytes / _MEGABYTE)
                for kind, one in usage(running.processes.roots()).items()
            }
            click.echo(f"{sent.total():,} entries, {rate:,.0f} a second: {peaks} MB")
        engine.dispose()
    ground.check_books(sent)


if __name__ == "__main__":
    main()
