"""A folder's reference data: chart of accounts, journals and third parties, as Loop lists them."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Kind(enum.StrEnum):
    """The lists of a folder. Reference: Loop API 3.1, 3.2 and 3.4."""

    ACCOUNT = "account"
    JOURNAL = "journal"
    CUSTOMER = "customer"
    SUPPLIER = "supplier"
    EMPLOYEE = "employee"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Record:
    """One account, journal or third party.

    `label` is its name for people, empty where it has none. `closed`: nothing can be booked on it.
    `object_id` and `revision_id` are Loop's. `whole` is the record as it came, all its fields.
    """

    code: str
    label: str
    closed: bool
    object_id: str | None
    revision_id: str | None
    whole: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list. `received` counts what cannot be read as a record, too."""

    records: tuple[Record, ...]
    received: int


def much_smaller(shown: int, known: int) -> bool:
    """Whether a list has lost so much at once that it is not believed: more than half, or all."""
    return shown * 2 < known
