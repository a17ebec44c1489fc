"""One entry that Loop would not have, among many: engine rule 16."""

import sys
from collections import Counter

import pytest
from sqlalchemy import Engine

from support.books import WORDS, Books
from support.events import credit, debit, purchase
from support.workshop import Workshop

ENTRIES = 200
LINES = 3
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


def of_many(engine: Engine, loop: Books, *, atomic: bool = False) -> Workshop:
    """The poison among many, sent in one request and followed until nothing moves any more."""
    shop = Workshop(engine, loop, batch_lines=ENTRIES * LINES, atomic=atomic)
    shop.add_firm()
    # Something that is in Loop: without a control absence is not believed.
    shop.submit(purchase(900, piece_ref="F-900"))
    shop.deliver()
    shop.follow_up()
    loop.posts.clear()
    loop.reads = 0
    # Not lettered: what is takes two requests to look for.
    lines = [debit("100.00"), debit("20.00", account="445660"), credit("120.00")]
    shop.submit(
        *(purchase(number, piece_ref=f"F-{number}", lines=lines) for number in range(ENTRIES))
    )
    rounds(shop)
    return shop


def tell(capsys: pytest.CaptureFixture[str], loop: Books) -> None:
    """The figures belong to the promise, so the suite prints them."""
    with capsys.disabled():
        sys.stdout.write(
            f"\npoison among {ENTRIES}: {len(loop.posts)} POSTs {loop.posts}, {loop.reads} reads\n"
        )


def assert_only_the_poison_is_left(shop: Workshop, loop: Books) -> None:
    assert shop.states() == {"synced": ENTRIES, "parked": 1}
    poison = shop.entry(7)
    assert (poison["state"], poison["reason"], poison["message"]) == (
        "parked",
        "refused_by_loop",
        WORDS,
    )
    pieces = Counter(line["refPiece"] for line in loop.booked)
    assert (len(pieces), set(pieces.values())) == (ENTRIES, {LINES})
    assert shop.attempts().count(None) == 0


@pytest.mark.parametrize("landed", [0, 1])
def test_the_others_are_synced_and_it_is_parked_with_loops_words(
    engine: Engine, capsys: pytest.CaptureFixture[str], landed: int
) -> None:
    loop = Books(POISON, landed)
    shop = of_many(engine, loop)
    assert_only_the_poison_is_left(shop, loop)
    # Every request but the halves that were taken failed; each of its entries is read once, and
    # one more time by its origin where something of it is there. A pass has its control.
    failed = [row["entries"] for row in shop.rows(_FAILED)]
    landings = sum(min(landed, entries - 1) for entries in failed)
    tell(capsys, loop)
    halvings = (ENTRIES - 1).bit_length()
    assert len(loop.posts) <= 1 + 2 * halvings
    passes = len(failed)
    assert loop.reads <= sum(failed) + landings + 2 * passes


_FAILED = """
SELECT count(*) AS entries FROM imports i JOIN attempts a ON a.import_id = i.id
WHERE i.status = 4 GROUP BY i.id
"""


def test_where_imports_are_all_or_nothing_one_read_speaks_for_a_half(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = Books(POISON)
    shop = of_many(engine, loop, atomic=True)
    assert_only_the_poison_is_left(shop, loop)
    failed = len(shop.rows(_FAILED))
    tell(capsys, loop)
    # One for each half, and the control.
    assert loop.reads <= 4 * failed


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
