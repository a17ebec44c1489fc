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
from decimal import Decimal
from typing import Any

from passerelle.domain.event import Entry, Event, Line


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
    match value:
        case Decimal():
            return f"{value:.2f}"
        case dt.datetime():
            return value.astimezone(dt.UTC).isoformat()
        case dt.date():
            return value.isoformat()
        case uuid.UUID():
            return str(value)
        case Line(currency_rate=str(rate)):
            return _present(value) | {"currency_rate": _rate(rate)}
    return _present(value)


def _present(value: Any) -> dict[str, object]:
    given = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
    return {name: content for name, content in given if content is not None}


def _rate(rate: str) -> str:
    whole, _, decimals = rate.partition(".")
    return f"{whole.lstrip('0')}.{decimals.rstrip('0')}"
