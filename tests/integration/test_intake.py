"""Taking events in: every row of the contract's table of cases, and two intakes at once."""

import json
import uuid
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from passerelle.intake import MANY, Intake, TakenIn
from passerelle.store.engine import make_engine
from support.events import JsonObject, credit, debit, drop, purchase, put, with_auxiliary
from support.servers import Servers, database_name
from support.workshop import ACCESS_DENIED, REFUSED, Workshop, all_at_once, background

NEWER_LINK = {"url": "https://files.example.com/newer"}


@pytest.fixture
def bare(engine: Engine) -> Workshop:
    """Without any firm."""
    return Workshop(engine)


def resent(event: JsonObject, **changes: Any) -> JsonObject:
    """The event under another event id; changes name JSON Pointers, with `__` for a slash."""
    copied = put(event, "/event_id", str(uuid.uuid4()))
    for pointer, value in changes.items():
        copied = put(copied, f"/{pointer.replace('__', '/')}", value)
    return copied


def test_the_same_event_again_changes_nothing(shop: Workshop) -> None:
    assert shop.submit(purchase(), purchase()) == TakenIn(
        new=1, known=1, folders=frozenset({shop.folder_id()})
    )
    assert shop.submit(purchase()) == TakenIn(known=1)
    assert shop.states() == {"received": 1}
    assert len(shop.rows("SELECT * FROM transitions")) == 1


@pytest.mark.parametrize("together", [True, False])
def test_an_event_id_used_for_other_content_is_refused(shop: Workshop, *, together: bool) -> None:
    other = put(purchase(), "/entry/piece_ref", "FA-OTHER")
    if together:
        shop.submit(purchase(), other)
    else:
        shop.submit(purchase())
        shop.submit(other)
    assert shop.refused() == ["/event_id"]
    assert shop.entry()["entry"]["piece_ref"] == "FA-2026-1"


def test_a_folder_is_rung_for_once_by_whoever_brings_what_waits_there(shop: Workshop) -> None:
    rung = frozenset({shop.folder_id()})
    assert shop.submit(purchase(1)).folders == rung
    assert shop.submit(purchase(2)).folders == frozenset()
    shop.deliver()
    assert shop.submit(purchase(3)).folders == rung


def test_an_entry_sent_again_under_another_event_id_is_known(shop: Workshop) -> None:
    shop.submit(purchase())
    assert shop.submit(resent(purchase())).known == 1
    assert len(shop.rows("SELECT * FROM events")) == 2
    assert shop.states() == {"received": 1}


@pytest.mark.parametrize("together", [True, False])
def test_a_revision_with_other_content_is_refused(shop: Workshop, *, together: bool) -> None:
    other = resent(purchase(), entry__piece_ref="FA-OTHER")
    if together:
        shop.submit(purchase(), other)
    else:
        shop.submit(purchase())
        shop.submit(other)
    assert shop.refused() == ["/entry/revision"]
    assert shop.entry()["entry"]["piece_ref"] == "FA-2026-1"


@pytest.mark.parametrize("state", ["received", "waiting", "parked"])
def test_a_newer_link_is_kept_while_nothing_was_sent(shop: Workshop, state: str) -> None:
    shop.submit(purchase())
    if state == "waiting":
        shop.execute("UPDATE entries SET state = 'waiting'")
    if state == "parked":
        shop.hold()
    shop.submit(resent(purchase(), entry__attachment=NEWER_LINK))
    assert shop.entry()["entry"]["attachment"] == NEWER_LINK
    shop.submit(
        resent(
            purchase(),
            occurred_at="2026-11-19T00:00:00Z",
            entry__attachment={"url": "https://files.example.com/older"},
        )
    )
    assert shop.entry()["entry"]["attachment"] == NEWER_LINK
    shop.submit(drop(resent(purchase()), "/entry/attachment"))
    assert "attachment" not in shop.entry()["entry"]


def test_a_newer_link_comes_too_late_for_what_was_sent(shop: Workshop) -> None:
    shop.submit(purchase())
    shop.deliver()
    assert shop.submit(resent(purchase(), entry__attachment=NEWER_LINK)).known == 1
    assert shop.entry()["entry"] == purchase()["entry"]


@pytest.mark.parametrize("state", ["received", "waiting", "parked"])
def test_a_later_revision_takes_the_place_of_an_unsent_one(shop: Workshop, state: str) -> None:
    shop.submit(purchase())
    if state == "waiting":
        shop.execute("UPDATE entries SET state = 'waiting'")
    if state == "parked":
        shop.told.answers = [REFUSED]
        shop.deliver()
    shop.submit(resent(purchase(revision=2)))
    assert (shop.state(1, 1), shop.state(1, 2)) == ("superseded", "received")


def test_the_last_of_three_revisions_in_one_message_is_the_one_to_send(shop: Workshop) -> None:
    shop.submit(*(resent(purchase(revision=revision)) for revision in (1, 2, 3)))
    assert [shop.state(1, revision) for revision in (1, 2, 3)] == [
        "superseded",
        "superseded",
        "received",
    ]


def test_an_older_revision_than_one_known_is_superseded_at_once(shop: Workshop) -> None:
    shop.submit(purchase(revision=3))
    assert shop.state(1, 3) == "received"
    taken = shop.submit(resent(purchase(revision=2)))
    assert shop.state(1, 2) == "superseded"
    assert taken == TakenIn(new=1)


def test_a_firm_nearly_equal_to_a_registered_one_is_refused(shop: Workshop) -> None:
    near = ("cabinet42", " CABINET42", "CABINET42\t")
    shop.submit(*(purchase(firm=code) for code in near), purchase(2))
    assert shop.refused() == ["/firm"] * 3
    assert shop.states() == {"received": 1}


def test_a_folder_nearly_equal_to_a_registered_one_is_refused(shop: Workshop) -> None:
    shop.submit(*(purchase(folder=code) for code in ("demo000001", "DEMO000001 ")), purchase(2))
    assert shop.refused() == ["/folder"] * 2
    assert shop.states() == {"received": 1}


def test_a_folder_code_of_another_firm_may_be_nearly_equal(shop: Workshop) -> None:
    shop.add_firm("OTHER", "demo000001")
    shop.submit(purchase(), purchase(2, firm="OTHER", folder="demo000001"))
    assert shop.states() == {"received": 2}


def test_events_of_an_unknown_firm_wait_under_one_case(bare: Workshop) -> None:
    bare.submit(purchase(1), purchase(2, folder="OTHER"))
    bare.submit(purchase(3))
    assert bare.cases() == [("firm", "unknown_firm", "open")]
    assert bare.states() == {"parked": 3}
    assert bare.entry(3)["reason"] == "unknown_firm"
    bare.add_firm("CABINET42", "THIRD")
    assert bare.cases() == [("firm", "unknown_firm", "healed")]
    assert bare.states() == {"received": 3}


def test_what_a_healed_firm_frees_stays_parked_where_its_folder_is_held(bare: Workshop) -> None:
    bare.submit(purchase(1), purchase(2, folder="OTHER"))
    case_id = bare.hold()
    bare.add_firm("CABINET42", "THIRD")
    assert bare.entry(1)["case_id"] == case_id
    assert bare.state(2) == "received"


def test_a_refused_event_delivered_again_is_one_with_a_count(shop: Workshop) -> None:
    bad = drop(purchase(), "/entry/lines")
    for _ in range(3):
        assert shop.submit(bad) == TakenIn(refused=1)
    refused = shop.row("SELECT * FROM refused_events")
    assert refused["deliveries"] == 3
    assert refused["event_id"] == bad["event_id"]
    assert json.loads(refused["body"]) == bad
    assert refused["received_at"] < refused["last_received_at"]


def test_bad_events_harm_no_neighbour(shop: Workshop) -> None:
    unpaired = put(purchase(2), "/entry/piece_ref", "\ud800")
    taken = shop.submit(purchase(1), unpaired, 7, None, purchase(3, firm="A\0"), purchase(4))
    assert (taken.new, taken.refused) == (2, 4)
    assert json.loads(shop.rows("SELECT * FROM refused_events ORDER BY id")[0]["body"])
    assert shop.states() == {"received": 2}


def test_many_takes_a_list_of_at_most_a_thousand(shop: Workshop) -> None:
    wrong: list[object] = [None, 7, "x", {"a": 1}, [purchase()] * (MANY + 1)]
    for raws in wrong:
        assert shop.intake.take_in_many(raws) == TakenIn(refused=1)
    assert shop.refused() == [""] * len(wrong)
    assert shop.states() == {}
    assert shop.intake.take_in_many([]) == TakenIn()
    assert shop.intake.take_in_many([purchase()] * MANY).known == MANY - 1


def test_a_message_that_is_no_call_is_kept_as_it_was(shop: Workshop) -> None:
    assert shop.intake.refuse(b"\xff\0 not JSON", "no call") == TakenIn(refused=1)
    refused = shop.row("SELECT body, errors FROM refused_events")
    assert refused == {
        "body": b"\xff\0 not JSON",
        "errors": [{"path": "", "message": "no call"}],
    }


def test_an_event_nested_as_deep_as_can_be_read_can_be_kept(shop: Workshop) -> None:
    def deepest(most: int) -> object:
        for depth in range(most, 0, -1):
            try:
                return json.loads("[" * depth + "]" * depth)
            except RecursionError:
                continue
        raise AssertionError

    assert shop.submit(deepest(2_000)) == TakenIn(refused=1)
    assert shop.refused() == [""]


def test_a_server_that_takes_no_writes_counts_as_away(
    servers: Servers, database_url: str, shop: Workshop
) -> None:
    shop.execute(
        f'ALTER DATABASE "{database_name(database_url)}" SET default_transaction_read_only = on'
    )
    standby = make_engine(database_url)
    with pytest.raises(OperationalError):
        Intake(standby, shop.limits).take_in([purchase()])
    standby.dispose()


def test_the_second_of_two_codes_that_the_cut_makes_equal_is_parked(shop: Workshop) -> None:
    first, second = "F" * 17 + "A", "F" * 17 + "B"
    shop.submit(with_auxiliary(1, first), with_auxiliary(2, second), with_auxiliary(3, first))
    shop.submit(with_auxiliary(4, second), with_auxiliary(5, "OTHER"))
    assert [shop.state(number) for number in range(1, 6)] == [
        *("received", "parked", "received", "parked", "received"),
    ]
    assert shop.cases() == [("folder", "auxiliary_collision", "open")]
    assert shop.row("SELECT cause FROM cases")["cause"] == second


def test_codes_collide_in_their_own_folder_only(shop: Workshop) -> None:
    shop.submit(
        with_auxiliary(1, "F" * 17 + "A"),
        with_auxiliary(2, "F" * 17 + "B") | {"folder": "OTHER"},
    )
    assert shop.states() == {"received": 2}


# Two intakes at once, or an intake and something else.


def test_the_same_event_in_two_intakes_at_once_is_taken_in_once(shop: Workshop) -> None:
    with shop.open_intake(purchase()):
        other = background(lambda: shop.submit(purchase()))
        shop.wait_for_lock(2)
    assert other.result(30) == TakenIn(known=1)
    assert shop.states() == {"received": 1}


def test_the_same_entry_in_two_intakes_at_once_is_taken_in_once(shop: Workshop) -> None:
    with shop.open_intake(purchase()):
        other = background(lambda: shop.submit(resent(purchase())))
        shop.wait_for_lock(2)
    assert other.result(30) == TakenIn(known=1)
    assert shop.states() == {"received": 1}


def test_an_unknown_firm_in_two_intakes_at_once_is_one_firm_and_one_case(bare: Workshop) -> None:
    with bare.open_intake(purchase(1)):
        other = background(lambda: bare.submit(purchase(2)))
        bare.wait_for_lock(2)
    assert other.result(30).new == 1
    assert bare.states() == {"parked": 2}
    assert bare.cases() == [("firm", "unknown_firm", "open")]
    assert len(bare.rows("SELECT * FROM firms")) == len(bare.rows("SELECT * FROM folders")) == 1


def test_intakes_with_the_same_entries_in_opposite_orders_lose_none(shop: Workshop) -> None:
    events = [with_auxiliary(number, f"F{number}") for number in range(40)]
    orders = [events, events[::-1], events[1::2] + events[::2]]
    taken = all_at_once([lambda order=order: shop.submit(*order) for order in orders])  # type: ignore[misc] # mypy does not see a lambda's default
    assert sum(one.new for one in taken) == 40
    assert sum(one.known for one in taken) == 80
    assert shop.states() == {"received": 40}


def test_of_two_colliding_codes_at_once_exactly_one_is_taken(shop: Workshop) -> None:
    with shop.open_intake(with_auxiliary(1, "F" * 17 + "A")):
        other = background(lambda: shop.submit(with_auxiliary(2, "F" * 17 + "B")))
        shop.wait_for_lock(2)
    other.result(30)
    assert (shop.state(1), shop.state(2)) == ("received", "parked")


def test_two_revisions_that_arrive_at_once_are_sent_as_one(shop: Workshop) -> None:
    lines = [debit("1.00"), credit("1.00")]
    with shop.open_intake(purchase(lines=lines)):
        shop.submit(resent(purchase(lines=lines, revision=2)))
    assert shop.states() == {"received": 2}
    shop.deliver_all()
    assert (shop.state(1, 1), shop.state(1, 2)) == ("superseded", "posted")
    assert len(shop.told.bodies) == 1


def test_an_event_that_arrives_while_a_hold_is_opened_is_parked_under_it(shop: Workshop) -> None:
    with shop.opening_hold():
        taken = background(lambda: shop.submit(purchase()))
        shop.wait_for_lock()
    assert taken.result(30).new == 1
    assert shop.entry()["reason"] == "access_denied"
    assert shop.entry()["message"] == "non"


def test_a_hold_opened_while_an_event_arrives_parks_it(shop: Workshop) -> None:
    with shop.open_intake(purchase()):
        opened = background(shop.hold)
        shop.wait_for_lock(2)
    case_id = opened.result(30)
    assert shop.entry()["case_id"] == case_id


def test_an_event_that_arrives_while_its_hold_is_lifted_is_not_left_behind(
    shop: Workshop,
) -> None:
    case_id = shop.hold()
    with shop.open_intake(purchase()):
        released = background(lambda: shop.release(case_id))
        shop.wait_for_lock(2)
    released.result(30)
    assert shop.states() == {"received": 1}


def test_a_firm_added_while_its_event_arrives_leaves_nothing_parked(bare: Workshop) -> None:
    with bare.open_intake(purchase()):
        added = background(lambda: bare.add_firm("CABINET42", "THIRD"))
        bare.wait_for_lock(2)
    added.result(30)
    assert bare.states() == {"received": 1}


def test_a_refused_folder_parks_what_arrives_and_no_other_folder(shop: Workshop) -> None:
    shop.told.answers = [ACCESS_DENIED]
    shop.submit(purchase(1))
    shop.deliver()
    shop.submit(purchase(2), purchase(3, folder="OTHER"))
    assert [shop.state(number) for number in (1, 2, 3)] == ["parked", "parked", "received"]
