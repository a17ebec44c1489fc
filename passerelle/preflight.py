"""Entries that Loop would not take are not sent, and say what is wrong.

What looks missing is asked for by name, then the folder's lists are read anew, before it is
believed to be.
"""

import dataclasses
import difflib
import json
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine

from passerelle.domain.outcome import Answer
from passerelle.domain.preflight import Code, Lack, Looks, Uses, lacks, root
from passerelle.domain.referential import Kind
from passerelle.domain.states import Reason, Scope, State
from passerelle.loop_api.client import Credentials, Loop
from passerelle.observe import log
from passerelle.store import preflight as store
from passerelle.store.cases import Cause, open_case
from passerelle.store.claims import Due, FolderRow
from passerelle.store.preflight import Known
from passerelle.store.referentials import row, take_over
from passerelle.store.revisions import settle
from passerelle.store.transitions import Change, move
from passerelle.store.unanswered import heed
from passerelle.turns import READING, Turns

_WAIT_SECONDS = 60.0
"""An entry waits so long for its folder's lists, unless they are read before."""

_LATER_SECONDS = 2.0
"""What Loop was not asked for yet comes after what may be sent."""

_MOST_ASKED_FOR = 50
"""Codes of one delivery that Loop is asked for by name; the others wait for their turn."""

_TO_BE_READ = "{} The folder's lists are read once more before that is believed."
_NEAREST = 3
_NEIGHBOURS = 100
# Of an account the first digits say what it is for.
_STARTS = {Kind.ACCOUNT: (3, 2), Kind.JOURNAL: (0,)}


@dataclass(frozen=True, slots=True)
class Claimed:
    """Entries that a delivery has claimed under its lease; what each uses, as far as it tells."""

    folder: FolderRow
    lease: uuid.UUID
    dues: Sequence[Due]
    uses: Mapping[int, Uses]


@dataclass(slots=True)
class _Asked:
    """Codes that Loop was asked for, and those of them that it has and has not closed.

    `failed`: it did not say of the others.
    """

    codes: set[Code] = field(default_factory=set)
    shown: set[Code] = field(default_factory=set)
    failed: bool = False


@dataclass(slots=True)
class _Sorted:
    """What becomes of claimed entries: by what they lack, or at once."""

    parked: dict[Lack, list[int]] = field(default_factory=lambda: defaultdict(list))
    waiting: dict[Lack, list[int]] = field(default_factory=lambda: defaultdict(list))
    later: list[int] = field(default_factory=list)
    again: list[int] = field(default_factory=list)
    going: list[Due] = field(default_factory=list)


class Preflight:
    """`ask_seconds`: how long Loop is asked for codes by name. `chance` gives numbers 0 to 1."""

    def __init__(
        self,
        engine: Engine,
        loop: Loop,
        turns: Turns,
        ask_seconds: float,
        chance: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._loop = loop
        self._turns = turns
        self._ask_seconds = ask_seconds
        self._chance = chance

    def known(self, connection: Connection, folder_id: int, uses: Sequence[Uses]) -> Known:
        """What is known of a folder for entries that use so much of it."""
        return store.known(connection, folder_id, uses)

    def passing(self, claimed: Claimed, known: Known, credentials: Credentials) -> list[Due]:
        """Those that may be sent now; the others are parked, or given back to wait. To be called
        while a request is made ready: Loop may be asked meanwhile.

        No entry where Loop was asked for codes and took long: the POST needs time under the lease.
        """
        end_by = time.monotonic() + self._ask_seconds
        faulty = {
            entry: faults
            for entry, uses in claimed.uses.items()
            if (faults := list(lacks(uses, known.chart, known.now)))
        }
        if not faulty:
            return list(claimed.dues)
        with self._engine.begin() as connection:
            known = dataclasses.replace(known, told=store.told(connection, claimed.folder.id))
        doubted: list[tuple[Due, list[Lack]]] = []
        found = _Sorted()
        for due in claimed.dues:
            faults = faulty.get(due.id, [])
            own = next((lack for lack in faults if lack.code is None), None)
            missed = [lack for lack in faults if not _is_in_vain(due, lack, known)]
            if own is not None:
                found.parked[own].append(due.id)
            elif missed:
                doubted.append((due, missed))
            else:
                found.going.append(due)
        if doubted:
            codes = {lack.code for _, missed in doubted for lack in missed if lack.code is not None}
            some = sorted(codes)[:_MOST_ASKED_FOR]
            with self._turns.stepping_aside():
                asked = self._ask(claimed.folder, some, credentials, end_by)
            if asked.shown:
                with self._engine.begin() as connection:
                    store.heal_cured(connection, claimed.folder.id)
            for due, missed in doubted:
                _sort(due, missed, asked, known, found)
            if time.monotonic() > end_by:
                found.again += [due.id for due in found.going]
                found.going = []
        self._set_aside(claimed, found)
        return found.going

    def _set_aside(self, claimed: Claimed, found: _Sorted) -> None:
        for lack, entries in found.parked.items():
            self._park(claimed, lack, entries)
        for lack, entries in found.waiting.items():
            message = _TO_BE_READ.format(lack.message)
            change = Change(State.WAITING, message=message, due_in=_WAIT_SECONDS)
            with self._engine.begin() as connection:
                # The folder before its entries, as everybody locks.
                store.read_soon(connection, claimed.folder.id)
                store.miss(connection, _given_back(connection, claimed, entries, change))
        with self._engine.begin() as connection:
            later = Change(State.WAITING, due_in=_LATER_SECONDS)
            store.miss(connection, _given_back(connection, claimed, found.later, later))
            _given_back(connection, claimed, found.again, Change(State.WAITING))

    def _park(self, claimed: Claimed, lack: Lack, entries: list[int]) -> None:
        folder = claimed.folder
        with self._engine.begin() as connection:
            if lack.reason is Reason.ATTACHMENT_EXPIRED:
                links = {entry: claimed.uses[entry].link for entry in entries}
                renewed = store.renewed(connection, links)
                _given_back(connection, claimed, renewed, Change(State.WAITING))
                entries = [entry for entry in entries if entry not in renewed]
            if not entries:
                return
            message = lack.message + _hint(connection, folder.id, lack.code)
            cause = "" if lack.code is None else lack.code[1]
            place = (Scope.FOLDER, folder.firm_id, folder.id)
            case_id = open_case(connection, Cause(*place, lack.reason, message, cause))
            change = Change(State.PARKED, lack.reason, message, case_id)
            _given_back(connection, claimed, entries, change)
        log.info("entries were parked before they were sent", reason=lack.reason, case=case_id)

    def _ask(
        self, folder: FolderRow, codes: Sequence[Code], credentials: Credentials, end_by: float
    ) -> _Asked:
        """Ask Loop for these codes by name, and keep what it shows."""
        asked = _Asked()
        for kind, code in codes:
            for writing in self._writings(folder.id, kind, code):
                if time.monotonic() > end_by:
                    return asked
                with self._turns.turn(folder.firm_id, READING) as granted:
                    if not granted:
                        return asked
                    page = self._loop.find_code(credentials, folder.code, kind, writing)
                with self._engine.begin() as connection:
                    if isinstance(page, Answer):
                        asked.failed = True
                        # A key that may not read this list is no refused key: the POST will tell.
                        if page.reason is not Reason.CREDENTIALS_REFUSED:
                            heed(connection, folder.firm_id, folder.id, page, self._chance())
                        return asked
                    self._turns.answered(connection, folder.firm_id)
                    found = {one.code: one for one in page.records if _is(kind, one.code, code)}
                    rows = json.dumps([row(one) for one in found.values()]).encode()
                    take_over(connection, folder, kind, rows)
                if not all(one.closed for one in found.values()):
                    asked.shown.add((kind, code))
                    break
            asked.codes.add((kind, code))
        return asked

    def _writings(self, folder_id: int, kind: Kind, code: str) -> list[str]:
        """As it is given, and as long as the accounts beside it are."""
        if kind is not Kind.ACCOUNT:
            return [code]
        with self._engine.begin() as connection:
            beside = _neighbours(connection, folder_id, kind, code)
        shortest = root(code)
        lengths = {len(code), *map(len, beside)}
        return [shortest.ljust(one, "0") for one in sorted(lengths) if one >= len(shortest)]


def _sort(due: Due, missed: Sequence[Lack], asked: _Asked, known: Known, found: _Sorted) -> None:
    """What Loop, asked by name, does not show is missing once its lists were read as well."""
    absent = [lack for lack in missed if lack.code not in asked.shown]
    unasked = [lack for lack in absent if lack.code not in asked.codes]
    sure = [lack for lack in absent if lack not in unasked and _looks(due, lack, known).enough]
    if not absent:
        found.again.append(due.id)
    elif sure:
        found.parked[sure[0]].append(due.id)
    elif asked.failed and _looks(due, absent[0], known).in_vain:
        found.going.append(due)
    elif unasked == absent and not asked.failed:
        found.later.append(due.id)
    else:
        found.waiting[absent[0]].append(due.id)


def _is_in_vain(due: Due, lack: Lack, known: Known) -> bool:
    """Whether Loop is to say itself, because its lists could not be read for so long."""
    looks = _looks(due, lack, known)
    return looks.in_vain and not looks.enough


def _looks(due: Due, lack: Lack, known: Known) -> Looks:
    kind, code = lack.code or (None, "")
    return Looks(
        known.now,
        due.lacking_since,
        known.read_from,
        kind in known.doubtful,
        (lack.reason, code) in known.told,
    )


def _is(kind: Kind, found: str, code: str) -> bool:
    return root(found) == root(code) if kind is Kind.ACCOUNT else found == code


def _given_back(
    connection: Connection, claimed: Claimed, entries: Sequence[int], change: Change
) -> list[int]:
    """Those that were still the delivery's."""
    moved = move(connection, entries, {State.POSTING}, change, held_lease=claimed.lease)
    settle(connection, moved)
    return moved


def _neighbours(connection: Connection, folder_id: int, kind: Kind, code: str) -> list[str]:
    """What stands beside a code in its list and is open; nothing where nothing is near it."""
    for length in _STARTS[kind]:
        start = code[:length]
        found = store.beside(connection, folder_id, kind, code, start, _NEIGHBOURS)
        if found:
            return found
    return []


def _hint(connection: Connection, folder_id: int, missing: Code | None) -> str:
    """The nearest codes, as a sentence; not what they are called, which may be people's names."""
    if missing is None:
        return ""
    kind, code = missing
    beside = _neighbours(connection, folder_id, kind, code)
    nearest = difflib.get_close_matches(code, beside, _NEAREST, cutoff=0.0)
    return f" Nearest: {', '.join(nearest)}." if nearest else ""
