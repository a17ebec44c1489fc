"""What people and Prometheus read does not go through all that is settled, nor all that waits.

That the counts are right is asserted wherever a test asks for states (`Workshop.states`).
"""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, Engine

from passerelle.domain.states import Reason, State
from passerelle.store import counts, figures, queries
from support.events import purchase
from support.rows_read import COPIED, rows_read, vacuum
from support.workshop import FOLDER, UNKNOWN, Workshop

MANY = 20_000


@pytest.fixture
def shop(engine: Engine) -> Workshop:
    """One entry in each of some states, beside many that are synced."""
    made = Workshop(engine)
    made.add_firm("CABINET42", FOLDER, "OTHER")
    made.submit(purchase(1))
    made.deliver()
    made.follow_up()
    made.execute(
        f"INSERT INTO entries (entry_id, state, synced_at, {COPIED}) "  # noqa: S608 literals
        f"SELECT 'old-' || n, state, synced_at, {COPIED} FROM entries, generate_series(1, {MANY}) n"
    )
    made.submit(purchase(2))
    made.deliver()
    made.submit(purchase(3, folder="OTHER"))
    made.told.answers = [UNKNOWN]
    made.deliver("OTHER")
    made.submit(purchase(4))
    made.hold()
    made.submit(purchase(5, folder="OTHER"))
    vacuum(engine)
    return made


def entries(**wanted: object) -> Callable[[Connection], object]:
    return lambda connection: [row["entry_id"] for row in queries.entries(connection, **wanted)]


@pytest.mark.parametrize(
    ("look", "found"),
    [
        (
            counts.by_state,
            {"synced": MANY + 1, "posted": 1, "uncertain": 1, "parked": 1, "received": 1},
        ),
        (entries(entry_id="ach-2026-000001"), ["ach-2026-000001"]),
        (entries(entry_id="nobody"), []),
        (entries(state=State.RECEIVED), ["ach-2026-000005"]),
        (entries(state=State.POSTED), ["ach-2026-000002"]),
        (entries(state=State.UNCERTAIN), ["ach-2026-000003"]),
        (entries(state=State.PARKED), ["ach-2026-000004"]),
        (entries(state=State.PARKED, folder=FOLDER), ["ach-2026-000004"]),
        (entries(state=State.SUPERSEDED), []),
        (entries(reason=Reason.ACCESS_DENIED), ["ach-2026-000004"]),
        (entries(reason=Reason.CLOSED_JOURNAL), []),
    ],
)
def test_what_is_settled_is_not_read_for_it(
    shop: Workshop, engine: Engine, look: Callable[[Connection], object], found: object
) -> None:
    before = rows_read(engine)["entries"]
    with queries.reading(engine) as connection:
        assert look(connection) == found
    assert rows_read(engine)["entries"] - before < MANY / 10


@pytest.mark.parametrize("look", [queries.status, figures.gauges, counts.unsettled])
def test_neither_is_what_waits(
    shop: Workshop, engine: Engine, look: Callable[[Connection], object]
) -> None:
    shop.execute(
        f"INSERT INTO entries (entry_id, state, {COPIED}) "  # noqa: S608 literals
        f"SELECT 'due-' || n, 'waiting', {COPIED} FROM entries, generate_series(1, {MANY}) n "
        "WHERE state = 'received'"
    )
    vacuum(engine)
    before = rows_read(engine)["entries"]
    with queries.reading(engine) as connection:
        look(connection)
    assert rows_read(engine)["entries"] - before < MANY / 10
