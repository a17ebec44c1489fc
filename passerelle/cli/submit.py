"""`passerelle submit`."""

import click

from passerelle.cli.ndjson import Telling, read_files, size
from passerelle.cli.options import direct_option
from passerelle.cli.output import json_option
from passerelle.cli.progress import progress
from passerelle.cli.submission import door, print_counts, submit_all


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
    telling = Telling("are no JSON")
    with progress("Submitting", size(files)) as advance:
        submit_all(read_files(files, telling), to, advance)
    telling.end()
    print_counts(to, as_json=as_json)
