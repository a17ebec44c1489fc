"""`passerelle submit-fec`."""

import gc
import os
from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from config.settings import read_table
from passerelle.cli.options import direct_option
from passerelle.cli.output import (
    json_option,
    print_facts,
    print_json_parts,
    print_rows,
    shown,
)
from passerelle.cli.progress import progress
from passerelle.domain.errors import PasserelleError
from passerelle.domain.event import Kind
from passerelle.domain.limits import Lengths
from passerelle.fec.entries import MOST_JOURNAL_CHARACTERS, Choices
from passerelle.fec.examination import Report, events, examine
from passerelle.fec.reader import FecFile, open_fec
from passerelle.fec.report import HARMLESS, Finding
from passerelle.fec.scratch import Kept

_MOST_SHOWN = 20
_GC_THRESHOLD = 50_000
_COLUMNS = ("journal", "label", "kind", "entries", "lines", "debit", "credit")


if TYPE_CHECKING:
    from passerelle.cli.fec_sending import Sending


class _Pair(click.ParamType[Any]):
    """`LEFT=RIGHT`, of which `read` makes the right."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        left, equals, right = (part.strip() for part in str(value).partition("="))
        if not (left and equals and right):
            self.fail(f"{value!r} is not written {self.name}", param, ctx)
        try:
            return left, self._read(right)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _kind(text: str) -> Kind:
    if text not in {*Kind}:
        raise ValueError(f"{text!r} is no kind: {', '.join(Kind)}")
    return Kind(text)


def _code(text: str) -> str:
    if len(text) > MOST_JOURNAL_CHARACTERS:
        raise ValueError(f"{text!r} is longer than {MOST_JOURNAL_CHARACTERS} characters")
    return text


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--firm", required=True, help="The code of the firm.")
@click.option("--folder", required=True, help="The code of the folder.")
@click.option("--dry-run", is_flag=True, help="Only read the file and report.")
@click.option(
    "--journal",
    "kinds",
    multiple=True,
    type=_Pair("CODE=KIND", _kind),
    metavar="CODE=KIND",
    help=f"What a journal holds: {', '.join(Kind)}.",
)
@click.option(
    "--map-journal",
    "journals",
    multiple=True,
    type=_Pair("CODE=CODE", _code),
    metavar="CODE=CODE",
    help="Send a journal's entries to another journal of Loop, as in AN=RAN.",
)
@click.option("--without-opening", is_flag=True, help="Leave out what opens the year (à-nouveaux).")
@direct_option
@json_option
def submit_fec(  # noqa: PLR0913 click hands over each option
    file: BinaryIO,
    firm: str,
    folder: str,
    *,
    dry_run: bool,
    kinds: tuple[tuple[str, Kind], ...],
    journals: tuple[tuple[str, str], ...],
    without_opening: bool,
    direct: bool,
    as_json: bool,
) -> None:
    """Turn an FEC file (fichier des écritures comptables) into events and submit them.

    The report comes first, then what it calls entries is sent. The same file twice changes
    nothing, nor do the same entries in a newer export. What is left out is reported and makes the
    exit code 1.
    """
    if not file.seekable():
        raise PasserelleError("The file is read twice, so it cannot be a pipe.")
    sending = None if dry_run else _sending(firm, folder, direct=direct)
    # Lines are many and hold no cycles: to look for some takes a tenth of the time.
    gc.set_threshold(_GC_THRESHOLD)
    choices = Choices(dict(kinds), dict(journals), with_opening=not without_opening)
    with ExitStack() as stack:
        with progress("Reading", os.fstat(file.fileno()).st_size) as advance:
            fec = stack.enter_context(open_fec(file, advance))
        _check_journals(fec, {*choices.kinds, *choices.journals})
        with progress("Checking", fec.lines) as advance:
            report = examine(fec, Lengths(**read_table("limits")["fields"]), choices, advance)
        if not as_json:
            _print_report(fec, report)
        if sending is not None:
            sending.send(events(fec, firm, folder, choices))
            if not as_json:
                click.echo()
                print_facts(
                    {**sending.counts, "unchanged": sending.unchanged, "erased": sending.erased}
                )
        if as_json:
            print_json_parts(_document(fec, report, sending))
        reasons = {finding.reason for finding in report.left_out}
    if reasons - HARMLESS:
        raise PasserelleError("Not all of the file was taken; the report says what was left out.")


def _sending(firm: str, folder: str, *, direct: bool) -> "Sending":
    # Imported here: a report needs neither broker nor database, and starts in a tenth of the time.
    from passerelle.cli.fec_sending import Sending

    return Sending(firm, folder, direct=direct)


def _check_journals(fec: FecFile, named: AbstractSet[str]) -> None:
    unknown = sorted(named - fec.journals)
    if unknown:
        raise PasserelleError(
            f"The file has no journal {', '.join(unknown)}; it has "
            f"{', '.join(sorted(fec.journals))}."
        )


def _document(fec: FecFile, report: Report, sending: "Sending | None") -> dict[str, object]:
    layout, encoding = fec.layout, fec.encoding
    return {
        "file": {
            "encoding": encoding.name,
            "encoding_evidence": encoding.evidence,
            "separator": layout.separator_name,
            "line_end": fec.line_end,
            "columns_not_carried": layout.unread,
            "columns_missing": layout.absent,
        },
        "lines": fec.lines,
        "entries": report.entries,
        "journals": [
            {"journal": code, **asdict(totals)} for code, totals in report.journals.items()
        ],
        "left_out": (finding._asdict() for finding in report.left_out),
        "notes": (_without_reason(finding) for finding in report.notes),
        "without_piece_ref": report.without_piece_ref,
        "without_valid_date": report.without_valid_date,
        "opening": (_without_reason(finding) for finding in report.opening),
        "cuts": (cut.as_json() for cut in report.cuts),
        "collisions": [collision._asdict() for collision in report.collisions],
        "submitted": None if sending is None else sending.counts,
        "unchanged": None if sending is None else sending.unchanged,
        "erased": None if sending is None else sending.erased,
    }


def _without_reason(finding: Finding) -> dict[str, Any]:
    return {key: value for key, value in finding._asdict().items() if key != "reason"}


def _print_report(fec: FecFile, report: Report) -> None:
    layout = fec.layout
    facts = {
        "encoding": f"{fec.encoding.name} ({fec.encoding.evidence})",
        "separator": f"{layout.separator_name}, lines end with {fec.line_end}",
        "columns not carried": ", ".join(layout.unread),
        "columns missing": ", ".join(layout.absent),
    }
    print_facts({name: fact for name, fact in facts.items() if fact})
    click.echo()
    print_rows(
        [
            {
                "journal": code if code == totals.sent_as else f"{code} as {totals.sent_as}",
                "label": totals.label,
                "kind": ", ".join(f"{kind} {count:,}" for kind, count in totals.kinds.items()),
                "entries": totals.entries,
                "lines": totals.lines,
                "debit": totals.debit,
                "credit": totals.credit,
            }
            for code, totals in report.journals.items()
        ],
        dict(zip(_COLUMNS, _COLUMNS, strict=True)),
        as_json=False,
    )
    _print_some("Opens the year", report.opening)
    _print_some("Left out", report.left_out)
    _print_kinds("Taken, but not quite as written", report.notes)
    _print_some("Too long for Loop, which gets the beginning", report.cuts)
    _print_some("Auxiliary codes that Loop could not tell apart", report.collisions)
    _print_substitute("EcritureNum stands in for a blank PieceRef", report.without_piece_ref)
    _print_substitute("EcritureDate stands in for a blank ValidDate", report.without_valid_date)
    left_out = sum(len(finding.lines) for finding in report.left_out)
    click.echo()
    print_facts({"lines": fec.lines, "left out": left_out, "entries": report.entries})


def _print_substitute(what: str, entries: int) -> None:
    if entries:
        click.echo(f"\n{what}: {entries:,} entries")


def _print_some(heading: str, items: Kept[Any] | Sequence[object]) -> None:
    if items:
        click.echo(f"\n{heading}: {len(items):,}")
    for item in islice(items, _MOST_SHOWN):
        click.echo(f"  {shown(item)}")
    if len(items) > _MOST_SHOWN:
        click.echo(f"  … and {len(items) - _MOST_SHOWN:,} more; `--json` gives all.")


def _print_kinds(heading: str, notes: Kept[Finding]) -> None:
    """How many of a kind, and the first of each: most entries of a file have the same."""
    counts: Counter[str] = Counter()
    first: dict[str, Finding] = {}
    for note in notes:
        kind = note.message.partition(":")[0]
        counts[kind] += 1
        first.setdefault(kind, note)
    if notes:
        click.echo(f"\n{heading}: {len(notes):,}")
    for kind, count in counts.most_common():
        click.echo(f"  {count:,} times {kind}, such as {shown(first[kind])}")
