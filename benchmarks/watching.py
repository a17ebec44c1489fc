"""`python -m benchmarks.watching`: what Celery's events, logs and figures cost.

How it is done and how it is read: docs/performance.md.
"""

import statistics
from functools import partial

import click

from benchmarks.contenders import MESSAGE, Contender, product
from benchmarks.ground import prepared
from benchmarks.load import Load
from benchmarks.processes import BenchmarkError, stand_alone
from benchmarks.turn import Turn, take_turn

_PARTS = ("events", "logs", "figures")
_WHOLE = "as it is"


def _contenders(message: int) -> list[Contender]:
    """The product, and the product without each of the parts, and without all of them."""
    without = [*_PARTS, ",".join(_PARTS)]
    return [
        Contender(_WHOLE, partial(product, message)),
        *(Contender(f"without {one}", partial(product, message, without=one)) for one in without),
    ]


@click.command(context_settings={"show_default": True})
@click.option("--entries", type=click.IntRange(min=1), default=2_000, help="Of ten folders.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, help="Of each way, in turn.")
@click.option("--single", is_flag=True, help="A message for each entry, instead of 100 in one.")
def main(entries: int, rounds: int, *, single: bool) -> None:
    """The product with default settings and without what is for watching it, in turn."""
    stand_alone()
    load = Load(entries, folders=10, firms=2)
    contenders = _contenders(1 if single else MESSAGE)
    turns: dict[str, list[Turn]] = {contender.name: [] for contender in contenders}
    try:
        with prepared(50, 200) as ground:
            for number in range(1, rounds + 1):
                for contender in contenders if number % 2 else reversed(contenders):
                    turn = take_turn(contender, ground, load, number)
                    turns[contender.name].append(turn)
                    click.echo(
                        f"round {number}, {contender.name}: {turn.rate:,.0f} a second, "
                        f"{_cpu(turn):.1f} s of CPU"
                    )
    except BenchmarkError as error:
        raise click.ClickException(str(error)) from error
    whole = turns.pop(_WHOLE)
    for name, others in turns.items():
        pairs = list(zip(whole, others, strict=True))
        rate = statistics.median(one.rate / other.rate for one, other in pairs)
        cpu = statistics.median(_cpu(one) / _cpu(other) for one, other in pairs)
        click.echo(f"against {name}: {rate:.3f} times the rate, {cpu:.3f} times the CPU")


def _cpu(turn: Turn) -> float:
    """Seconds of our own processes together."""
    return sum(turn.cpu_own.values())


if __name__ == "__main__":
    main()
