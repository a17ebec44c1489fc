"""What an event or an entry means, in 32 bytes: equal meaning gives equal bytes.

The SHA-256 of a canonical JSON text. However the hub wrote it, the same amount, rate, instant or
currency is the same; the order of lines is part of the meaning. What is absent is left out, so that
a field added to the contract one day leaves the fingerprints in the database as they are.
"""

import dataclasses
import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from passerelle.domain.event import (
    Attachment,
    Auxiliary,
    Entry,
    Event,
    Journal,
    Lettering,
    Line,
)


def event_fingerprint(event: Event) -> bytes:
    """32 bytes for all that the event says, its id included."""
    return _digest(event)


def entry_fingerprint(entry: Entry) -> bytes:
    """32 bytes for what the entry books: everything but its attachment, whose link is renewed."""
    return _digest(dataclasses.replace(entry, attachment=None))


def _digest(meaning: Event | Entry) -> bytes:
    # JSON keeps any two different trees of strings apart, whatever characters they hold.
    text = json.dumps(meaning, default=_plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).digest()


def _plain(value: object) -> object:
    return _PLAIN.get(type(value), _present)(value)


def _present(value: Any) -> dict[str, object]:
    return {
        name: content
        for name in _NAMES[type(value)]
        if (content := getattr(value, name)) is not None
    }


def _line(line: Line) -> dict[str, object]:
    found = _present(line)
    if line.currency_rate is not None:
        found["currency_rate"] = _rate(line.currency_rate)
    return found


def _rate(rate: str) -> str:
    whole, _, decimals = rate.partition(".")
    return f"{whole.lstrip('0')}.{decimals.rstrip('0')}"


_NAMES: dict[type[Any], list[str]] = {
    kind: [field.name for field in dataclasses.fields(kind)]
    for kind in (Event, Entry, Journal, Line, Auxiliary, Lettering, Attachment)
}
_PLAIN: dict[type[Any], Callable[[Any], object]] = {
    Decimal: lambda amount: f"{amount:.2f}",
    dt.datetime: lambda moment: moment.astimezone(dt.UTC).isoformat(),
    dt.date: dt.date.isoformat,
    uuid.UUID: str,
    Line: _line,
}
