"""Looking for entries in Loop: two strategies behind one door (engine rules 10 and 13)."""

from dataclasses import replace
from typing import Protocol

from sqlalchemy import Engine

from passerelle.domain.outcome import Answer, Sort
from passerelle.domain.verdict import (
    MOST_ROWS,
    Found,
    Row,
    Strategy,
    judge_by_origin,
    judge_by_piece,
)
from passerelle.loop_api.client import Credentials, EntryFilter, Loop, Sealed
from passerelle.store.questions import Seen, Sent
from passerelle.store.vault import Vault
from passerelle.turns import READING, Turns
from schemas.loop import sent_moves, sent_place


class Firm(Sealed, Protocol):
    """What names a firm and holds its keys as they are stored."""

    @property
    def firm_id(self) -> int: ...


NO_TURN = Answer(Sort.AGAIN, "The firm's requests have no turn free just now.")
"""Loop was not asked."""


class Lookup:
    """Every request has a turn of its own in the firm's pace; no transaction is open meanwhile."""

    def __init__(self, engine: Engine, loop: Loop, vault: Vault, turns: Turns) -> None:
        self._engine = engine
        self._loop = loop
        self._vault = vault
        self._turns = turns

    def look(self, firm: Firm, sent: Sent, strategy: Strategy) -> Seen | Answer:
        """What Loop shows of an entry; an Answer where it did not say."""
        if strategy is Strategy.ORIGIN and sent.origin is not None:
            found = self._find(firm, sent, EntryFilter(origin=sent.origin))
            if isinstance(found, Answer):
                return found
            verdict = judge_by_origin(sent_moves(sent.lines), found, sent.origin)
            return Seen(strategy, verdict, len(found.rows))
        return _seen(sent, self.find_piece(firm, sent))

    def look_for_trace(self, firm: Firm, sent: Sent) -> Seen | Answer:
        """As `look` by piece, in one request where none of it was sent lettered.

        For what was sent a minute ago: nobody letters every line of it by then.
        """
        if any("codeLettrage" in line for line in sent.lines):
            return self.look(firm, sent, Strategy.PIECE)
        wanted = EntryFilter(lettered=False, place=sent_place(sent.lines))
        return _seen(sent, self._find(firm, sent, wanted))

    def find_piece(self, firm: Firm, sent: Sent) -> Found | Answer:
        """What stands under the journal, piece and date of an entry."""
        place = sent_place(sent.lines)
        rows: list[Row] = []
        complete = True
        # A filter has to name the lettering or the origin.
        for lettered in (False, True):
            found = self._find(firm, sent, EntryFilter(lettered=lettered, place=place))
            if isinstance(found, Answer):
                return found
            # The server may have ignored the filter: what was not asked for would count twice.
            rows += [row for row in found.rows if row.lettered in {None, lettered}]
            complete &= found.complete
        return Found(rows, complete)

    def _find(self, firm: Firm, sent: Sent, wanted: EntryFilter) -> Found | Answer:
        """Where an answer may not hold all, each account is asked for by itself, then its place."""
        rows = self._ask(firm, sent.folder, wanted)
        if isinstance(rows, Answer):
            return rows
        if len(rows) < MOST_ROWS:
            return Found(rows, complete=True)
        accounts = {line["compte"] for line in sent.lines} | {row.account for row in rows}
        found: list[Row] = []
        complete = True
        for account in sorted(accounts):
            part = self._ask(firm, sent.folder, replace(wanted, account=account))
            if not isinstance(part, Answer) and len(part) >= MOST_ROWS and wanted.place is None:
                narrow = replace(wanted, account=account, place=sent_place(sent.lines))
                part = self._ask(firm, sent.folder, narrow)
            if isinstance(part, Answer):
                return part
            # As above: each part would hold all of them.
            found += [row for row in part if row.account == account]
            # No row: it may be written with other zeros on the right.
            complete &= 0 < len(part) < MOST_ROWS
        return Found(found, complete)

    def _ask(self, firm: Firm, folder: str, wanted: EntryFilter) -> list[Row] | Answer:
        with self._turns.turn(firm.firm_id, READING) as granted:
            if not granted:
                return NO_TURN
            credentials = Credentials.opened(firm, self._vault.open)
            said = self._loop.find_entries(credentials, folder, wanted)
        if not isinstance(said, Answer):
            with self._engine.begin() as connection:
                self._turns.answered(connection, firm.firm_id)
        return said


def _seen(sent: Sent, found: Found | Answer) -> Seen | Answer:
    """By piece."""
    if isinstance(found, Answer):
        return found
    moves, place = sent_moves(sent.lines), sent_place(sent.lines)
    verdict = judge_by_piece(moves, found, place, sent.twins, sent.count_before)
    return Seen(Strategy.PIECE, verdict, len(found.rows))
