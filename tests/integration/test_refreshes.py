"""When reference data are read, by whom, and behind whom."""

import pytest
from sqlalchemy import Engine

from passerelle.domain.outcome import Answer, Sort
from passerelle.domain.referential import Kind, Page
from passerelle.domain.states import MISSED, Reason, Scope
from passerelle.loop_api.client import Credentials
from passerelle.store.case_history import Act
from passerelle.store.cases import Cause, Ending, close_case, open_case
from passerelle.store.cases import hold as hold_case
from passerelle.turns import DELIVERING, REFRESHING
from support.workshop import ToldLoop, Workshop


class Empty(ToldLoop):
    """Every list is empty; `reads` has the folder and list of each page."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[tuple[str, Kind]] = []
        self.page: Page | Answer = Page((), 0)

    def list_page(
        self,
        credentials: Credentials,  # noqa: ARG002 Loop's
        folder: str,
        kind: Kind,
        skip: int,  # noqa: ARG002 idem
    ) -> Page | Answer:
        self.reads.append((folder, kind))
        self.during()
        return self.page


@pytest.fixture
def loop() -> Empty:
    return Empty()


@pytest.fixture
def shop(engine: Engine, loop: Empty) -> Workshop:
    made = Workshop(engine, loop)
    made.add_firm("A", "A1", "A2", "A3")
    made.add_firm("B", "B1")
    return made


def rung(shop: Workshop) -> set[int]:
    return set(shop.sweep().refreshes)


def ids(shop: Workshop, *codes: str) -> set[int]:
    return {shop.folder_id(code) for code in codes}


def refresh(shop: Workshop, code: str) -> bool:
    return shop.referentials.refresh(shop.folder_id(code)) is not None


def refresh_all(shop: Workshop) -> None:
    for code in ("A1", "A2", "A3", "B1"):
        assert refresh(shop, code)


def bells_are_lost(shop: Workshop) -> None:
    shop.execute("UPDATE folders SET refresh_rung_at = NULL")


def missed(shop: Workshop, code: str, reason: Reason) -> int:
    row = shop.row("SELECT id, firm_id FROM folders WHERE code = :code", code=code)
    cause = Cause(Scope.FOLDER, row["firm_id"], row["id"], reason, "x")
    with shop.engine.begin() as connection:
        return open_case(connection, cause)


def test_a_new_folder_is_read_at_once_one_of_a_firm_at_a_time(shop: Workshop) -> None:
    assert rung(shop) == ids(shop, "A1", "B1")
    assert rung(shop) == set()
    assert refresh(shop, "A1")
    assert rung(shop) == ids(shop, "A2")


def test_a_bell_that_was_lost_is_rung_again(shop: Workshop) -> None:
    rung(shop)
    shop.execute("UPDATE folders SET refresh_rung_at = refresh_rung_at - interval '61 s'")
    assert rung(shop) == ids(shop, "A1", "B1")


def test_a_bell_that_came_in_vain_does_not_delay_the_firms_next(shop: Workshop) -> None:
    rung(shop)
    pause = "UPDATE firms SET paused_until = {} WHERE code = 'A'"
    shop.execute(pause.format("now() + interval '1 h'"))
    assert not refresh(shop, "A1")
    shop.execute(pause.format("NULL"))
    assert rung(shop) == ids(shop, "A1")


def test_while_one_folder_of_a_firm_is_read_no_other_is_rung_for(
    shop: Workshop, loop: Empty
) -> None:
    seen: list[set[int]] = []
    loop.during = lambda: seen.append(rung(shop))
    assert refresh(shop, "A1")
    assert set().union(*seen) == ids(shop, "B1")


def test_each_folder_is_read_once_a_night(shop: Workshop, loop: Empty) -> None:
    refresh_all(shop)
    bells_are_lost(shop)
    assert rung(shop) == set()
    shop.execute("UPDATE folders SET refresh_at = now() WHERE code IN ('A2', 'B1')")
    assert rung(shop) == ids(shop, "A2", "B1")
    loop.reads.clear()
    # The bell of another beat, and one that comes late.
    assert [refresh(shop, "A2"), refresh(shop, "A2")] == [True, False]
    assert len(loop.reads) == len(Kind)


@pytest.mark.parametrize("reason", sorted(MISSED))
def test_what_an_entry_misses_is_looked_for_every_quarter_of_an_hour(
    shop: Workshop, reason: Reason
) -> None:
    refresh_all(shop)
    case_id = missed(shop, "A3", reason)
    bells_are_lost(shop)
    assert rung(shop) == set()
    shop.execute("UPDATE folders SET refreshed_at = now() - interval '901 s'")
    assert rung(shop) == ids(shop, "A3")
    assert [refresh(shop, "A3"), refresh(shop, "A3")] == [True, False]
    shop.execute("UPDATE folders SET refreshed_at = now() - interval '901 s'")
    with shop.engine.begin() as connection:
        close_case(connection, case_id, Ending(Act.HEALED))
    assert rung(shop) == set()


def test_what_loop_refuses_to_list_is_not_asked_for_at_once_again(
    shop: Workshop, loop: Empty
) -> None:
    loop.page = Answer(Sort.REFUSED, "HTTP 400", 400)
    missed(shop, "A1", Reason.UNKNOWN_ACCOUNT)
    assert [refresh(shop, "A1"), refresh(shop, "A1")] == [True, False]


def test_what_fails_is_not_looked_for_every_quarter_of_an_hour(shop: Workshop) -> None:
    refresh_all(shop)
    missed(shop, "A3", Reason.UNKNOWN_ACCOUNT)
    shop.execute("UPDATE folders SET refreshed_at = now() - interval '1 d', refresh_failures = 1")
    assert rung(shop) == set()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE firms SET paused_until = now() + interval '1 h'",
        "UPDATE outages SET since = now(), probe_at = now() + interval '1 h'",
        "UPDATE folders SET registered_at = NULL",
    ],
)
def test_nothing_is_read_that_may_not_be(shop: Workshop, change: str) -> None:
    shop.execute(change)
    assert rung(shop) == set()
    assert not refresh(shop, "A1")


def test_a_folder_on_hold_is_not_read(shop: Workshop) -> None:
    row = shop.row("SELECT id, firm_id FROM folders WHERE code = 'A1'")
    cause = Cause(Scope.FOLDER, row["firm_id"], row["id"], Reason.ACCESS_DENIED, "x")
    with shop.engine.begin() as connection:
        hold_case(connection, cause)
    assert rung(shop) == ids(shop, "A2", "B1")
    assert shop.referentials.refresh(row["id"], asked=True) is None


def test_reference_data_stand_behind_whoever_has_work(shop: Workshop) -> None:
    """At two requests a second: one turn of theirs is the most that a delivery may find before it;
    where deliveries wait, they have none.
    """
    firm = shop.row("SELECT id FROM firms WHERE code = 'A'")["id"]
    shop.execute("UPDATE firms SET pace = 2, next_turn_at = NULL")
    slow = Workshop(shop.engine, pace=(2.0, 2.0))
    another_process = Workshop(shop.engine, pace=(2.0, 2.0))
    granted = []
    for turns in (slow.turns, another_process.turns):
        for _ in range(3):
            with turns.turn(firm, REFRESHING) as had:
                granted.append(had)
    assert granted == [True, True, False, False, False, False]
    with slow.turns.turn(firm, DELIVERING) as had:
        assert had
    assert slow.stop.waited[-1] < 1.1
    with slow.turns.turn(firm, REFRESHING) as had:
        assert not had


def test_of_a_firm_one_page_is_read_at_a_time(shop: Workshop) -> None:
    firm = shop.row("SELECT id FROM firms WHERE code = 'A'")["id"]
    with shop.turns.turn(firm, REFRESHING), shop.turns.turn(firm, REFRESHING) as had:
        assert not had
