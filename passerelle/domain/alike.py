"""Which refusals are alike, so that three hundred of them are one case to read (rule 17)."""

import re

from passerelle.domain.text import normalise

_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_NUMBER = re.compile(r"\d+(?:[\s.,:/-]*\d+)*")
_LENGTH = 200
"""Characters: an index row holds 2,700 bytes at most."""


def alike(message: str) -> str:
    """Loop's words without what differs from entry to entry: numbers, dates, ids, case."""
    folded = _UUID.sub("#", normalise(message).casefold())
    return _NUMBER.sub("#", folded)[:_LENGTH]
