"""NDJSON as people make it: one event a line, and whatever else a line may hold."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO

from passerelle.cli.submission import Item
from passerelle.domain.errors import PasserelleError

# An event has at most 1 MB; a file without line ends must not be read into memory whole.
_LINE_BYTES = 16 * 1024 * 1024
# An event has 5. What is nested deeper than a decoder can follow would fail in the worker.
_MOST_LEVELS = 100
_DEEP = "nested too deep"
_BOM = b"\xef\xbb\xbf"


def read_lines(stream: BinaryIO, name: str, tell: Callable[[str], object]) -> Iterator[Item]:
    """An item for each line that is not blank; one that is no JSON is told of.

    Raises:
        PasserelleError: it is one JSON document over several lines, or a line is too long to be
            submitted at all. What came before has come out.
    """
    first = True
    for number, raw in enumerate(iter(partial(stream.readline, _LINE_BYTES), b""), start=1):
        if len(raw) == _LINE_BYTES:
            raise PasserelleError(
                f"{name}, line {number}, has {_LINE_BYTES:,} bytes or more; no event is so long."
            )
        body = (raw.removeprefix(_BOM) if number == 1 else raw).strip()
        if not body:
            continue
        if first and body in {b"{", b"["}:
            raise PasserelleError(
                f"{name} is one JSON document over several lines; one event a line is expected, "
                "as `jq -c` writes them."
            )
        first = False
        event, reason = _decode(body)
        if reason is None:
            yield Item(body, event)
        else:
            fault = f"{name}, line {number}, is not JSON that can be read: {reason}."
            tell(fault)
            yield Item(body, None, fault)


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
