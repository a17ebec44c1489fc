"""One answer to one request, and its JSON."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"

# Amounts are refused above fifteen digits, so that float writes them as they were read.
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=float).encode


class RefusedError(Exception):
    """Loop says no in words, under HTTP 200; the text is Loop's message."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`kind` is the word under which the request is counted."""

    status: int
    body: bytes
    kind: str
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def encoded(value: object) -> bytes:
    """Compact UTF-8 JSON; a lone surrogate stays the escape it came as."""
    return _ENCODE(value).encode("utf-8", "backslashreplace")


def answered(value: object, kind: str = "answered") -> Answer:
    return Answer(200, encoded(value), kind)


def error(message: str) -> dict[str, dict[str, str]]:
    return {"error": {"instanceId": str(uuid.uuid4()), "message": message}}


def refused(message: str) -> Answer:
    """A refusal under HTTP 200. Reference: Loop API 3.7.

    Reads are refused in the same shape: the reference does not say how (assumption).
    """
    return Answer(200, encoded(error(message)), "refused")
