"""Call and record: what becomes of entries for every answer, in time or late (rules 1 to 8)."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Engine

from passerelle.domain.outcome import Answer, Sort
from passerelle.domain.states import Reason
from passerelle.loop_api.client import Credentials
from passerelle.store.imports import lock_import, write_answer
from passerelle.store.vault import Vault, VaultError
from support.events import JsonObject, credit, debit, purchase
from support.workshop import (
    ACCESS_DENIED,
    AGAIN,
    KEYS_REFUSED,
    REFUSED,
    THROTTLED,
    UNKNOWN,
    ToldLoop,
    Workshop,
    accepted,
    background,
)

FOLDER_UNKNOWN = Answer(Sort.PERSON, "n'existe pas", 200, reason=Reason.UNKNOWN_FOLDER)


def small(number: int, /, **changes: Any) -> JsonObject:
    """A purchase of two lines."""
    return purchase(number, **({"lines": [debit("1.00"), credit("1.00")]} | changes))


ANSWERS = [
    (accepted(), "posted", None, None, []),
    (AGAIN, "waiting", "never_sent", None, []),
    (THROTTLED, "waiting", "never_sent", None, []),
    (UNKNOWN, "uncertain", None, None, []),
    (REFUSED, "parked", "refused", "refused_by_loop", [("folder", "refused_by_loop", "open")]),
    (ACCESS_DENIED, "parked", "refused", "access_denied", [("folder", "access_denied", "open")]),
    (FOLDER_UNKNOWN, "parked", "refused", "unknown_folder", [("folder", "unknown_folder", "open")]),
    (
        *(KEYS_REFUSED, "parked", "refused", "credentials_refused"),
        [("firm", "credentials_refused", "open")],
    ),
]


@pytest.mark.parametrize(("answer", "state", "closed", "reason", "cases"), ANSWERS)
def test_an_answer_decides_on_the_entry(
    shop: Workshop,
    answer: Answer,
    state: str,
    closed: str | None,
    reason: str | None,
    cases: list[tuple[str, str, str]],
) -> None:
    shop.told.answers = [answer]
    shop.submit(small(1))
    shop.deliver()
    assert (shop.state(1), shop.entry(1)["reason"]) == (state, reason)
    assert shop.attempts() == [closed]
    assert shop.cases() == cases
    # Answered: the lease is gone, and nothing is left for upkeep to take back.
    shop.leases_run_out()
    shop.sweep()
    assert shop.state(1) == state


@pytest.mark.parametrize(("answer", "state", "closed", "reason", "cases"), ANSWERS)
def test_a_late_answer_decides_as_one_in_time(
    shop: Workshop,
    answer: Answer,
    state: str,
    closed: str | None,
    reason: str | None,
    cases: list[tuple[str, str, str]],
) -> None:
    shop.told.answers = [answer]
    shop.told.during = lambda: _late(shop)
    shop.submit(small(1))
    shop.deliver()
    assert (shop.state(1), shop.entry(1)["reason"]) == (state, reason)
    assert shop.attempts() == [closed]
    assert shop.cases() == cases
    if answer.request_id is not None:
        shop.follow_up()
        assert shop.state(1) == "synced"


def _late(shop: Workshop) -> None:
    """The lease runs out during the call, and others try their luck."""
    shop.lose_lease()
    assert shop.state(1) == "uncertain"
    shop.time_passes()
    other = ToldLoop()
    shop.another_delivery(other).deliver(shop.folder_id())
    assert other.bodies == []


def test_a_late_answer_counts_before_upkeep_has_come_too(shop: Workshop) -> None:
    shop.told.during = shop.leases_run_out
    shop.submit(small(1))
    shop.deliver()
    shop.sweep()
    assert shop.state(1) == "posted"


@pytest.mark.parametrize(("answer", "state"), [(AGAIN, "parked"), (UNKNOWN, "uncertain")])
@pytest.mark.parametrize("reason", [Reason.ACCESS_DENIED, Reason.CREDENTIALS_REFUSED])
def test_what_comes_back_unsent_under_a_hold_is_parked(
    shop: Workshop, answer: Answer, state: str, reason: Reason
) -> None:
    shop.told.answers = [answer]

    def hold() -> None:
        shop.hold(reason)

    shop.told.during = hold
    shop.submit(small(1))
    shop.deliver()
    assert shop.state(1) == state
    if state == "parked":
        assert shop.entry(1)["reason"] == reason


def test_an_error_after_the_mark_is_an_unknown_answer(shop: Workshop) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    shop.told.during = fail
    shop.submit(small(1))
    with pytest.raises(ZeroDivisionError):
        shop.deliver()
    shop.lose_lease()
    assert shop.state(1) == "uncertain"
    assert shop.attempts() == [None]
    shop.told.during = lambda: None
    shop.time_passes()
    shop.deliver_all()
    assert len(shop.told.bodies) == 1


def test_the_lines_are_stored_as_they_are_sent_before_they_are_sent(shop: Workshop) -> None:
    seen: list[Any] = []
    shop.told.during = lambda: seen.extend(shop.rows("SELECT lines FROM attempts ORDER BY id"))
    shop.submit(purchase(1), purchase(2))
    shop.deliver()
    [body] = shop.told.bodies
    assert [line for row in seen for line in row["lines"]] == body["data"]["ecritures"]


def test_the_call_is_made_with_no_transaction_open(shop: Workshop) -> None:
    found: list[Any] = []
    shop.told.during = lambda: found.extend(
        shop.rows(
            "SELECT state FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND state <> 'idle'"
        )
    )
    shop.submit(small(1))
    shop.deliver()
    assert found == []


def test_cuts_are_told_on_the_entry(shop: Workshop) -> None:
    shop.submit(
        small(1, lines=[debit("1.00", description="x" * 36), credit("1.00", description="y")])
    )
    shop.deliver()
    assert shop.entry(1)["cuts"] == [
        {"line": 0, "field": "description", "from": "x" * 36, "to": "x" * 35}
    ]


@pytest.mark.parametrize("answer", [AGAIN, THROTTLED, ACCESS_DENIED, KEYS_REFUSED])
def test_a_cause_of_loop_or_of_the_firm_never_uses_an_entry_up(
    shop: Workshop, answer: Answer
) -> None:
    shop.told.answers = [answer]
    shop.submit(small(1))
    for _ in range(12):
        shop.time_passes()
        shop.deliver()
        for row in shop.rows("SELECT id FROM cases WHERE state = 'open'"):
            shop.release(row["id"])
    assert len(shop.told.bodies) == 12
    assert shop.entry(1)["crashes"] == 0
    shop.told.answers = [accepted()]
    shop.time_passes()
    shop.deliver()
    assert shop.state(1) == "posted"


@pytest.mark.parametrize("answer", [AGAIN, THROTTLED, UNKNOWN])
def test_a_firm_whose_loop_is_away_is_left_alone_and_no_other(
    shop: Workshop, answer: Answer
) -> None:
    shop.add_firm("OTHER", "ELSEWHERE")
    shop.told.answers = [answer, accepted()]
    shop.submit(small(1), small(3, firm="OTHER", folder="ELSEWHERE"))
    shop.deliver()
    shop.submit(small(2))
    shop.deliver_all()
    assert (shop.state(2), shop.state(3)) == ("received", "posted")
    shop.time_passes()
    shop.deliver_all()
    assert shop.state(2) == "posted"


def test_what_throttles_says_how_long(shop: Workshop) -> None:
    shop.told.answers = [THROTTLED]
    shop.submit(small(1))
    shop.deliver()
    row = shop.row(
        "SELECT extract(epoch FROM paused_until - now())::float AS firm, "
        "(SELECT extract(epoch FROM due_at - now())::float FROM entries) AS entry FROM firms"
    )
    assert 56 < row["firm"] < 59
    assert 56 < row["entry"] < 59


class PoisonedLoop(ToldLoop):
    """Refuses whatever request holds the poison."""

    poison: tuple[str, ...] = ("FA-2026-5",)

    def post_import(self, credentials: Credentials, body: bytes, started: float) -> Answer:
        super().post_import(credentials, body, started)
        return REFUSED if set(self.poison) & set(self.pieces()[-1]) else accepted()


@pytest.mark.parametrize("poison", [("FA-2026-5",), ("FA-2026-0", "FA-2026-15"), ("FA-2026-7",)])
def test_a_refused_request_is_halved_until_the_poison_is_alone(
    engine: Engine, poison: Sequence[str]
) -> None:
    loop = PoisonedLoop()
    loop.poison = tuple(poison)
    shop = Workshop(engine, loop)
    shop.add_firm()
    shop.prove()
    shop.submit(*(small(number) for number in range(16)))
    shop.deliver_all()
    assert shop.states() == {"posted": 16 - len(poison), "parked": len(poison)}
    assert shop.cases() == [("folder", "refused_by_loop", "open")]
    taken = [piece for pieces in loop.pieces() for piece in pieces if not set(poison) & set(pieces)]
    assert len(taken) == len(set(taken)) == 16 - len(poison)
    assert len(loop.bodies) <= 1 + 8 * len(poison)


def test_halves_do_not_mix_with_what_comes_later(engine: Engine) -> None:
    loop = PoisonedLoop()
    shop = Workshop(engine, loop)
    shop.add_firm()
    shop.submit(*(small(number) for number in range(4, 8)))
    shop.deliver()
    shop.submit(small(50), small(51))
    shop.deliver_all()
    assert sorted(map(len, loop.pieces()[1:])) == [1, 1, 2, 2, 2]


def test_an_entry_that_cannot_be_mapped_harms_no_other(shop: Workshop) -> None:
    shop.submit(small(1), small(2), small(3))
    shop.execute(
        "UPDATE entries SET entry = jsonb_set(entry, '{date}', '\"never\"') "
        "WHERE entry_id = 'ach-2026-000002'"
    )
    shop.deliver_all()
    assert [shop.state(number) for number in (1, 2, 3)] == ["posted", "waiting", "posted"]
    for _ in range(2):
        shop.time_passes()
        shop.deliver_all()
    assert shop.entry(2)["reason"] == "internal"
    assert shop.cases() == [("entry", "internal", "open")]
    assert shop.attempts() == [None, None]


def test_a_failed_mapping_is_not_counted_by_who_lost_the_entry(shop: Workshop) -> None:
    shop.submit(small(1))
    shop.execute("UPDATE entries SET entry = jsonb_set(entry, '{date}', '\"never\"')")

    def overtaken(step: str) -> None:
        if step == "claim":
            shop.lose_lease()
            shop.execute("UPDATE entries SET entry = jsonb_set(entry, '{date}', '\"2026-11-18\"')")
            shop.time_passes()
            shop.dies_at("mark")

    shop.another_delivery(checkpoint=overtaken).deliver(shop.folder_id())
    assert shop.state(1) == "posting"
    assert shop.entry(1)["crashes"] == 1


def test_a_code_released_without_a_code_of_its_own_collides_again(shop: Workshop) -> None:
    for number, code in enumerate(("F" * 17 + "A", "F" * 17 + "B")):
        lines = [debit("1.00"), credit("1.00", auxiliary={"code": code})]
        shop.submit(purchase(number, lines=lines))
    shop.release(shop.row("SELECT id FROM cases")["id"])
    assert shop.states() == {"received": 2}
    shop.deliver_all()
    assert (shop.state(0), shop.state(1)) == ("posted", "parked")
    assert shop.cases() == [("folder", "auxiliary_collision", "open")]


def test_what_does_not_fit_the_bytes_of_a_request_goes_with_the_next(engine: Engine) -> None:
    shop = Workshop(engine, batch_bytes=3_500)
    shop.add_firm()
    shop.submit(*(small(number) for number in range(6)))
    shop.deliver_all()
    assert shop.states() == {"posted": 6}
    assert 1 < len(shop.told.bodies) < 6
    sent = [piece for pieces in shop.told.pieces() for piece in pieces]
    assert sent == [f"FA-2026-{number}" for number in range(6)]


# A folder that only events have named.


def test_loop_is_asked_before_a_folder_of_an_events_making_is_used(shop: Workshop) -> None:
    shop.submit(small(1, folder="NEW"))
    assert shop.deliver("NEW")
    assert (shop.told.asked, shop.told.bodies) == (["NEW"], [])
    assert shop.deliver("NEW") is None
    assert shop.state(1) == "posted"
    shop.submit(small(2, folder="NEW"))
    shop.deliver("NEW")
    assert shop.told.asked == ["NEW"]


def test_the_first_entry_of_a_new_folder_goes_as_soon_as_loop_knows_it(engine: Engine) -> None:
    shop = Workshop(engine, gather_seconds=3600)
    shop.add_firm()
    shop.submit(small(1, folder="NEW"))
    shop.deliver_all()
    assert shop.states() == {"posted": 1}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ACCESS_DENIED, "access_denied"),
        (FOLDER_UNKNOWN, "unknown_folder"),
        (KEYS_REFUSED, "credentials_refused"),
    ],
)
def test_a_folder_that_loop_refuses_is_held(shop: Workshop, answer: Answer, reason: str) -> None:
    shop.told.folder = answer
    shop.submit(small(1, folder="NEW"), small(2, folder="NEW"))
    shop.deliver("NEW")
    assert shop.entry(1)["reason"] == shop.entry(2)["reason"] == reason
    assert shop.told.bodies == []
    shop.submit(small(3, folder="NEW"))
    assert shop.entry(3)["reason"] == reason


@pytest.mark.parametrize("answer", [AGAIN, UNKNOWN, THROTTLED])
def test_a_folder_that_loop_could_not_be_asked_about_is_asked_about_again(
    shop: Workshop, answer: Answer
) -> None:
    shop.told.folder = answer
    shop.submit(small(1, folder="NEW"))
    assert not shop.deliver("NEW")
    assert shop.states() == {"received": 1}
    shop.told.folder = accepted()
    assert not shop.deliver("NEW")
    shop.time_passes()
    shop.deliver_all()
    assert shop.states() == {"posted": 1}


def test_of_two_nearly_equal_folders_the_first_that_loop_knows_is_the_one(shop: Workshop) -> None:
    shop.submit(small(1, folder="NEW"), small(2, folder="new"))
    shop.deliver_all()
    assert (shop.state(1), shop.state(2)) == ("posted", "parked")
    assert shop.entry(2)["reason"] == "unknown_folder"
    assert "NEW" in shop.entry(2)["message"]


def test_a_request_takes_one_turn_of_the_firms_pace(engine: Engine) -> None:
    shop = Workshop(engine, pace=(1.0, 1.0))
    shop.add_firm()
    shop.submit(small(1, folder="NEW"))
    shop.deliver_all()
    assert len(shop.stop.waited) == len(shop.told.asked) + len(shop.told.bodies) == 2
    assert shop.stop.waited[1] > 0


# Two answers to one import request.


@pytest.mark.parametrize("second", [UNKNOWN, REFUSED, accepted("other")])
def test_a_definite_answer_gives_way_to_no_other(shop: Workshop, second: Answer) -> None:
    shop.submit(small(1))
    shop.deliver()
    with shop.engine.begin() as connection:
        import_id = shop.row("SELECT id FROM imports")["id"]
        assert not write_answer(connection, import_id, second, None)
    assert shop.row("SELECT answer, request_id FROM imports") == {
        "answer": "accepted",
        "request_id": accepted().request_id,
    }


def test_an_unknown_answer_gives_way_to_a_definite_one(shop: Workshop) -> None:
    shop.told.answers = [UNKNOWN]
    shop.submit(small(1))
    shop.deliver()
    with shop.engine.begin() as connection:
        import_id = shop.row("SELECT id FROM imports")["id"]
        assert write_answer(connection, import_id, accepted(), 1.0)


def test_two_answers_to_an_import_are_recorded_one_after_the_other(shop: Workshop) -> None:
    shop.submit(small(1))
    shop.dies_at("call")
    import_id = shop.row("SELECT id FROM imports")["id"]

    def record() -> bool:
        with shop.engine.begin() as connection:
            lock_import(connection, import_id)
            return write_answer(connection, import_id, REFUSED, None)

    with shop.engine.begin() as connection:
        lock_import(connection, import_id)
        other = background(record)
        shop.wait_for_lock()
        write_answer(connection, import_id, accepted(), 1.0)
    assert not other.result(30)


def test_an_answer_is_recorded_though_the_connection_breaks_under_it(shop: Workshop) -> None:
    locked = threading.Event()

    def cut() -> None:
        with shop.engine.begin() as connection:
            connection.exec_driver_sql("SELECT id FROM imports FOR UPDATE")
            locked.set()
            shop.wait_for_lock()
            shop.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )

    def during() -> None:
        cuts.append(background(cut))
        assert locked.wait(20)

    cuts: list[Future[None]] = []
    shop.told.during = during
    shop.submit(small(1))
    shop.deliver()
    cuts[0].result(30)
    assert shop.state(1) == "posted"


def test_a_firm_whose_key_is_gone_sends_nothing_and_harms_no_other(shop: Workshop) -> None:
    shop.add_firm("OTHER", "ELSEWHERE")
    stranger = Vault([Fernet.generate_key().decode()]).seal("secret")
    shop.execute("UPDATE firms SET api_secret = :sealed WHERE code = 'OTHER'", sealed=stranger)
    shop.submit(small(1), small(2, firm="OTHER", folder="ELSEWHERE"))
    with pytest.raises(VaultError):
        shop.deliver("ELSEWHERE")
    shop.deliver()
    assert (shop.state(1), shop.state(2)) == ("posted", "received")
