"""JSON as we write it for others."""

import datetime as dt
import json
from decimal import Decimal
from uuid import UUID


def encode(document: object) -> bytes:
    """One document in UTF-8, without blanks; times in ISO 8601, decimals and UUIDs as text."""
    text = json.dumps(document, ensure_ascii=False, default=_plain, separators=(",", ":"))
    return text.encode()


def _plain(value: object) -> object:
    match value:
        case dt.date():
            return value.isoformat()
        case UUID() | Decimal():
            return str(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")
