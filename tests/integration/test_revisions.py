"""A later revision while an older one may be in Loop: engine rule 20."""

import uuid
from collections.abc import Callable

import pytest

from passerelle.domain.outcome import Answer, Outcome, of_post
from passerelle.domain.states import Closing, Reason, State
from passerelle.loop_api.client import Status
from passerelle.store.imports import apply, lock_import
from support.events import JsonObject, credit, debit, purchase
from support.workshop import (
    ACCESS_DENIED,
    AGAIN,
    REFUSED,
    UNKNOWN,
    Workshop,
    accepted,
    background,
)


def revision(number: int) -> JsonObject:
    """Of one and the same entry."""
    lines = [debit("1.00"), credit("1.00")]
    return purchase(1, revision=number, lines=lines, event_id=str(uuid.uuid4()))


def states(shop: Workshop) -> list[str]:
    rows = shop.rows("SELECT state FROM entries ORDER BY revision")
    return [row["state"] for row in rows]


def posted(shop: Workshop) -> None:
    shop.deliver()


def uncertain(shop: Workshop) -> None:
    shop.told.answers = [UNKNOWN]
    shop.deliver()
    shop.told.answers = [accepted()]
    shop.time_passes()


def posting(shop: Workshop) -> None:
    shop.dies_at("mark")


@pytest.mark.parametrize("reached", [posted, uncertain, posting])
def test_a_later_revision_waits_while_an_older_one_may_be_in_loop(
    shop: Workshop, reached: Callable[[Workshop], None]
) -> None:
    shop.submit(revision(1))
    reached(shop)
    sent = len(shop.told.bodies)
    shop.submit(revision(2))
    shop.deliver_all()
    assert states(shop) == [reached.__name__, "received"]
    assert len(shop.told.bodies) == sent


def test_a_later_revision_waits_before_the_mark_too(shop: Workshop) -> None:
    shop.submit(revision(1))
    shop.dies_at("claim")
    shop.submit(revision(2))
    shop.execute("UPDATE folders SET lease = NULL, lease_until = NULL")
    shop.deliver_all()
    assert states(shop) == ["posting", "received"]
    shop.lose_lease()
    assert states(shop) == ["superseded", "received"]
    shop.deliver_all()
    assert states(shop) == ["superseded", "posted"]


def test_an_older_revision_that_gets_into_loop_parks_the_later(shop: Workshop) -> None:
    shop.submit(revision(1))
    shop.deliver()
    shop.submit(revision(2))
    shop.follow_up()
    assert states(shop) == ["synced", "parked"]
    assert shop.entry(1, 2)["reason"] == "already_synced"
    assert shop.cases() == [("entry", "already_synced", "open")]
    # A third takes the place of the second and has the same answer.
    shop.submit(revision(3))
    assert states(shop) == ["synced", "superseded", "parked"]
    assert shop.entry(1, 3)["reason"] == "already_synced"
    # An operator's release does not get round it.
    shop.release(shop.entry(1, 3)["case_id"])
    shop.deliver_all()
    assert states(shop) == ["synced", "superseded", "parked"]
    assert len(shop.told.bodies) == 1


@pytest.mark.parametrize("answer", [AGAIN, REFUSED])
def test_an_older_revision_that_does_not_get_into_loop_gives_way(
    shop: Workshop, answer: Answer
) -> None:
    shop.told.answers = [answer, accepted()]
    shop.told.during = lambda: _arrives(shop, 2)
    shop.submit(revision(1))
    shop.deliver()
    assert states(shop) == ["superseded", "received"]
    shop.time_passes()
    shop.deliver_all()
    assert states(shop) == ["superseded", "posted"]


def _arrives(shop: Workshop, number: int) -> None:
    if number not in {row["revision"] for row in shop.rows("SELECT revision FROM entries")}:
        shop.submit(revision(number))


def test_an_older_revision_that_is_refused_access_gives_way_to_the_held_later(
    shop: Workshop,
) -> None:
    shop.told.answers = [ACCESS_DENIED, accepted()]
    shop.told.during = lambda: _arrives(shop, 2)
    shop.submit(revision(1))
    shop.deliver()
    assert states(shop) == ["superseded", "parked"]
    shop.release(shop.entry(1, 2)["case_id"])
    shop.deliver_all()
    assert states(shop) == ["superseded", "posted"]


def test_an_older_revision_denied_at_its_end_gives_way(shop: Workshop) -> None:
    shop.submit(revision(1))
    shop.deliver()
    shop.submit(revision(2))
    shop.told.statuses = [Status(4, "n'a pas accès", Reason.ACCESS_DENIED)]
    shop.follow_up()
    assert states(shop) == ["superseded", "parked"]
    shop.release(shop.entry(1, 2)["case_id"])
    shop.deliver_all()
    assert states(shop) == ["superseded", "posted"]


def test_an_open_attempt_is_never_superseded(shop: Workshop) -> None:
    """Even if some transition had gone wrong."""
    shop.submit(revision(1))
    uncertain(shop)
    shop.execute("UPDATE entries SET state = 'waiting'")
    shop.submit(revision(2))
    assert states(shop) == ["waiting", "received"]
    shop.release(shop.hold())
    assert states(shop) == ["waiting", "received"]


def test_an_older_revision_whose_import_failed_still_blocks(shop: Workshop) -> None:
    shop.submit(revision(1))
    shop.deliver()
    shop.submit(revision(2))
    shop.told.statuses = [Status(4, "")]
    shop.follow_up()
    shop.deliver_all()
    assert states(shop) == ["uncertain", "received"]


@pytest.mark.parametrize(
    ("closing", "after"),
    [(State.WAITING, ["superseded", "received"]), (State.SYNCED, ["synced", "parked"])],
)
def test_a_person_or_a_read_that_settles_the_older_decides_on_the_later(
    shop: Workshop, closing: State, after: list[str]
) -> None:
    shop.submit(revision(1))
    uncertain(shop)
    shop.submit(revision(2))
    import_id = shop.row("SELECT id FROM imports")["id"]
    with shop.engine.begin() as connection:
        request = lock_import(connection, import_id)
        apply(connection, request, Outcome(closing, Closing.SETTLED), "")
    assert states(shop) == after


def test_the_middle_one_of_three_gives_way_while_the_first_is_on_its_way(shop: Workshop) -> None:
    shop.submit(revision(1))
    shop.deliver()
    shop.submit(revision(2))
    shop.submit(revision(3))
    assert states(shop) == ["posted", "superseded", "received"]
    shop.follow_up()
    assert states(shop) == ["synced", "superseded", "parked"]


def test_a_late_answer_to_the_older_decides_while_the_later_waits(shop: Workshop) -> None:
    def late() -> None:
        shop.lose_lease()
        _arrives(shop, 2)
        shop.time_passes()

    shop.told.during = late
    shop.submit(revision(1))
    shop.deliver()
    assert states(shop) == ["posted", "received"]
    shop.follow_up()
    assert states(shop) == ["synced", "parked"]


ENDS: list[tuple[Callable[[int], Outcome], list[str]]] = [
    (lambda entries: of_post(AGAIN, entries), ["superseded", "received"]),
    (lambda entries: of_post(REFUSED, entries), ["superseded", "received"]),
    (lambda _: Outcome(State.SYNCED, Closing.ENDED), ["synced", "parked"]),
]


@pytest.mark.parametrize(("end", "after"), ENDS)
def test_a_later_revision_that_arrives_as_the_older_ends_sees_the_end(
    shop: Workshop, end: Callable[[int], Outcome], after: list[str]
) -> None:
    shop.submit(revision(1))
    uncertain(shop)
    import_id = shop.row("SELECT id FROM imports")["id"]
    with shop.engine.begin() as connection:
        request = lock_import(connection, import_id)
        apply(connection, request, end(1), "")
        taken = background(lambda: shop.submit(revision(2)))
        shop.wait_for_lock()
    taken.result(30)
    assert states(shop) == after


@pytest.mark.parametrize(("end", "after"), ENDS)
def test_an_older_revision_that_ends_as_the_later_arrives_sees_it(
    shop: Workshop, end: Callable[[int], Outcome], after: list[str]
) -> None:
    shop.submit(revision(1))
    uncertain(shop)
    import_id = shop.row("SELECT id FROM imports")["id"]

    def ends() -> None:
        with shop.engine.begin() as connection:
            apply(connection, lock_import(connection, import_id), end(1), "")

    with shop.open_intake(revision(2)):
        ended = background(ends)
        shop.wait_for_lock(2)
    ended.result(30)
    assert states(shop) == after


def test_a_claim_and_a_later_revision_at_once_send_one_of_the_two(shop: Workshop) -> None:
    shop.submit(revision(1))
    with shop.open_intake(revision(2)):
        shop.deliver()
        assert shop.told.bodies == []
    shop.deliver_all()
    assert states(shop) == ["superseded", "posted"]
    assert len(shop.told.bodies) == 1
