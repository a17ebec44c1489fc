"""`python -m benchmarks.fec`: reading an FEC beside `csv.reader` alone, in turn in one run."""

import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from passerelle.fec.sample import fec_lines, sample_entries

_OURS, _THEIRS = "submit-fec --dry-run", "csv.reader alone"
_LINES_AN_ENTRY = 2.77
_READER = """
import csv, sys
for _ in csv.reader(open(sys.argv[1], newline="", encoding="utf-8"), delimiter="\\t"):
    pass
"""


@click.command(context_settings={"show_default": True})
@click.option("--lines", type=click.IntRange(min=1_000), default=500_000, help="About so many.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, help="Turns of each.")
@click.option("--file", type=click.Path(exists=True, path_type=Path), help="Instead of a sample.")
def main(lines: int, rounds: int, file: Path | None) -> None:
    """Lines a second of `passerelle submit-fec --dry-run`: read, grouped, reported, start included.

    Beside it a process that only runs `csv.reader` over the same file.
    """
    with tempfile.TemporaryDirectory() as folder:
        if file is None:
            file = Path(folder, "fec.txt")
            with file.open("wb") as out:
                out.writelines(fec_lines(sample_entries(1, int(lines / _LINES_AN_ENTRY))))
        with file.open(newline="", encoding="utf-8", errors="replace") as rows:
            count = sum(1 for _ in csv.reader(rows, delimiter="\t")) - 1
        load = os.getloadavg()[0]
        program = str(Path(sys.executable).parent / "passerelle")
        commands = {
            _OURS: [program, "submit-fec", str(file), "--firm", "F", "--folder", "D", "--dry-run"],
            _THEIRS: [sys.executable, "-c", _READER, str(file)],
        }
        turns: dict[str, list[tuple[float, int]]] = {name: [] for name in commands}
        for number in range(rounds):
            # Whoever is first in one round is last in the next.
            for name in (_OURS, _THEIRS) if number % 2 else (_THEIRS, _OURS):
                turns[name].append(_timed(commands[name]))
    click.echo(f"{count:,} lines, {rounds} rounds, load before {load:.1f}")
    for name, found in turns.items():
        rates = sorted(count / seconds for seconds, _ in found)
        peak = max(peak for _, peak in found)
        click.echo(
            f"{name:<22}{statistics.median(rates):>9,.0f} lines/s ({rates[0]:,.0f} to "
            f"{rates[-1]:,.0f}), peak {peak} MiB"
        )
    ratios = [ours / theirs for (ours, _), (theirs, _) in zip(*turns.values(), strict=True)]
    click.echo(f"{_OURS} takes {statistics.median(ratios):.1f} times as long")


def _timed(command: list[str]) -> tuple[float, int]:
    """Seconds, and the peak of memory in MiB."""
    before = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - before
    if status:
        raise click.ClickException(f"{command[0]} ended with status {status}")
    return seconds, used.ru_maxrss // 1024


if __name__ == "__main__":
    main()
