"""`passerelle submit`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

import click

from passerelle.cli.ndjson import read_lines
from passerelle.cli.options import direct_option
from passerelle.cli.output import json_option
from passerelle.cli.progress import progress
from passerelle.cli.submission import Item, door, print_counts, submit_all

_MOST_TOLD = 20


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
)
@direct_option
@json_option
def submit(files: tuple[str, ...], *, direct: bool, as_json: bool) -> None:
    """Submit events: NDJSON, one event a line; `-` is standard input.

    Submitting the same file again is harmless. A line that is no JSON is kept among the refused
    events.
    """
    to = door(direct=direct)
    telling = _Telling()
    with progress("Submitting", _size(files)) as advance:
        submit_all(_items(files, telling), to, advance)
    telling.end()
    print_counts(to, as_json=as_json)


class _Telling:
    """Says what is wrong with the first few lines as they are met, and in the end how many more."""

    def __init__(self) -> None:
        self._told = 0

    def __call__(self, fault: str) -> None:
        self._told += 1
        if self._told <= _MOST_TOLD:
            click.echo(fault, err=True)

    def end(self) -> None:
        if self._told > _MOST_TOLD:
            click.echo(f"{self._told - _MOST_TOLD:,} more lines are no JSON.", err=True)


def _items(files: Sequence[str], telling: _Telling) -> Iterator[Item]:
    for file in files:
        name = "standard input" if file == "-" else click.format_filename(file)
        with click.open_file(file, "rb") as stream:
            yield from read_lines(cast("BinaryIO", stream), name, telling)


def _size(files: Sequence[str]) -> int | None:
    """Bytes of all files; None where one has no size, like a pipe."""
    paths = [Path(file) for file in files]
    if "-" in files or not all(path.is_file() for path in paths):
        return None
    return sum(path.stat().st_size for path in paths)
