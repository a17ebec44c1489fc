"""One entry that Loop would not have, among many: engine rule 16."""

import json
import uuid
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import Engine

from passerelle.domain.outcome import Answer
from passerelle.domain.verdict import Row
from passerelle.loop_api.client import Credentials, Place, Status
from schemas.loop import sent_moves
from support.events import purchase
from support.workshop import ToldLoop, Workshop, accepted

ENTRIES = 32
POISON = "F-7"
WORDS = "le compte 999999 est inconnu"


class Books(ToldLoop):
    """Books an import as a whole, or fails it; of what it fails, `landed` are booked all the same.

    `posts` holds the number of entries of each request, `reads` counts questions.
    """

    def __init__(self, landed: int = 0) -> None:
        super().__init__()
        self.posts: list[int] = []
        self.reads = 0
        self._landed = landed
        self._requests: dict[str, list[list[dict[str, Any]]]] = {}
        self.booked: list[dict[str, Any]] = []

    def post_import(self, credentials: Credentials, body: bytes, started: float) -> Answer:  # noqa: ARG002 Loop's
        entries: dict[str, list[dict[str, Any]]] = {}
        for line in json.loads(body)["data"]["ecritures"]:
            entries.setdefault(line["refPiece"], []).append(line)
        request_id = str(uuid.uuid4())
        self._requests[request_id] = list(entries.values())
        self.posts.append(len(entries))
        return accepted(request_id)

    def import_status(self, credentials: Credentials, request_id: str) -> Status | Answer:  # noqa: ARG002 Loop's
        entries = self._requests[request_id]
        good = [lines for lines in entries if lines[0]["refPiece"] != POISON]
        failed = len(good) < len(entries)
        for lines in good[: self._landed] if failed else good:
            self.booked += lines
        return Status(4, WORDS) if failed else Status(3, "")

    def find_entry(self, credentials: Credentials, folder: str, origin: str) -> list[Row] | Answer:  # noqa: ARG002 Loop's
        self.reads += 1
        return self._rows("ecritureOrigine", origin)

    def find_piece(self, credentials: Credentials, folder: str, place: Place) -> list[Row] | Answer:  # noqa: ARG002 Loop's
        self.reads += 2
        return self._rows("refPiece", place.piece)

    def _rows(self, key: str, value: str) -> list[Row]:
        found = [line for line in self.booked if line[key] == value]
        moves = sent_moves(found)
        return [Row(move, line["ecritureOrigine"]) for move, line in zip(moves, found, strict=True)]


def rounds(shop: Workshop) -> None:
    """Until nothing moves any more: deliver, follow up, and ask once the gap is over."""
    for _ in range(40):
        before = shop.states()
        shop.time_passes()
        shop.deliver_all()
        shop.follow_up()
        shop.execute("UPDATE imports SET ended_at = ended_at - interval '61 s' WHERE status = 4")
        shop.ask()
        if shop.states() == before:
            return
    raise AssertionError(shop.states())


@pytest.mark.parametrize("landed", [0, 1, 3])
def test_the_others_are_synced_and_it_is_parked_with_loops_words(
    engine: Engine, landed: int
) -> None:
    loop = Books(landed)
    shop = Workshop(engine, loop)
    shop.add_firm()
    # Something that is in Loop: without a control absence is not believed.
    shop.submit(purchase(900, piece_ref="F-900"))
    shop.deliver()
    shop.follow_up()
    loop.posts.clear()
    loop.reads = 0
    shop.submit(*(purchase(number, piece_ref=f"F-{number}") for number in range(ENTRIES)))
    rounds(shop)
    assert shop.states() == {"synced": ENTRIES, "parked": 1}
    poison = shop.entry(7)
    assert (poison["state"], poison["reason"], poison["message"]) == (
        "parked",
        "refused_by_loop",
        WORDS,
    )
    pieces = Counter(line["refPiece"] for line in loop.booked)
    assert set(pieces.values()) == {3}
    assert len(pieces) == ENTRIES
    assert shop.attempts().count(None) == 0
    # A whole request, then two for each time that the half with the poison is halved.
    halvings = (ENTRIES - 1).bit_length()
    assert len(loop.posts) <= 1 + 2 * halvings
    # Each entry of each failed request once by its origin and twice by its piece, and the controls.
    failed = sum(ENTRIES >> halving for halving in range(halvings + 1))
    assert loop.reads <= 3 * failed + halvings + 1


def test_what_failed_is_not_read_before_the_gap_is_over(engine: Engine) -> None:
    shop = Workshop(engine, Books())
    shop.add_firm()
    shop.submit(purchase(900, piece_ref="F-900"))
    shop.deliver()
    shop.follow_up()
    shop.submit(purchase(7, piece_ref=POISON))
    shop.deliver()
    shop.follow_up()
    shop.ask()
    assert shop.state(7) == "uncertain"
    shop.execute("UPDATE imports SET ended_at = ended_at - interval '61 s' WHERE status = 4")
    shop.ask()
    assert shop.state(7) == "parked"
