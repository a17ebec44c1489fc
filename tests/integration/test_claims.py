"""Claim and mark: engine rules 1, 2, 3, 6 and 22, with two connections for each race."""

import datetime as dt
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import time_machine
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from passerelle.domain.outcome import Answer
from passerelle.domain.states import Reason
from passerelle.loop_api.client import Credentials
from passerelle.turns import Turns
from support.events import JsonObject, credit, debit, purchase
from support.rows_read import rows_read, vacuum
from support.workshop import (
    AGAIN,
    REFUSED,
    UNKNOWN,
    Stop,
    ToldLoop,
    Workshop,
    accepted,
    all_at_once,
    background,
)


def small(number: int, /, **changes: Any) -> JsonObject:
    """A purchase of two lines."""
    return purchase(number, **({"lines": [debit("1.00"), credit("1.00")]} | changes))


class SlowLoop(ToldLoop):
    """Counts how many POSTs are out at once; each waits a moment for others to come."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._out = 0
        self.most = 0

    def post_import(self, credentials: Credentials, body: bytes, started: float) -> Answer:
        with self._lock:
            self._out += 1
            self.most = max(self.most, self._out)
        threading.Event().wait(0.01)
        answer = super().post_import(credentials, body, started)
        with self._lock:
            self._out -= 1
        return answer


def test_deliveries_of_one_folder_at_once_send_each_entry_once(engine: Engine) -> None:
    loop = SlowLoop()
    shop = Workshop(engine, loop, batch_lines=6)
    shop.add_firm()
    shop.prove()
    shop.submit(*(small(number) for number in range(30)))
    folder = shop.folder_id()

    def deliver_on() -> None:
        for _ in range(30):
            shop.delivery.deliver(folder)

    all_at_once([deliver_on] * 3)
    shop.deliver_all()
    sent = [piece for pieces in loop.pieces() for piece in pieces]
    assert sorted(sent) == sorted(f"FA-2026-{number}" for number in range(30))
    assert loop.most == 1
    assert shop.states() == {"posted": 30}


def test_folders_of_one_firm_go_side_by_side(engine: Engine) -> None:
    shop = Workshop(engine)
    shop.add_firm("CABINET42", "A", "B")
    # The first mark of all, by which the database remembers itself, may send another away.
    shop.prove()
    shop.submit(small(1, folder="A"), small(2, folder="B"))
    both_out = threading.Barrier(2, timeout=20)

    def meet() -> None:
        both_out.wait()

    shop.told.during = meet
    all_at_once([lambda: shop.deliver("A"), lambda: shop.deliver("B")])
    assert shop.states() == {"posted": 2}


def test_a_delivery_that_finds_the_folder_taken_sends_nothing(shop: Workshop) -> None:
    found: list[int | None] = []
    shop.submit(small(1))

    def meanwhile() -> None:
        shop.submit(small(2))
        found.append(shop.another_delivery(ToldLoop()).deliver(shop.folder_id()))

    shop.told.during = meanwhile
    # The first says that more is due: what came meanwhile is not forgotten.
    assert shop.deliver()
    assert found == [None]
    assert (shop.state(1), shop.state(2)) == ("posted", "received")


@pytest.mark.parametrize(("answer", "state"), [(accepted(), "posted"), (UNKNOWN, "uncertain")])
def test_what_is_on_its_way_holds_up_nothing_else(
    shop: Workshop, answer: Answer, state: str
) -> None:
    shop.told.answers = [answer]
    shop.submit(small(1))
    shop.deliver()
    shop.time_passes()
    shop.told.answers = [accepted()]
    shop.submit(small(2))
    shop.deliver_all()
    assert (shop.state(1), shop.state(2)) == (state, "posted")
    assert shop.told.pieces() == [["FA-2026-1"], ["FA-2026-2"]]


def test_entries_go_in_the_order_in_which_they_came(engine: Engine) -> None:
    shop = Workshop(engine, batch_lines=4)
    shop.add_firm()
    shop.submit(*(small(number) for number in (3, 1, 2)))
    shop.submit(small(0))
    shop.deliver_all()
    assert shop.told.pieces() == [["FA-2026-3", "FA-2026-1"], ["FA-2026-2", "FA-2026-0"]]


def test_an_entry_that_waits_does_not_hold_up_the_others(shop: Workshop) -> None:
    shop.submit(small(1))
    shop.execute("UPDATE entries SET state = 'waiting', due_at = now() + interval '1 h'")
    shop.submit(small(2))
    shop.deliver_all()
    assert (shop.state(1), shop.state(2)) == ("waiting", "posted")
    shop.time_passes()
    shop.deliver_all()
    assert shop.state(1) == "posted"


def test_a_request_takes_as_many_lines_as_allowed_and_one_entry_at_least(engine: Engine) -> None:
    shop = Workshop(engine, batch_lines=5)
    shop.add_firm()
    long = [*[debit("1.00")] * 7, credit("7.00")]
    shop.submit(small(1), small(2), small(3, lines=long), small(4))
    shop.deliver_all()
    assert [len(body["data"]["ecritures"]) for body in shop.told.bodies] == [4, 8, 2]


@pytest.mark.parametrize("state", ["uncertain", "posted", "posting"])
def test_the_database_takes_one_open_attempt_an_entry_whatever_the_revision(
    shop: Workshop, state: str
) -> None:
    shop.told.answers = [accepted() if state == "posted" else UNKNOWN]
    shop.submit(small(1))
    if state == "posting":
        shop.dies_at("mark")
    else:
        shop.deliver()
    assert shop.state(1) == state
    with pytest.raises(IntegrityError, match="uq_attempts_open"):
        shop.execute(
            "INSERT INTO attempts (firm_id, folder_id, entry, entry_id, import_id, lines) "
            "SELECT firm_id, folder_id, entry, entry_id, import_id, '[]' FROM attempts"
        )


@pytest.mark.parametrize("step", ["mark", "call", "record"])
def test_what_has_an_open_attempt_is_not_claimed_in_any_state(shop: Workshop, step: str) -> None:
    shop.submit(small(1))
    shop.dies_at(step)
    shop.lose_lease()
    # Even if some transition had gone wrong.
    shop.execute("UPDATE entries SET state = 'waiting', lease = NULL, due_at = now()")
    shop.time_passes()
    shop.deliver_all()
    assert len(shop.told.bodies) == (0 if step == "mark" else 1)
    assert shop.attempts() == [None]


def between_claim_and_mark(shop: Workshop, act: Callable[[], object]) -> None:
    """Deliver, with something that happens after the claim has been committed."""

    def checkpoint(step: str) -> None:
        if step == "claim":
            act()

    shop.another_delivery(checkpoint=checkpoint).deliver(shop.folder_id())


def test_a_lease_that_ran_out_before_the_mark_sends_nothing(shop: Workshop) -> None:
    shop.submit(small(1))
    between_claim_and_mark(shop, shop.leases_run_out)
    assert shop.told.bodies == []
    assert shop.attempts() == []
    assert shop.state(1) == "waiting"


def test_a_lease_that_upkeep_took_back_before_the_mark_sends_nothing(shop: Workshop) -> None:
    shop.submit(small(1))
    between_claim_and_mark(shop, shop.lose_lease)
    assert shop.told.bodies == []
    assert shop.attempts() == []
    assert shop.state(1) == "waiting"


def test_an_entry_that_was_taken_back_alone_sends_nothing(shop: Workshop) -> None:
    def entry_lost() -> None:
        shop.execute("UPDATE entries SET lease_until = now()")
        shop.sweep()

    shop.submit(small(1))
    between_claim_and_mark(shop, entry_lost)
    assert shop.told.bodies == []
    assert shop.attempts() == []


def test_an_entry_that_another_delivery_has_by_now_is_sent_by_that_one_alone(
    shop: Workshop,
) -> None:
    shop.submit(small(1))

    def overtaken() -> None:
        shop.lose_lease()
        shop.time_passes()
        shop.deliver()

    between_claim_and_mark(shop, overtaken)
    assert len(shop.told.bodies) == 1
    assert shop.state(1) == "posted"


@pytest.mark.parametrize("reason", [Reason.ACCESS_DENIED, Reason.CREDENTIALS_REFUSED])
def test_a_hold_between_claim_and_mark_sends_nothing(shop: Workshop, reason: Reason) -> None:
    shop.submit(small(1))
    between_claim_and_mark(shop, lambda: shop.hold(reason))
    assert shop.told.bodies == []
    assert shop.entry(1)["state"] == "parked"
    assert shop.entry(1)["reason"] == reason


@pytest.mark.parametrize("reason", [Reason.ACCESS_DENIED, Reason.CREDENTIALS_REFUSED])
def test_a_mark_waits_for_a_hold_that_is_being_opened(shop: Workshop, reason: Reason) -> None:
    shop.submit(small(1))
    claimed, opening = threading.Event(), threading.Event()

    def checkpoint(step: str) -> None:
        if step == "claim":
            claimed.set()
            assert opening.wait(20)

    delivered = background(
        lambda: shop.another_delivery(checkpoint=checkpoint).deliver(shop.folder_id())
    )
    assert claimed.wait(20)
    with shop.opening_hold(reason):
        opening.set()
        shop.wait_for_lock()
    assert not delivered.result(30)
    assert shop.told.bodies == []
    assert shop.entry(1)["reason"] == reason


def test_a_claim_waits_for_a_hold_that_is_being_opened(shop: Workshop) -> None:
    shop.submit(small(1))
    leased, opening = threading.Event(), threading.Event()
    delivery = shop.another_delivery()

    class Turn(Stop):
        def wait(self, timeout: float | None = None) -> bool:
            leased.set()
            assert opening.wait(20)
            return super().wait(timeout)

    shop.turns = Turns(shop.engine, (1000.0, 1000.0), Turn())
    delivery = shop.another_delivery()
    delivered = background(lambda: delivery.deliver(shop.folder_id()))
    assert leased.wait(20)
    with shop.opening_hold():
        opening.set()
        shop.wait_for_lock()
    assert not delivered.result(30)
    assert shop.states() == {"parked": 1}
    assert shop.told.bodies == []


def test_a_hold_that_comes_during_the_mark_leaves_the_entry_on_its_way(shop: Workshop) -> None:
    shop.submit(small(1))
    claimed, locked = threading.Event(), threading.Event()

    def checkpoint(step: str) -> None:
        if step == "claim":
            claimed.set()
            assert locked.wait(20)

    delivered = background(
        lambda: shop.another_delivery(checkpoint=checkpoint).deliver(shop.folder_id())
    )
    assert claimed.wait(20)
    with shop.engine.begin() as connection:
        connection.exec_driver_sql("SELECT id FROM entries FOR UPDATE")
        locked.set()
        shop.wait_for_lock()
        held = background(shop.hold)
        shop.wait_for_lock(2)
    delivered.result(30)
    held.result(30)
    assert shop.state(1) == "posted"
    assert len(shop.told.bodies) == 1


@pytest.mark.parametrize("minutes", [-5, 5])
def test_a_worker_with_a_wrong_clock_changes_nothing(shop: Workshop, minutes: int) -> None:
    wrong = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)
    with time_machine.travel(wrong, tick=True):
        shop.submit(small(1), small(2))
        shop.dies_at("claim")
        shop.sweep()
        assert shop.states() == {"posting": 2}
        lease = shop.rows(
            "SELECT extract(epoch FROM lease_until - now())::float AS left FROM entries"
        )
        assert all(50 < row["left"] <= 60 for row in lease)
        shop.lose_lease()
        shop.told.answers = [AGAIN, accepted()]
        shop.time_passes()
        shop.deliver()
        due = shop.rows(
            "SELECT extract(epoch FROM due_at - now())::float AS left FROM entries "
            "WHERE state = 'waiting'"
        )
        assert all(row["left"] < 1 for row in due)
        shop.time_passes()
        shop.deliver_all()
        shop.follow_up()
    assert shop.states() == {"synced": 2}
    ages = shop.rows(
        "SELECT abs(extract(epoch FROM now() - t))::float AS age FROM (SELECT sent_at AS t "
        "FROM imports UNION ALL SELECT at FROM transitions UNION ALL SELECT synced_at "
        "FROM entries UNION ALL SELECT received_at FROM entries) AS times"
    )
    assert max(row["age"] for row in ages) < 60


def test_no_statement_of_the_main_way_reads_what_it_does_not_need(
    shop: Workshop, engine: Engine
) -> None:
    count = 20_000
    _fill(shop, count)
    vacuum(engine)
    first = [purchase(number) for number in range(50)]
    corrected = [purchase(n, revision=2, event_id=str(uuid.uuid4())) for n in range(5)]
    folder = shop.folder_id()
    shop.told.answers = [replace(UNKNOWN, down=False), accepted(), REFUSED, AGAIN]
    before = rows_read(engine)
    for events in (first, [*first, *corrected], [purchase(51)], [purchase(52)], [purchase(53)]):
        shop.submit(*events)
        shop.delivery.deliver(folder)
        shop.sweep()
    shop.execute("UPDATE firms SET paused_until = now()")
    shop.execute("UPDATE imports SET poll_at = now() WHERE poll_at IS NOT NULL")
    shop.followup.follow_up(range(count, count + 10))
    shop.release(shop.hold())
    shop.release(shop.hold(Reason.CREDENTIALS_REFUSED))
    after = rows_read(engine)
    assert {table: after[table] - before[table] for table in after if after[table] > count} == {
        table: pytest.approx(0, abs=count / 4) for table in after if after[table] > count
    }
    # All the ways were gone: otherwise the figures above say nothing.
    wanted = {"synced": count + 2, "uncertain": 50, "received": 6 + count, "parked": 1}
    assert shop.states() == wanted


def _fill(shop: Workshop, count: int) -> None:
    """As many entries synced in the same folder, with all that belongs to them; as many due in one
    of another firm.
    """
    shop.submit(small(10**9))
    shop.deliver()
    shop.follow_up()
    names = {
        "entries": "firm_id, folder_id, revision, event_id, occurred_at, entry, fingerprint, "
        "line_count, state, synced_at",
        "imports": "firm_id, folder_id, answer, request_id, status, ended_at",
    }
    shop.execute(
        f"INSERT INTO entries (entry_id, {names['entries']}) "  # noqa: S608 literals
        f"SELECT 'old-' || n, {names['entries']} FROM entries, generate_series(1, {count}) n"
    )
    shop.execute(
        f"INSERT INTO imports ({names['imports']}) "  # noqa: S608 idem
        f"SELECT {names['imports']} FROM imports, generate_series(1, {count}) n"
    )
    shop.execute(
        "INSERT INTO attempts (firm_id, folder_id, entry, entry_id, import_id, lines, closed_at, "
        "closed_as) SELECT e.firm_id, e.folder_id, e.id, e.entry_id, i.id, '[]', now(), 'ended' "
        "FROM entries e JOIN imports i ON i.id = e.id WHERE e.entry_id LIKE 'old-%'"
    )
    shop.execute(
        "INSERT INTO events (event_id, fingerprint, firm_id, entry) "
        "SELECT gen_random_uuid(), fingerprint, firm_id, id FROM entries"
    )
    shop.execute(
        "INSERT INTO transitions (firm_id, entry, to_state) "
        "SELECT firm_id, id, 'synced' FROM entries"
    )
    shop.execute(
        "INSERT INTO auxiliary_codes (firm_id, folder_id, code, loop_code) "
        "SELECT firm_id, folder_id, entry_id, entry_id FROM entries"
    )
    shop.add_firm("OTHER", "BACKLOG")
    shop.execute(
        "INSERT INTO entries (firm_id, folder_id, entry_id, revision, event_id, occurred_at, "
        "entry, fingerprint, line_count, state) SELECT fo.firm_id, fo.id, e.entry_id, e.revision, "
        "e.event_id, e.occurred_at, e.entry, e.fingerprint, e.line_count, 'received' "
        "FROM entries e, folders fo WHERE fo.code = 'BACKLOG' AND e.entry_id LIKE 'old-%'"
    )
    shop.execute("ANALYZE")
