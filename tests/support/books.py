"""A small model of Loop in a test's own process: what it was sent, and what it has booked."""

import json
import uuid
from dataclasses import dataclass, replace
from typing import Any

from passerelle.domain.outcome import Answer
from passerelle.domain.verdict import MOST_ROWS, Row
from passerelle.loop_api.client import Credentials, EntryFilter, Status
from support.workshop import AGAIN, UNKNOWN, ToldLoop, accepted, shown

WORDS = "le compte 999999 est inconnu"
Line = dict[str, Any]
WHOLE_FILTER = {"origin", "lettered", "place", "account"}


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a request: whether its answer is lost, and whether and how it lands.

    `late`: not before `Books.land`. `failing`: at status 4, with so many entries booked all the
    same; None is no failure. `origin`: whether Loop keeps it.
    """

    answered: bool = True
    stored: bool = True
    late: bool = False
    failing: int | None = None
    origin: bool = True


class Books(ToldLoop):
    """Books each import as a whole, unless its fate is another; an entry of the piece `poison`
    fails its import. `posts` holds the number of entries of each request, `reads` counts questions.
    """

    def __init__(self, poison: str | None = None, landed: int = 0) -> None:
        super().__init__()
        self.fate = Fate()
        self.posts: list[int] = []
        self.reads = 0
        self.booked: list[Line] = []
        # Parts of a filter that are not heeded: fields of EntryFilter.
        self.ignored: set[str] = set()
        self.down = False
        # Pieces of entries that failed alone.
        self.refused: set[str] = set()
        self._poison = poison
        self._landed = landed
        self._statuses: dict[str, Status] = {}
        self._pending: list[tuple[str, list[list[Line]], Fate]] = []

    def post_import(self, credentials: Credentials, body: bytes, started: float) -> Answer:  # noqa: ARG002 Loop's
        entries: dict[str, list[Line]] = {}
        for line in json.loads(body)["data"]["ecritures"]:
            entries.setdefault(line["refPiece"], []).append(line)
        self.posts.append(len(entries))
        request_id = str(uuid.uuid4())
        self._statuses[request_id] = Status(1, "")
        fate = self.fate
        if fate.stored:
            self._pending.append((request_id, list(entries.values()), fate))
            if not fate.late:
                self._land(len(self._pending) - 1)
        self.during()
        return accepted(request_id) if fate.answered and fate.stored else UNKNOWN

    def land(self) -> None:
        """Every import that is late is worked off."""
        while self._pending:
            self._land(0)

    def forget_origins(self) -> None:
        """Of everything that is booked."""
        self.booked = [{**line, "ecritureOrigine": None} for line in self.booked]

    def _land(self, place: int) -> None:
        request_id, entries, fate = self._pending.pop(place)
        good = [lines for lines in entries if lines[0]["refPiece"] != self._poison]
        failing = self._landed if len(good) < len(entries) else fate.failing
        if failing == 0 and len(entries) == 1:
            self.refused.add(entries[0][0]["refPiece"])
        for lines in good if failing is None else good[:failing]:
            self.booked += [
                line if fate.origin else {**line, "ecritureOrigine": None} for line in lines
            ]
        self._statuses[request_id] = Status(3, "") if failing is None else Status(4, WORDS)

    def import_status(self, credentials: Credentials, request_id: str) -> Status | Answer:  # noqa: ARG002 Loop's
        return self._statuses[request_id]

    def find_entries(
        self,
        credentials: Credentials,  # noqa: ARG002 Loop's
        folder: str,  # noqa: ARG002 Loop's
        wanted: EntryFilter,
    ) -> list[Row] | Answer:
        self.reads += 1
        if self.down:
            return AGAIN
        rows = [
            replace(row, lettered="codeLettrage" in line)
            for line in self.booked
            for row in shown([line])
        ]
        heeded = replace(wanted, **dict.fromkeys(self.ignored))
        return [row for row in rows if _meets(row, heeded)][:MOST_ROWS]


def _meets(row: Row, wanted: EntryFilter) -> bool:
    return (
        (wanted.origin is None or row.origin == wanted.origin)
        and (wanted.lettered is None or row.lettered == wanted.lettered)
        and (wanted.place is None or row.place == wanted.place)
        and (wanted.account is None or row.account == wanted.account)
    )
