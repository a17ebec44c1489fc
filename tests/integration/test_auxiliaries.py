"""Promise: an auxiliary code has one code in Loop, and no entry slips past it."""

import pytest
from sqlalchemy.exc import OperationalError

from passerelle.auxiliaries import Auxiliaries, AuxiliaryError, Given
from passerelle.store.acts import lock_open_case
from support.events import with_auxiliary
from support.workshop import Workshop, all_at_once, background

FIRST, SECOND, THIRD = ("F" * 17 + tail for tail in "ABC")


@pytest.fixture
def auxiliaries(shop: Workshop) -> Auxiliaries:
    return Auxiliaries(shop.engine, shop.limits)


def test_an_entry_that_arrives_meanwhile_does_not_wait_for_ever(
    shop: Workshop, auxiliaries: Auxiliaries
) -> None:
    shop.submit(with_auxiliary(1, FIRST))
    with shop.open_intake(with_auxiliary(2, SECOND)):
        given = background(lambda: auxiliaries.give(shop.folder_id(), SECOND, "B", "x"))
        shop.wait_for_lock(2)
    assert given.result(30).freed.entries == 1
    assert (shop.state(2), shop.cases()) == (
        "received",
        [("folder", "auxiliary_collision", "healed")],
    )


def test_an_entry_that_arrives_right_after_it_sees_it(
    shop: Workshop, auxiliaries: Auxiliaries
) -> None:
    shop.submit(with_auxiliary(1, FIRST))
    with shop.engine.begin() as connection:
        auxiliaries.give_in(connection, shop.folder_id(), SECOND, "B", "x")
        taken = background(lambda: shop.submit(with_auxiliary(2, SECOND)))
        shop.wait_for_lock()
    taken.result(30)
    assert (shop.state(2), shop.cases()) == ("received", [])


def test_of_two_operators_who_give_the_same_code_one_is_refused(
    shop: Workshop, auxiliaries: Auxiliaries
) -> None:
    shop.submit(*(with_auxiliary(n, code) for n, code in enumerate((FIRST, SECOND, THIRD), 1)))

    def give(code: str) -> Given | AuxiliaryError:
        try:
            return auxiliaries.give(shop.folder_id(), code, "NEW", "x")
        except AuxiliaryError as error:
            return error

    done = all_at_once([lambda: give(SECOND), lambda: give(THIRD)])
    [given] = [one for one in done if isinstance(one, Given)]
    [error] = [one for one in done if isinstance(one, AuxiliaryError)]
    assert f"NEW is what {given.code} goes by" in str(error)
    assert shop.states() == {"received": 2, "parked": 1}
    assert sorted(state for _, _, state in shop.cases()) == ["healed", "open"]


def test_what_is_being_prepared_is_not_given_another_code(
    shop: Workshop, auxiliaries: Auxiliaries
) -> None:
    """Between claim and mark: whether it goes under the code before is not known yet."""
    shop.submit(with_auxiliary(1, FIRST), with_auxiliary(2, SECOND))

    def meanwhile(step: str) -> None:
        if step == "claim":
            with pytest.raises(AuxiliaryError, match="again in a moment"):
                auxiliaries.give(shop.folder_id(), FIRST, "A", "x")
            # Others' codes are not concerned.
            auxiliaries.give(shop.folder_id(), SECOND, "B", "x")
        elif step == "mark":
            given = auxiliaries.give(shop.folder_id(), FIRST, "A", "x")
            assert (given.before, given.sent.count) == (FIRST[:17], 1)

    shop.another_delivery(checkpoint=meanwhile).deliver(shop.folder_id())
    assert (shop.state(1), shop.state(2)) == ("posted", "received")


def test_a_case_in_others_hands_is_not_waited_for(shop: Workshop, auxiliaries: Auxiliaries) -> None:
    """They may wait for the folder: nothing is done, and the folder is let go."""
    shop.submit(with_auxiliary(1, FIRST), with_auxiliary(2, SECOND))
    with shop.engine.begin() as connection:
        lock_open_case(connection, shop.row("SELECT id FROM cases")["id"])
        given = background(lambda: auxiliaries.give(shop.folder_id(), SECOND, "B", "x"))
        assert isinstance(given.exception(10), OperationalError)
        shop.submit(with_auxiliary(3, THIRD))
    assert "B" not in [row["loop_code"] for row in shop.rows("SELECT * FROM auxiliary_codes")]
    assert auxiliaries.give(shop.folder_id(), SECOND, "B", "x").freed.entries == 1


def test_a_release_of_the_same_case_at_once_ends_in_neither_s_way(
    shop: Workshop, auxiliaries: Auxiliaries
) -> None:
    shop.submit(with_auxiliary(1, FIRST), with_auxiliary(2, SECOND))
    case_id = shop.row("SELECT id FROM cases")["id"]
    all_at_once(
        [
            lambda: auxiliaries.give(shop.folder_id(), SECOND, "B", "x") and None,
            lambda: shop.release(case_id),
        ]
    )
    assert shop.state(2) == "received"
    shop.deliver_all()
    assert shop.states() == {"posted": 2}
