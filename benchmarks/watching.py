"""`python -m benchmarks.watching`: what Celery's events, logs and figures cost.

How it is done and how it is read: docs/performance.md.
"""

import statistics
from functools import partial

import click

from benchmarks.contenders import MESSAGE, Contender, product
from benchmarks.ground import Ground, prepared
from benchmarks.intake import take_in
from benchmarks.load import Load
from benchmarks.processes import BenchmarkError, stand_alone
from benchmarks.turn import take_turn

_PARTS = ("events", "logs", "figures")
_WHOLE = ""


@click.command(context_settings={"show_default": True})
@click.option("--entries", type=click.IntRange(min=100), default=3_000, help="Of ten folders.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, help="Of each way, in turn.")
@click.option(
    "--single",
    is_flag=True,
    help="The worker of intake by itself, and a message for each entry: the dearest case.",
)
def main(entries: int, rounds: int, *, single: bool) -> None:
    """The product with default settings and without what is for watching it, in turn."""
    stand_alone()
    load = Load(entries, folders=10, firms=2)
    ways = [_WHOLE, *_PARTS, ",".join(_PARTS)]
    found: dict[str, list[tuple[float, float]]] = {without: [] for without in ways}
    try:
        with prepared(50, 200) as ground:
            for number in range(1, rounds + 1):
                for without in ways if number % 2 else reversed(ways):
                    rate, cpu = (_take_in if single else _whole)(ground, load, without, number)
                    found[without].append((rate, cpu))
                    name = f"without {without}" if without else "as it is"
                    click.echo(f"round {number}, {name}: {rate:,.0f} a second, {cpu:.1f} s of CPU")
    except BenchmarkError as error:
        raise click.ClickException(str(error)) from error
    for without in ways[1:]:
        pairs = list(zip(found[_WHOLE], found[without], strict=True))
        rate, cpu = (statistics.median(a[i] / b[i] for a, b in pairs) for i in range(2))
        click.echo(f"against without {without}: {rate:.3f} times the rate, {cpu:.3f} times the CPU")


def _whole(ground: Ground, load: Load, without: str, number: int) -> tuple[float, float]:
    """Entries a second, from the first message to the last in Loop; CPU of our own processes."""
    way = Contender(f"without {without}", partial(product, MESSAGE, without=without))
    turn = take_turn(way, ground, load, number)
    return turn.rate, sum(turn.cpu_own.values())


def _take_in(ground: Ground, load: Load, without: str, number: int) -> tuple[float, float]:
    """The same of the worker of intake, for messages that wait already, an entry each."""
    return take_in(ground, load, f"{number}-{without}", without)


if __name__ == "__main__":
    main()
