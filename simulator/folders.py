"""A folder (dossier): its reference data, its open period, and who may reach it."""

import datetime as dt
import enum
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from simulator.wordings import Language


class Access(enum.StrEnum):
    """Where a refusal of access shows (reference: Loop API 10, unknown 11: both may be)."""

    GRANTED = "granted"
    REFUSED_AT_POST = "refused_at_post"
    REFUSED_AT_END = "refused_at_end"


class Kind(enum.IntEnum):
    """Loop's `type` of a third party. Reference: Loop API 3.4."""

    CUSTOMER = 0
    SUPPLIER = 1
    EMPLOYEE = 2
    OTHER = 4


class _Record(Protocol):
    @property
    def code(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Account:
    code: str
    label: str = ""
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Journal:
    """`type`: 1 purchases … 8 sales. Reference: Loop API 3.2."""

    code: str
    label: str = ""
    type: int = 2
    closed: bool = False


@dataclass(frozen=True, slots=True)
class ThirdParty:
    code: str
    name: str = ""
    kind: Kind = Kind.OTHER
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    code: str
    label: str = ""
    axis: str = ""
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Establishment:
    """`code` is the SIRET."""

    code: str
    name: str = ""


R = TypeVar("R", bound=_Record)


class Catalogue(Generic[R]):
    """What a folder has of one kind; a catalogue that was not given accepts any code."""

    def __init__(self, given: Iterable[R] | None = None) -> None:
        self.given = given is not None
        self.records: dict[str, R] = {record.code: record for record in given or ()}

    def get(self, code: str) -> R | None:
        return self.records.get(code)

    def lacks(self, code: str) -> bool:
        """Whether a line with this code cannot be booked as it is."""
        return self.given and code not in self.records

    def add(self, record: R) -> None:
        self.records.setdefault(record.code, record)


class ThirdParties(Catalogue[ThirdParty]):
    """Found by kind too: each kind has a list of its own. Reference: Loop API 3.4."""

    def __init__(self, given: Iterable[ThirdParty] | None = None) -> None:
        super().__init__(given)
        self.of_kind: dict[Kind, dict[str, ThirdParty]] = {kind: {} for kind in Kind}
        for party in self.records.values():
            self.of_kind[party.kind][party.code] = party

    def add(self, record: ThirdParty) -> None:
        if record.code not in self.records:
            self.records[record.code] = self.of_kind[record.kind][record.code] = record


@dataclass(slots=True)
class Folder:
    """`open_from` and `open_to` are inclusive; None does not bound."""

    code: str
    domain: str = ""
    name: str = ""
    open_from: dt.date | None = None
    open_to: dt.date | None = None
    access: Access = Access.GRANTED
    language: Language = Language.FR
    collaborator: str = "LOOPAPI"
    accounts: Catalogue[Account] = field(default_factory=Catalogue)
    journals: Catalogue[Journal] = field(default_factory=Catalogue)
    third_parties: ThirdParties = field(default_factory=ThirdParties)
    sections: Catalogue[Section] = field(default_factory=Catalogue)
    establishments: Catalogue[Establishment] = field(default_factory=Catalogue)

    def change(self, fields: Mapping[str, Any]) -> None:
        """Set fields by name; a tuple of records, or None, becomes a catalogue."""
        for name, value in fields.items():
            before = getattr(self, name)
            setattr(self, name, type(before)(value) if isinstance(before, Catalogue) else value)

    def is_open(self, date: dt.date) -> bool:
        return (self.open_from is None or self.open_from <= date) and (
            self.open_to is None or date <= self.open_to
        )


class Folders:
    """The folders of all domains. Unless `strict`, any code exists and accepts everything."""

    def __init__(self, given: Iterable[Mapping[str, Any]]) -> None:
        self._domains: defaultdict[str, dict[str, Folder]] = defaultdict(dict)
        for fields in given:
            self.change(fields.get("domain", ""), fields["code"], fields)

    def get(self, domain: str, code: str, *, strict: bool) -> Folder | None:
        folder = self._domains[domain].get(code)
        if folder is None and not strict:
            folder = self._domains[domain][code] = Folder(code, domain)
        return folder

    def of(self, domain: str) -> Iterable[Folder]:
        """Those of a domain that were given or named."""
        return self._domains[domain].values()

    def change(self, domain: str, code: str, fields: Mapping[str, Any]) -> Folder:
        folder = self._domains[domain].setdefault(code, Folder(code, domain))
        folder.change(fields)
        return folder


def kind_of(account: str) -> Kind:
    """The kind of third party that a line on this account creates (assumption: French chart)."""
    return {"40": Kind.SUPPLIER, "41": Kind.CUSTOMER, "42": Kind.EMPLOYEE}.get(
        account[:2], Kind.OTHER
    )
