"""Holds and cases: what they park, what they leave, and two at once (engine rules 2 and 17)."""

import pytest

from passerelle.domain.outcome import Answer, Sort
from passerelle.domain.states import Reason, Scope
from passerelle.store.case_history import Act
from passerelle.store.cases import Cause, Ending, close_case, hold, open_case
from support.events import purchase
from support.workshop import UNKNOWN, Workshop, accepted, all_at_once, background

HOLDS = [Reason.ACCESS_DENIED, Reason.CREDENTIALS_REFUSED]


@pytest.mark.parametrize("reason", HOLDS)
def test_a_hold_parks_what_is_unsent_and_leaves_what_is_on_its_way(
    shop: Workshop, reason: Reason
) -> None:
    shop.submit(purchase(1))
    shop.deliver()
    shop.submit(purchase(2))
    shop.told.answers = [UNKNOWN]
    shop.deliver()
    shop.time_passes()
    shop.submit(purchase(3))
    shop.dies_at("mark")
    shop.execute("UPDATE folders SET lease = NULL, lease_until = NULL")
    shop.submit(purchase(4))
    shop.dies_at("claim")
    shop.submit(purchase(5), purchase(6))
    shop.execute("UPDATE entries SET state = 'waiting' WHERE entry_id = 'ach-2026-000006'")
    case_id = shop.hold(reason)
    assert [shop.state(number) for number in range(1, 7)] == [
        *("posted", "uncertain", "posting", "posting", "parked", "parked"),
    ]
    shop.lose_lease()
    assert (shop.state(3), shop.state(4)) == ("uncertain", "parked")
    shop.release(case_id)
    assert [shop.state(number) for number in range(1, 7)] == [
        *("posted", "uncertain", "uncertain", "received", "received", "received"),
    ]


@pytest.mark.parametrize("reason", HOLDS)
def test_what_has_an_open_attempt_is_neither_parked_nor_released(
    shop: Workshop, reason: Reason
) -> None:
    """Even if some transition had gone wrong."""
    shop.told.answers = [UNKNOWN]
    shop.submit(purchase(1))
    shop.deliver()
    shop.execute("UPDATE entries SET state = 'waiting'")
    case_id = shop.hold(reason)
    assert shop.state(1) == "waiting"
    shop.execute(
        "UPDATE entries SET state = 'parked', reason = :reason, case_id = :case_id",
        reason=reason,
        case_id=case_id,
    )
    shop.release(case_id)
    assert shop.state(1) == "parked"


def test_a_hold_of_a_folder_touches_no_other_and_one_of_a_firm_no_other_firm(
    shop: Workshop,
) -> None:
    shop.add_firm("OTHER", "ELSEWHERE")
    shop.submit(purchase(1), purchase(2, folder="SECOND"))
    shop.submit(purchase(3, firm="OTHER", folder="ELSEWHERE"))
    shop.hold(Reason.ACCESS_DENIED)
    assert [shop.state(number) for number in (1, 2, 3)] == ["parked", "received", "received"]
    shop.hold(Reason.CREDENTIALS_REFUSED)
    assert [shop.state(number) for number in (1, 2, 3)] == ["parked", "parked", "received"]


@pytest.mark.parametrize("reason", HOLDS)
def test_a_held_folder_gets_no_post(shop: Workshop, reason: Reason) -> None:
    shop.submit(purchase(1))
    shop.hold(reason)
    shop.submit(purchase(2))
    # Even if an entry had slipped in.
    shop.execute("UPDATE entries SET state = 'received', reason = NULL, case_id = NULL")
    shop.deliver_all()
    assert shop.told.bodies == []


def test_a_hold_opened_by_two_at_once_is_one_case(shop: Workshop) -> None:
    shop.submit(purchase(1))
    with shop.opening_hold():
        other = background(shop.hold)
        shop.wait_for_lock()
    other.result(30)
    assert shop.cases() == [("folder", "access_denied", "open")]


def test_a_case_opened_by_many_at_once_is_one(shop: Workshop) -> None:
    shop.submit(purchase(1))
    cause = shop.cause()

    def opened() -> int:
        with shop.engine.begin() as connection:
            return open_case(connection, cause)

    assert len(set(all_at_once([opened] * 4))) == 1


def test_a_case_that_is_just_closed_is_not_given_to_anybody(shop: Workshop) -> None:
    cause = shop.cause()
    with shop.engine.begin() as connection:
        first = open_case(connection, cause)

    def opened() -> int:
        with shop.engine.begin() as connection:
            return open_case(connection, cause)

    with shop.engine.begin() as connection:
        close_case(connection, first, Ending(Act.RELEASED))
        other = background(opened)
        shop.wait_for_lock()
    assert other.result(30) != first


def test_a_case_closes_once(shop: Workshop) -> None:
    case_id = shop.hold()
    shop.release(case_id)
    shop.submit(purchase(1))
    shop.hold()
    with shop.engine.begin() as connection:
        assert close_case(connection, case_id, Ending(Act.DISMISSED)) == []
    assert [state for *_, state in shop.cases()] == ["released", "open"]
    assert shop.state(1) == "parked"


def test_a_hold_and_a_release_at_once_leave_no_entry_between(shop: Workshop) -> None:
    shop.submit(purchase(1))
    first = shop.hold()
    with shop.engine.begin() as connection:
        close_case(connection, first, Ending(Act.RELEASED))
        other = background(shop.hold)
        shop.wait_for_lock()
    second = other.result(30)
    assert shop.entry(1)["case_id"] == second
    assert shop.row("SELECT held_by FROM folders")["held_by"] == second


def test_a_second_hold_of_a_folder_leaves_the_first_in_force(shop: Workshop) -> None:
    first = shop.hold(Reason.ACCESS_DENIED)
    second = shop.hold(Reason.UNKNOWN_FOLDER)
    assert first != second
    assert shop.row("SELECT held_by FROM folders")["held_by"] == first


def test_equal_refusals_of_a_folder_are_one_case_and_others_another(shop: Workshop) -> None:
    refusals = ("le SIRET est invalide", "le SIRET est invalide", "format ISO")
    for number, words in enumerate(refusals):
        shop.told.answers = [Answer(Sort.REFUSED, words, 200)]
        shop.submit(purchase(number))
        shop.deliver()
    assert shop.cases() == [("folder", "refused_by_loop", "open")] * 2
    assert shop.entry(0)["case_id"] == shop.entry(1)["case_id"] != shop.entry(2)["case_id"]
    assert shop.entry(2)["message"] == "format ISO"


def test_a_refusal_in_a_thousand_odd_characters_is_recorded(shop: Workshop) -> None:
    words = "".join(chr(0x10000 + number * 97) for number in range(1000))
    shop.told.answers = [Answer(Sort.REFUSED, words, 200)]
    shop.submit(purchase(1))
    shop.deliver()
    assert shop.entry(1)["message"] == words


def test_a_firms_hold_counts_before_its_folders(shop: Workshop) -> None:
    shop.hold(Reason.ACCESS_DENIED)
    of_firm = shop.hold(Reason.CREDENTIALS_REFUSED)
    shop.submit(purchase(1))
    assert shop.entry(1)["case_id"] == of_firm


def test_what_is_released_from_one_hold_goes_under_the_other(shop: Workshop) -> None:
    of_folder = shop.hold(Reason.ACCESS_DENIED)
    of_firm = shop.hold(Reason.CREDENTIALS_REFUSED)
    shop.submit(purchase(1))
    shop.release(of_firm)
    assert shop.entry(1)["case_id"] == of_folder
    assert shop.entry(1)["reason"] == "access_denied"
    shop.release(of_folder)
    shop.told.answers = [accepted()]
    shop.deliver_all()
    assert shop.state(1) == "posted"


def test_every_change_of_state_leaves_a_row(shop: Workshop) -> None:
    shop.submit(purchase(1))
    case_id = shop.hold()
    shop.release(case_id)
    shop.deliver()
    shop.follow_up()
    rows = shop.rows("SELECT from_state, to_state, reason, import_id FROM transitions ORDER BY id")
    assert [(row["from_state"], row["to_state"]) for row in rows] == [
        (None, "received"),
        ("received", "parked"),
        ("parked", "received"),
        ("received", "posting"),
        ("posting", "posted"),
        ("posted", "synced"),
    ]
    assert rows[1]["reason"] == "access_denied"
    assert rows[4]["import_id"] is not None


def test_a_hold_waits_for_no_delivery_and_stops_none(shop: Workshop) -> None:
    """Pace and leases are written to the rows that intake shares."""
    with shop.open_intake(purchase(1)):
        shop.submit(purchase(2, folder="OTHER", lines=purchase()["entry"]["lines"]))
        shop.deliver("OTHER")
    assert shop.told.asked == ["OTHER"]


def test_a_cause_of_one_scope_is_apart_from_the_same_of_another(shop: Workshop) -> None:
    shop.submit(purchase(1))
    row = shop.row("SELECT id, firm_id FROM folders")
    with shop.engine.begin() as connection:
        hold(connection, shop.cause(Reason.ACCESS_DENIED))
        of_firm = Cause(Scope.FIRM, row["firm_id"], None, Reason.ACCESS_DENIED, "non")
        hold(connection, of_firm)
        hold(connection, of_firm)
    assert [scope for scope, *_ in shop.cases()] == ["folder", "firm"]
