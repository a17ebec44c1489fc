"""`passerelle reconcile`."""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from tempfile import TemporaryFile
from typing import IO

import click

from passerelle.cli import deployment
from passerelle.cli.errors import telling_how_far
from passerelle.cli.ndjson import Telling, read_files, size
from passerelle.cli.output import (
    Columns,
    Row,
    json_option,
    print_facts,
    print_json_parts,
    print_rows,
)
from passerelle.cli.progress import progress
from passerelle.cli.submission import Item, parts
from passerelle.domain.errors import PasserelleError
from passerelle.domain.event import EntryName, Fault
from passerelle.domain.states import State
from passerelle.store.missing import Known
from schemas.entry_names import entry_name
from schemas.json_text import encode


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@json_option
def reconcile(file: str, *, as_json: bool) -> None:
    """Find what the hub has sent and is not here, or is here and not in Loop yet.

    FILE is what the hub has sent: NDJSON of firm, folder, entry_id and revision; `-` is standard
    input. An entry is known by that revision or a later one. What is unknown is recorded as
    missing in the database, as by the task `entries.reconcile`; sending it again is harmless. The
    exit code is 1 if anything is unknown, or if a line names no entry.
    """
    reconciliation = deployment.runtime().reconciliation
    telling = Telling("name no entry")
    with TemporaryFile() as unknown, TemporaryFile() as not_in_loop:
        found = _Found(_Kept(unknown), _Kept(not_in_loop))
        with progress("Looking up", size([file])) as advance, telling_how_far(found.so_far):
            for part in parts(read_files([file], telling)):
                names = list(_names(part, telling))
                found.add(names, reconciliation.look_up(names))
                advance(sum(len(item.body) for item in part))
        telling.end()
        if as_json:
            _print_document(found, telling.count)
        else:
            _print_lines(found, telling.count)
        told = list(_told(len(found.unknown), telling.count))
    if told:
        raise PasserelleError(" ".join(told))
    if not as_json:
        click.echo("Nothing is missing.")


class _Kept:
    """Rows in a file: there may be a million."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._count = 0

    def append(self, row: Row) -> None:
        self._file.write(encode(row) + b"\n")
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Row]:
        self._file.seek(0)
        return map(json.loads, self._file)


class _Found:
    """What is unknown, and what is known and not in Loop, with the reason; both as rows."""

    def __init__(self, unknown: _Kept, not_in_loop: _Kept) -> None:
        self.named = 0
        self.unknown = unknown
        self.not_in_loop = not_in_loop

    def add(self, names: Sequence[EntryName], standing: Sequence[Known | None]) -> None:
        self.named += len(names)
        for name, known in zip(names, standing, strict=True):
            if known is None:
                self.unknown.append(asdict(name))
            elif known.state is not State.SYNCED:
                here = asdict(known)
                self.not_in_loop.append(
                    asdict(name) | {"known_revision": here.pop("revision")} | here
                )

    @property
    def in_loop(self) -> int:
        return self.named - len(self.unknown) - len(self.not_in_loop)

    def so_far(self) -> str:
        return (
            f"{self.named:,} entries were looked up before; reconciling the same file again is "
            "harmless."
        )


def _names(part: Sequence[Item], tell: Telling) -> Iterator[EntryName]:
    for item in part:
        if item.fault is not None:
            continue
        read = entry_name(item.event)
        if isinstance(read, EntryName):
            yield read
        else:
            tell(f"{item.place}, names no entry: {'; '.join(map(_fault, read))}.")


def _fault(fault: Fault) -> str:
    return f"{fault.path or 'it'} {fault.message}"


def _print_document(found: _Found, wrong_lines: int) -> None:
    print_json_parts(
        {
            "named": found.named,
            "in_loop": found.in_loop,
            "not_in_loop": iter(found.not_in_loop),
            "unknown": iter(found.unknown),
            "wrong_lines": wrong_lines,
        }
    )


def _print_lines(found: _Found, wrong_lines: int) -> None:
    columns: Columns = {
        "state": lambda row: row.get("state", "unknown"),
        "firm": "firm",
        "folder": "folder",
        "entry": "entry_id",
        "revision": _revision,
        "reason": lambda row: row.get("reason"),
        "message": lambda row: row.get("message"),
    }
    if found.unknown or found.not_in_loop:
        print_rows(itertools.chain(found.unknown, found.not_in_loop), columns, as_json=False)
        click.echo()
    print_facts(
        {
            "named": f"{found.named:,}",
            "in Loop": f"{found.in_loop:,}",
            "not in Loop": f"{len(found.not_in_loop):,}",
            "unknown": f"{len(found.unknown):,}",
            "wrong lines": f"{wrong_lines:,}",
        }
    )


def _revision(row: Row) -> str:
    here = row.get("known_revision", row["revision"])
    return str(here) if here == row["revision"] else f"{row['revision']}, here {here}"


def _told(unknown: int, wrong_lines: int) -> Iterator[str]:
    if unknown:
        yield f"Entries unknown here: {unknown:,}. Sending them again is harmless."
    if wrong_lines:
        yield f"Lines that name no entry: {wrong_lines:,}."
