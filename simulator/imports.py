"""An import request on its way: queued, running, ended. Reference: Loop API 3.7 and 3.10."""

import datetime as dt
import enum
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from simulator import money, wordings
from simulator.folders import Access, Folder
from simulator.payload import Line, Payload
from simulator.wordings import Language

LABEL_LENGTH = 35
THIRD_PARTY_LENGTH = 17


class LineError(ValueError):
    """A line that no books can take; the text is for people."""


class Status(enum.IntEnum):
    WAITING = 1
    RUNNING = 2
    DONE = 3
    FAILED = 4


class Landing(enum.Enum):
    """What a failing import leaves in the books all the same."""

    NOTHING = "nothing"
    EVERY_SECOND_ENTRY = "the first entry, the third, …"
    HALF_OF_EACH = "of each entry the first half of its lines"
    EVERYTHING = "all of it"


class Origin(enum.Enum):
    """What Loop makes of `ecritureOrigine`."""

    KEPT = "kept"
    DROPPED = "dropped"
    REWRITTEN = "rewritten"


@dataclass(frozen=True, slots=True)
class Course:
    """How one import will go: a fault changes what stands here. Times in seconds.

    `stuck_for` None: for ever.
    """

    access: Access
    language: Language
    folder_known: bool = True
    stuck_at: Status | None = None
    stuck_for: float | None = None
    delay: float = 0
    hidden: float = 0
    failing: Landing | None = None
    attachment_refused: bool = False
    origin: Origin = Origin.KEPT
    waiting_third_party: bool = False
    twin: bool = False

    @property
    def ends(self) -> bool:
        return self.stuck_at is None or self.stuck_for is not None

    def spent_at(self, status: Status) -> float:
        """What the import spends at the status beyond its ordinary time; of one that ends."""
        stuck = self.stuck_for or 0 if self.stuck_at is status else 0
        return stuck + self.delay if status is Status.WAITING else stuck


@dataclass(slots=True)
class Import:
    """`ended` is None until then; `reason` is for people, Loop itself gives none."""

    request_id: str
    folder: Folder
    payload: Payload | None
    course: Course
    received_at: dt.datetime
    running_at: dt.datetime
    ended: Status | None = None
    ended_at: dt.datetime | None = None
    reason: str | None = None
    message: str | None = None
    sent_lines: int = 0
    booked_entries: int = 0

    def status(self, now: dt.datetime) -> Status:
        if self.ended is not None:
            return self.ended
        never_runs = self.course.stuck_at is Status.WAITING and not self.course.ends
        if never_runs or now < self.running_at:
            return Status.WAITING
        return Status.RUNNING

    def as_json(self, now: dt.datetime) -> dict[str, Any]:
        return {
            "request_id": self.request_id,
            "domain": self.folder.domain,
            "folder": self.folder.code,
            "status": int(self.status(now)),
            "reason": self.reason,
            "received_at": self.received_at.isoformat(),
            "ended_at": None if self.ended_at is None else self.ended_at.isoformat(),
            "lines": self.sent_lines,
            "booked_entries": self.booked_entries,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """`landing` None: everything lands. Nothing that is not `bookable` may be booked."""

    status: Status
    bookable: bool
    reason: str | None = None
    message: str | None = None
    landing: Landing | None = None


def verdict(payload: Payload, folder: Folder, course: Course) -> Verdict:
    """How the import ends. All or nothing, unless a fault says otherwise (assumption 3)."""
    if course.access is Access.REFUSED_AT_END:
        message = wordings.access_refused(course.language, folder.collaborator, folder.code)
        return _failed(message, wordings.of_import(message, course.language))
    for number, line in enumerate(payload.lines, start=1):
        problem = _problem(line, payload, folder)
        if problem is not None:
            return _failed(f"ligne {number} : {problem}")
    unbalanced = _unbalanced(payload) if payload.fail_on_unbalanced else None
    if unbalanced is not None:
        return _failed(unbalanced)
    if course.failing is not None:
        words = wordings.ATTACHMENT_REFUSED if course.attachment_refused else None
        return Verdict(
            Status.FAILED,
            bookable=True,
            reason=words or "panne demandée",
            message=words and wordings.of_import(words),
            landing=course.failing,
        )
    return Verdict(Status.DONE, bookable=True)


def _failed(reason: str, message: str | None = None) -> Verdict:
    return Verdict(Status.FAILED, bookable=False, reason=reason, message=message)


def _problem(line: Line, payload: Payload, folder: Folder) -> str | None:
    """Why the line cannot be booked.

    That these things show at the end, and that a long text is refused rather than cut, is assumed
    (reference: Loop API 6, 8, and 10, unknowns 14 to 16).
    """
    try:
        date = _date(_text(line, "date"))
        _text(line, "libelle", most=LABEL_LENGTH)
        _text(line, "tiers", most=THIRD_PARTY_LENGTH)
        for key in ("refPiece", "reference", "ecritureOrigine"):
            _text(line, key)
        debit, credit = sides(line)
        journal, account = _text(line, "journal"), _text(line, "compte")
    except ValueError as error:
        return str(error)
    if debit and credit:
        return "débit et crédit à la fois"
    if not folder.is_open(date):
        return f"le {date} est hors de la période ouverte"
    return _unknown_code(journal, account, payload, folder)


def _unknown_code(journal: str, account: str, payload: Payload, folder: Folder) -> str | None:
    known_journal, known_account = folder.journals.get(journal), folder.accounts.get(account)
    if not journal or (folder.journals.lacks(journal) and not payload.create_journals):
        return f"le journal {journal} est inconnu"
    if not account or (folder.accounts.lacks(account) and not payload.create_accounts):
        return f"le compte {account} est inconnu"
    if known_journal is not None and known_journal.closed:
        return f"le journal {journal} est fermé"
    if known_account is not None and known_account.closed:
        return f"le compte {account} est fermé"
    return None


def _date(text: str) -> dt.date:
    """The day of an ISO time, as it is written: nothing is converted (assumption 23)."""
    dt.datetime.fromisoformat(text)
    return dt.date.fromisoformat(text[:10])


def _text(line: Line, key: str, most: int | None = None) -> str:
    value = line.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise LineError(f"{key} : texte attendu")
    if most is not None and len(value) > most:
        raise LineError(f"{key} : plus de {most} caractères")
    return value


def sides(line: Line) -> tuple[int, int]:
    """Debit and credit in cents. Raises ValueError: no such amounts."""
    return _side(line, "debit"), _side(line, "credit")


def _side(line: Line, key: str) -> int:
    side = line.get(key)
    if side is None:
        return 0
    if not isinstance(side, dict):
        raise LineError(f"{key} : objet attendu")
    return money.cents(side.get("amount", 0))


# Journal, date, piece.
Group = tuple[str, str, str | None]


def _group(line: Line) -> Group:
    """How Loop makes entries of lines (assumption 4; reference: Loop API 10)."""
    return line["journal"], line["date"][:10], line.get("refPiece")


def _unbalanced(payload: Payload) -> str | None:
    balances: defaultdict[Group, int] = defaultdict(int)
    for line in payload.lines:
        debit, credit = sides(line)
        balances[_group(line)] += debit - credit
    for (journal, date, piece), balance in balances.items():
        if balance:
            return f"{journal} {date} {piece} : déséquilibre de {money.text(balance)}"
    return None


def entries(lines: Sequence[Line]) -> Iterator[tuple[Group, str | None, list[Line]]]:
    """The lines by group and origin, in the order of their first lines."""
    grouped: defaultdict[tuple[Group, str | None], list[Line]] = defaultdict(list)
    for line in lines:
        grouped[_group(line), line.get("ecritureOrigine")].append(line)
    for (group, origin), own in grouped.items():
        yield group, origin, own
