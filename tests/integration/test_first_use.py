"""The first delivery of all remembers which database this is (engine rule 23)."""

from functools import partial

import pytest
from sqlalchemy import Engine, event

from support.events import purchase
from support.workshop import Workshop, background

FIRMS = "A", "B"


@pytest.mark.parametrize("nth", [1, 2])
def test_who_is_the_first_beside_another_takes_it_for_no_other_database(
    engine: Engine, nth: int
) -> None:
    """The other sends just when this one has found that nothing is remembered: before it begins,
    and before it marks.
    """
    shop = Workshop(engine)
    for number, firm in enumerate(FIRMS):
        shop.add_firm(firm, firm)
        shop.submit(purchase(number, firm=firm, folder=firm))
    looked = 0

    @event.listens_for(engine, "after_cursor_execute")
    def _(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal looked
        looked += "database_identity" in statement
        if looked == nth:
            looked += 1
            background(partial(shop.deliver, "B")).result(20)

    shop.deliver("A")
    assert shop.states() == {"posted": 2}
