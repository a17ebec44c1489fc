"""What commands print: tables on a terminal, plain text into a pipe, JSON for programs."""

import datetime as dt
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import click

from schemas.json_text import encode

Row = Mapping[str, Any]
Columns = Mapping[str, str | Callable[[Row], object]]
"""Heading to key, or to what makes the cell of a row."""

json_option = click.option(
    "--json", "as_json", is_flag=True, help="For programs: JSON, and nothing else, on stdout."
)

_CHUNK = 500
"""Rows in one table on a terminal; a longer list is several tables, and never whole in memory."""

# A terminal obeys control characters and marks of writing direction, and text is not ours.
_UNSHOWN = dict.fromkeys(
    [*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)], " "
)


def print_json(document: object) -> None:
    """One JSON document on a line of its own, in UTF-8 whatever the terminal's language."""
    sys.stdout.buffer.write(encode(document) + b"\n")
    sys.stdout.buffer.flush()


def print_json_parts(document: Mapping[str, object]) -> None:
    """One JSON document, of which an iterator is printed as an array while it is gone through."""
    out = sys.stdout.buffer
    glue = b"{"
    for name, value in document.items():
        out.write(glue + encode(name) + b":")
        glue = b","
        if isinstance(value, Iterator):
            separator = b"["
            for item in value:
                out.write(separator + encode(item))
                separator = b","
            out.write(b"[]" if separator == b"[" else b"]")
        else:
            out.write(encode(value))
    out.write(b"}\n")
    out.flush()


def print_rows(rows: Iterable[Row], columns: Columns, *, as_json: bool) -> None:
    """All rows as they come: NDJSON with every key, or `columns` as tables or between tabs."""
    if as_json:
        _write(encode(dict(row)) for row in rows)
        return
    readers = [column if callable(column) else _reader(column) for column in columns.values()]
    cells = ([shown(read(row)) for read in readers] for row in rows)
    if not sys.stdout.isatty():
        # The first row first: where there is an error instead, no heading stands above it.
        first = list(itertools.islice(cells, 1))
        lines = itertools.chain([list(columns)], first, cells)
        _write("\t".join(line).encode() for line in lines)
        return
    while chunk := list(itertools.islice(cells, _CHUNK)):
        _print_table(list(columns), chunk)


def _reader(key: str) -> Callable[[Row], object]:
    return lambda row: row[key]


def _write(lines: Iterable[bytes]) -> None:
    out = sys.stdout.buffer
    for line in lines:
        out.write(line + b"\n")
    out.flush()


def _print_table(headings: list[str], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def shown(value: object) -> str:
    """A value in one line for people; times in UTC to the second."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case dt.datetime():
            return value.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
    return str(value).translate(_UNSHOWN)


def print_facts(facts: Row) -> None:
    """Names and values, one a line, the values under one another."""
    width = max(map(len, facts))
    for name, value in facts.items():
        click.echo(f"{name:<{width}}  {shown(value)}".rstrip())
