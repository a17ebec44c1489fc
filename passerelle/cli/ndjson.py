"""NDJSON as people make it: one object a line, and whatever else a line may hold."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import click

from passerelle.cli.submission import Item
from passerelle.domain.errors import PasserelleError

# An event has at most 1 MB; a file without line ends must not be read into memory whole.
_LINE_BYTES = 16 * 1024 * 1024
# An event has 5. What is nested deeper than a decoder can follow would fail in the worker.
_MOST_LEVELS = 100
_DEEP = "nested too deep"
_BOM = b"\xef\xbb\xbf"
_MOST_TOLD = 20


class Telling:
    """Says what is wrong with the first few lines as they are met, and in the end how many more.

    `what` is what is wrong with all of them.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self.count = 0

    def __call__(self, fault: str) -> None:
        self.count += 1
        if self.count <= _MOST_TOLD:
            click.echo(fault, err=True)

    def end(self) -> None:
        if self.count > _MOST_TOLD:
            click.echo(f"{self.count - _MOST_TOLD:,} more lines {self._what}.", err=True)


def read_files(files: Sequence[str], tell: Callable[[str], object]) -> Iterator[Item]:
    """`read_lines` of each file; `-` is standard input."""
    for file in files:
        name = "standard input" if file == "-" else click.format_filename(file)
        with click.open_file(file, "rb") as stream:
            yield from read_lines(cast("BinaryIO", stream), name, tell)


def size(files: Sequence[str]) -> int | None:
    """Bytes of all files; None where one has no size, like a pipe."""
    paths = [Path(file) for file in files]
    if "-" in files or not all(path.is_file() for path in paths):
        return None
    return sum(path.stat().st_size for path in paths)


def read_lines(stream: BinaryIO, name: str, tell: Callable[[str], object]) -> Iterator[Item]:
    """An item for each line that is not blank; one that is no JSON is told of.

    Raises:
        PasserelleError: it is one JSON document over several lines, or a line is too long to be
            anything of ours. What came before has come out.
    """
    first = True
    for number, raw in enumerate(iter(partial(stream.readline, _LINE_BYTES), b""), start=1):
        place = f"{name}, line {number}"
        if len(raw) == _LINE_BYTES:
            raise PasserelleError(f"{place}, has {_LINE_BYTES:,} bytes or more; that is too long.")
        body = (raw.removeprefix(_BOM) if number == 1 else raw).strip()
        if not body:
            continue
        if first and body in {b"{", b"["}:
            raise PasserelleError(
                f"{name} is one JSON document over several lines; one object a line is expected, "
                "as `jq -c` writes them."
            )
        first = False
        event, reason = _decode(body)
        if reason is None:
            yield Item(body, event, place=place)
        else:
            fault = f"{place}, is not JSON that can be read: {reason}."
            tell(fault)
            yield Item(body, None, fault, place)


def _decode(body: bytes) -> tuple[object, str | None]:
    """What the line says, or else why it says nothing."""
    try:
        event = json.loads(body.decode())
    except json.JSONDecodeError as error:
        return None, f"{error.msg} at column {error.colno}"
    except UnicodeDecodeError as error:
        return None, f"byte 0x{body[error.start]:02X} at column {error.start + 1} is not UTF-8"
    except ValueError:
        return None, "a number has thousands of digits"
    except RecursionError:
        return None, _DEEP
    return (None, _DEEP) if _is_deep(event) else (event, None)


def _is_deep(value: object) -> bool:
    level: list[object] = [value]
    for _ in range(_MOST_LEVELS):
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return False
        level = below
    return True
