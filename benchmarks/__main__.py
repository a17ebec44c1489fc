"""`python -m benchmarks`: the product against what people would write instead, side by side.

What is measured and how it is read: docs/performance.md.
"""

import json
from pathlib import Path

import click
from rich.console import Console

from benchmarks.contenders import CONTENDERS
from benchmarks.ground import prepared
from benchmarks.load import Load
from benchmarks.processes import BenchmarkError, stand_alone
from benchmarks.report import as_json, conditions, plot, show, summarise
from benchmarks.turn import Turn, take_turn

_WIDTH = 120
_POSITIVE = click.IntRange(min=1)
_MILLISECONDS = click.IntRange(min=0)


@click.command(context_settings={"show_default": True})
@click.option("--entries", type=_POSITIVE, default=2_000, help="Entries of 2 to 6 lines a turn.")
@click.option("--folders", type=_POSITIVE, default=10, help="Folders they are dealt out to.")
@click.option("--firms", type=_POSITIVE, default=2, help="Firms the folders are dealt out to.")
@click.option("--rounds", type=_POSITIVE, default=3, help="Turns of each contender.")
@click.option("--latency-ms", type=_MILLISECONDS, default=50, help="Until the simulator answers.")
@click.option("--import-ms", type=_MILLISECONDS, default=200, help="Until it has done an import.")
@click.option(
    "--json", "path", type=click.Path(path_type=Path, dir_okay=False), help="Write it all."
)
@click.option(
    "--plot", "chart", type=click.Path(path_type=Path, dir_okay=False), help="Draw it for Markdown."
)
def main(
    entries: int,
    folders: int,
    firms: int,
    rounds: int,
    latency_ms: int,
    import_ms: int,
    path: Path | None,
    chart: Path | None,
) -> None:
    """Entries per second from the first message to the last entry in Loop."""
    stand_alone()
    load = Load(entries, folders, firms)
    turns: list[Turn] = []
    try:
        with prepared(latency_ms, import_ms) as ground:
            found = conditions(ground, load, rounds, latency_ms, import_ms)
            for number in range(1, rounds + 1):
                # Whoever is first in one round is last in the next.
                for contender in CONTENDERS if number % 2 else reversed(CONTENDERS):
                    turn = take_turn(contender, ground, load, number)
                    turns.append(turn)
                    click.echo(
                        f"round {number} of {rounds}, {turn.contender}: {entries:,} entries in "
                        f"{turn.seconds:.1f} s, {turn.rate:,.0f} a second",
                        err=True,
                    )
    except BenchmarkError as error:
        raise click.ClickException(str(error)) from error
    summaries = summarise(turns)
    if path is not None:
        path.write_text(json.dumps(as_json(found, turns, summaries), indent=2), encoding="utf-8")
    if chart is not None:
        chart.write_text(f"{plot(summaries)}\n", encoding="utf-8")
    show(Console(width=_WIDTH), found, summaries)


if __name__ == "__main__":
    main()
