"""`passerelle submit-fec`."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, BinaryIO

import click

from passerelle.cli.output import json_option, print_facts, print_json, print_rows, shown
from passerelle.cli.progress import progress
from passerelle.cli.submission import Item, direct_option, door, submit_all
from passerelle.domain.errors import PasserelleError
from passerelle.fec.reader import FecReading, read
from passerelle.fec.report import Finding, Report

_MOST_SHOWN = 20


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--firm", required=True, help="The code of the firm.")
@click.option("--folder", required=True, help="The code of the folder.")
@click.option("--dry-run", is_flag=True, help="Only read the file and report.")
@direct_option
@json_option
def submit_fec(
    file: BinaryIO, firm: str, folder: str, *, dry_run: bool, direct: bool, as_json: bool
) -> None:
    """Turn an FEC file (fichier des écritures comptables) into events and submit them.

    The same file twice changes nothing. What is left out is reported and makes the exit code 1.
    """
    if not file.seekable():
        raise PasserelleError("The file is read twice, so it cannot be a pipe.")
    to = None if dry_run else door(direct=direct)
    reading = read(file, firm, folder)
    with progress("Reading", os.fstat(file.fileno()).st_size) as advance:
        items = _items(reading, file, advance)
        if to is None:
            for _ in items:
                pass
        else:
            submit_all(items, to, lambda _: None)
    counts = None if to is None else to.counts
    if as_json:
        print_json(_document(reading.report, counts))
    else:
        _print_report(reading.report, counts)
    if reading.report.left_out:
        raise PasserelleError("Not all of the file was taken; the report says what was left out.")


def _items(reading: FecReading, file: BinaryIO, advance: Callable[[int], object]) -> Iterator[Item]:
    before = 0
    for event in reading.events:
        yield Item(json.dumps(event).encode(), event)
        advance(file.tell() - before)
        before = file.tell()


def _document(report: Report, counts: dict[str, int] | None) -> dict[str, Any]:
    return {
        "lines": report.lines,
        "entries": report.entries,
        "journals": _journals(report),
        "left_out": [asdict(finding) for finding in report.left_out],
        "notes": [asdict(finding) for finding in report.notes],
        "submitted": counts,
    }


def _journals(report: Report) -> list[dict[str, Any]]:
    return [{"journal": code, **asdict(totals)} for code, totals in report.journals.items()]


def _print_report(report: Report, counts: dict[str, int] | None) -> None:
    columns = ("journal", "label", "entries", "lines", "debit", "credit")
    print_rows(_journals(report), {name: name for name in columns}, as_json=False)
    _print_findings("Left out", report.left_out)
    _print_findings("Taken, but not quite as written", report.notes)
    click.echo()
    print_facts({"lines": report.lines, "entries": report.entries, **(counts or {})})


def _print_findings(heading: str, findings: Sequence[Finding]) -> None:
    if findings:
        click.echo(f"\n{heading}: {len(findings):,}")
    for finding in findings[:_MOST_SHOWN]:
        click.echo(f"  {shown(finding)}")
    if len(findings) > _MOST_SHOWN:
        click.echo(f"  … and {len(findings) - _MOST_SHOWN:,} more; `--json` gives all.")
