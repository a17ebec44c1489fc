"""Finding lost work: engine rules 3 and 22, and what a lost bell costs."""

import uuid
from typing import Any

import pytest
from sqlalchemy import Engine

from passerelle.domain.states import Reason
from passerelle.store import claims
from passerelle.upkeep import MOST, POLLS_A_MESSAGE, Bells
from support.events import JsonObject, credit, debit, purchase
from support.simulator import until
from support.workshop import UNKNOWN, DiedError, Workshop, accepted, all_at_once


def small(number: int, /, **changes: Any) -> JsonObject:
    return purchase(number, **({"lines": [debit("1.00"), credit("1.00")]} | changes))


@pytest.mark.parametrize(
    ("step", "state", "attempts"),
    [
        ("claim", "waiting", []),
        ("mark", "uncertain", [None]),
        ("call", "uncertain", [None]),
        ("record", "posted", [None]),
    ],
)
def test_where_a_delivery_died_shows_where_its_entry_is(
    shop: Workshop, step: str, state: str, attempts: list[str | None]
) -> None:
    shop.submit(small(1))
    shop.dies_at(step)
    shop.sweep()
    assert shop.state(1) == ("posted" if step == "record" else "posting")
    shop.lose_lease()
    assert shop.state(1) == state
    assert shop.attempts() == attempts


def test_a_lease_is_not_taken_from_who_still_has_it(shop: Workshop) -> None:
    shop.submit(small(1))
    shop.told.during = lambda: _sweep(shop)
    shop.deliver()
    assert [
        row["to_state"] for row in shop.rows("SELECT to_state FROM transitions ORDER BY id")
    ] == [
        "received",
        "posting",
        "posted",
    ]


def _sweep(shop: Workshop) -> None:
    shop.sweep()


def test_entries_that_died_together_are_tried_in_halves(shop: Workshop) -> None:
    shop.submit(*(small(number) for number in range(4)))
    shop.dies_at("claim")
    shop.lose_lease()
    assert shop.states() == {"waiting": 4}
    shop.deliver_all()
    assert [len(pieces) for pieces in shop.told.pieces()] == [2, 2]


def test_an_entry_that_ends_every_run_is_parked_and_its_neighbours_go_on(shop: Workshop) -> None:
    shop.submit(*(small(number) for number in range(8)))

    def checkpoint(step: str) -> None:
        if step == "claim" and shop.state(3) == "posting":
            raise DiedError

    deadly = shop.another_delivery(checkpoint=checkpoint)
    for _ in range(20):
        try:
            while deadly.deliver(shop.folder_id()):
                pass
        except DiedError:
            shop.lose_lease()
        shop.time_passes()
    assert shop.states() == {"posted": 7, "parked": 1}
    assert shop.entry(3)["reason"] == "internal"
    assert shop.entry(3)["crashes"] == 3
    assert shop.cases() == [("entry", "internal", "open")]


def test_a_mark_under_way_is_not_taken_for_none(engine: Engine) -> None:
    """The lease runs out while the mark is on its way to the disk."""
    shop = Workshop(engine, lease_seconds=1)
    shop.add_firm()
    shop.submit(small(1))
    folder_id, lease = shop.folder_id(), uuid.uuid4()
    with engine.begin() as connection:
        folder = claims.lease_folder(connection, folder_id, lease, 60, 500)
    assert folder is not None
    with engine.begin() as connection:
        [due] = claims.claim(connection, folder_id, lease, 1, 500)
    with engine.begin() as connection:
        ready = claims.Ready(due.id, due.entry_id, b"[]", [], b"")
        assert claims.mark(connection, folder, lease, [ready]) is not None
        until(lambda: shop.rows("SELECT FROM entries WHERE lease_until <= now()"), bool)
        shop.sweep()
        assert shop.state(1) == "posting"
    shop.sweep()
    assert shop.state(1) == "uncertain"


def test_two_sweeps_at_once_take_each_lost_run_back_once(shop: Workshop) -> None:
    folders = ("A", "B", "C", "D", "E")
    shop.add_firm("OTHER", *folders)
    for folder in folders:
        shop.submit(small(ord(folder), firm="OTHER", folder=folder))
        shop.dies_at("claim", folder)
    shop.leases_run_out()
    bells = all_at_once([shop.sweep] * 3)
    assert [row["crashes"] for row in shop.rows("SELECT crashes FROM entries")] == [1] * 5
    assert sum(len(one.folders) for one in bells) == 0
    shop.time_passes()
    bells = all_at_once([shop.sweep] * 3)
    assert sum(len(one.folders) for one in bells) == 5


def test_a_folder_with_something_due_is_rung_for_until_somebody_comes(shop: Workshop) -> None:
    assert shop.sweep() == Bells(refreshes=(shop.folder_id(),))
    shop.submit(small(1))
    folder = shop.folder_id()
    assert shop.sweep().folders == (folder,)
    # Not again at once: a bell takes its time.
    assert shop.sweep().folders == ()
    shop.execute("UPDATE folders SET rung_at = rung_at - interval '5 s'")
    assert shop.sweep().folders == (folder,)
    shop.deliver()
    shop.time_passes()
    assert shop.sweep().folders == ()


@pytest.mark.parametrize(
    "obstacle",
    [
        "UPDATE entries SET due_at = now() + interval '1 h'",
        "UPDATE firms SET paused_until = now() + interval '1 h'",
        "UPDATE folders SET lease = gen_random_uuid(), lease_until = now() + interval '1 h'",
    ],
)
def test_nobody_is_rung_for_in_vain(shop: Workshop, obstacle: str) -> None:
    shop.submit(small(1))
    shop.execute(obstacle)
    assert shop.sweep().folders == ()


@pytest.mark.parametrize("reason", [Reason.ACCESS_DENIED, Reason.CREDENTIALS_REFUSED])
def test_a_held_folder_is_not_rung_for(shop: Workshop, reason: Reason) -> None:
    shop.submit(small(1))
    shop.hold(reason)
    shop.execute("UPDATE entries SET state = 'received', reason = NULL, case_id = NULL")
    assert shop.sweep().folders == ()


def test_a_revision_that_waits_for_another_is_not_rung_for(shop: Workshop) -> None:
    shop.told.answers = [UNKNOWN]
    shop.submit(small(1))
    shop.deliver()
    shop.time_passes()
    shop.submit(small(1, revision=2, event_id=str(uuid.uuid4())))
    assert shop.sweep().folders == ()


def test_imports_are_rung_for_in_groups_and_not_twice_at_once(shop: Workshop) -> None:
    shop.submit(small(1))
    shop.deliver()
    _more_imports(shop, 50)
    shop.time_passes()
    bells = shop.sweep()
    assert sorted(map(len, bells.imports)) == [11, POLLS_A_MESSAGE, POLLS_A_MESSAGE]
    assert len({one for group in bells.imports for one in group}) == 51
    assert shop.sweep().imports == ()


def test_imports_of_a_held_firm_do_not_hold_up_those_of_another(shop: Workshop) -> None:
    shop.submit(small(1))
    shop.deliver()
    _more_imports(shop, MOST + 1)
    shop.time_passes()
    shop.hold(Reason.CREDENTIALS_REFUSED)
    shop.add_firm("OTHER", "ELSEWHERE")
    shop.submit(small(2, firm="OTHER", folder="ELSEWHERE"))
    shop.deliver("ELSEWHERE")
    shop.time_passes()
    [group] = shop.sweep().imports
    assert len(group) == 1


def _more_imports(shop: Workshop, count: int) -> None:
    shop.execute(
        "INSERT INTO imports (firm_id, folder_id, answer, request_id, poll_at) "
        "SELECT firm_id, folder_id, answer, request_id, poll_at "
        "FROM imports, generate_series(1, :count)",
        count=count,
    )


def test_a_folder_that_is_just_being_held_does_not_stop_the_sweep(shop: Workshop) -> None:
    shop.add_firm("OTHER", "ELSEWHERE")
    shop.submit(small(1), small(2), small(3, firm="OTHER", folder="ELSEWHERE"))
    shop.dies_at("mark")
    shop.submit(small(4))
    shop.leases_run_out()
    with shop.opening_hold():
        assert shop.sweep().folders == (shop.folder_id("ELSEWHERE"),)
    assert [shop.state(number) for number in (1, 2, 4)] == ["uncertain", "uncertain", "parked"]


def test_everything_is_found_though_all_bells_are_lost(shop: Workshop) -> None:
    """Only what upkeep rings for is done."""
    shop.told.answers = [accepted()]
    shop.submit(*(small(number) for number in range(5)))
    for _ in range(5):
        shop.time_passes()
        bells = shop.sweep()
        for folder in bells.folders:
            shop.delivery.deliver(folder)
        for group in bells.imports:
            shop.followup.follow_up(group)
    assert shop.states() == {"synced": 5}
