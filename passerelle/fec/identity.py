"""Ids from what the file says: the same content has the same id in every export.

An entry's id does not change with its amounts and texts where there is anything else to tell it
by: a corrected entry must meet the one that was sent, not be booked beside it.
"""

import json
import uuid
from collections import Counter
from collections.abc import Iterable

from passerelle.fec.scratch import Key

_NAMESPACE = uuid.UUID("ee07c73d-8095-579a-a60a-888d1b8ba0ec")
_MOST_CHARACTERS = 64
_MARK_CHARACTERS = 16


def stable_uuid(content: object) -> uuid.UUID:
    """The same for the same JSON value, on every machine."""
    return uuid.uuid5(_NAMESPACE, json.dumps(content))


def entry_id(key: Key, *more: str) -> str:
    """Readable, as in `fec:20210901:ACH:125`, and with a piece reference `fec:20210901:ACH::F12`.

    Where that would be too long or could be read two ways: `fec:` and a UUID of the parts.
    """
    parts = (*key, *more)
    readable = ":".join(("fec", *parts))
    if len(readable) <= _MOST_CHARACTERS and readable.count(":") == len(parts):
        return readable
    return f"fec:{stable_uuid(parts)}"


class RunIds:
    """Ids for entries of one journal and day that nothing tells but accounts and amounts.

    Those that are alike are numbered in the order of the file.
    """

    def __init__(self, key: Key) -> None:
        self._key = key
        self._met: Counter[str] = Counter()

    def next(self, moved: Iterable[tuple[str, ...]]) -> tuple[str, str]:
        """The entry's id, and what stands in for its piece reference; `moved` is its lines."""
        mark = stable_uuid(sorted(moved)).hex[:_MARK_CHARACTERS]
        self._met[mark] += 1
        if self._met[mark] > 1:
            mark = f"{mark}-{self._met[mark]}"
        return entry_id(self._key, "", mark), f"{self._key[0]}-{mark}"
