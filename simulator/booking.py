"""Putting the lines of an ended import into the books."""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from simulator import imports, money
from simulator.attachments import Fetch, Fetched
from simulator.folders import Account, Folder, Journal, ThirdParty, kind_of
from simulator.imports import Course, Group, Import, Landing, Origin, Verdict
from simulator.ledger import Entry, Ledger, packed
from simulator.payload import Line, Payload, attachment

WAITING_THIRD_PARTY = "ATTENTE"
_WAITING_ACCOUNT = "47100000"


@dataclass(frozen=True, slots=True)
class Booking:
    """One import on its way into the ledger at `now`. Without `fetch`, documents are left alone."""

    ledger: Ledger
    imported: Import
    now: dt.datetime
    fetch: Fetch | None = None

    def book(self, payload: Payload, verdict: Verdict) -> int:
        """Book what lands; gives the number of entries."""
        course, folder = self.imported.course, self.imported.folder
        booked = 0
        for number, (group, origin, sent) in enumerate(imports.entries(payload.lines)):
            if course.twin:
                self._add(group, None, None, sent, sent, request_id=None)
            landing = _landing(sent, number, verdict.landing)
            if not landing:
                continue
            lines = _as_booked(landing, payload, folder, course)
            kept = _kept(origin, course)
            self._add(group, origin, kept, sent, lines, self.imported.request_id)
            booked += 1
        return booked

    def _add(
        self,
        group: Group,
        origin: str | None,
        kept: str | None,
        sent: Sequence[Line],
        lines: Sequence[Line],
        request_id: str | None,
    ) -> None:
        journal, date, piece = group
        if request_id is None:
            sent = [{**line, "ecritureOrigine": None} for line in sent]
            lines = sent
        fetched: list[Fetched] = []
        visible_at = self.now + dt.timedelta(seconds=self.imported.course.hidden)
        entry = Entry(
            serial=len(self.ledger) + 1,
            domain=self.imported.folder.domain,
            folder=self.imported.folder.code,
            journal=journal,
            date=date,
            piece_ref=piece,
            origin=origin,
            booked_origin=kept,
            request_id=request_id,
            booked_at=self.now,
            visible_at=visible_at,
            sent=packed(sent),
            booked=None if lines == sent else packed(lines),
            fetched=fetched,
        )
        sums = [imports.sides(line) for line in lines]
        debit, credit = (sum(side) for side in zip(*sums, strict=True))
        self.ledger.add(entry, len(lines), debit, credit)
        if self.fetch is not None and request_id is not None:
            for uri in filter(None, map(attachment, lines)):
                self.fetch(uri, fetched.append)


def _landing(sent: list[Line], number: int, landing: Landing | None) -> list[Line]:
    match landing:
        case None | Landing.EVERYTHING:
            return sent
        case Landing.NOTHING:
            return []
        case Landing.EVERY_SECOND_ENTRY:
            return sent if number % 2 == 0 else []
        case Landing.HALF_OF_EACH:
            return sent[: len(sent) // 2]


def _kept(origin: str | None, course: Course) -> str | None:
    match course.origin:
        case Origin.KEPT:
            return origin
        case Origin.DROPPED:
            return None
        case Origin.REWRITTEN:
            return str(uuid.uuid4())


def _as_booked(lines: list[Line], payload: Payload, folder: Folder, course: Course) -> list[Line]:
    """The lines as they stand in the books; creates what they name and the folder lacks."""
    booked = []
    for line in lines:
        folder.journals.add(Journal(line["journal"], line.get("journalLib") or ""))
        folder.accounts.add(Account(line["compte"], line.get("compteLib") or ""))
        party = line.get("tiers")
        if party and (course.waiting_third_party or _waits(party, payload, folder)):
            booked.append({**line, "tiers": WAITING_THIRD_PARTY})
            continue
        if party:
            name = line.get("libelle") or ""
            folder.third_parties.add(ThirdParty(party, name, kind_of(line["compte"])))
        booked.append(line)
    if payload.balance_auto and not payload.fail_on_unbalanced:
        booked += _balancing(booked)
    return booked


def _waits(party: str, payload: Payload, folder: Folder) -> bool:
    """Without createNewTiers the line goes to the waiting third party. Reference: Loop API 3.7."""
    return folder.third_parties.lacks(party) and not payload.create_third_parties


def _balancing(lines: list[Line]) -> list[Line]:
    """The line that balanceAuto adds; its account is an assumption."""
    balance = sum(debit - credit for debit, credit in map(imports.sides, lines))
    if not balance:
        return []
    side, amount = ("credit", balance) if balance > 0 else ("debit", -balance)
    kept = {key: lines[0].get(key) for key in ("date", "journal", "refPiece", "reference")}
    return [{**kept, "compte": _WAITING_ACCOUNT, side: {"amount": money.number(amount)}}]
