"""One entry that Loop would not have, among many: engine rule 16."""

from collections import Counter

import pytest
from sqlalchemy import Engine

from support.books import WORDS, Books
from support.events import purchase
from support.workshop import Workshop

ENTRIES = 32
POISON = "F-7"


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
    loop = Books(POISON, landed)
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
    shop = Workshop(engine, Books(POISON))
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
