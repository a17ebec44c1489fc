"""A database that went back: engine rule 23."""

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from structlog.testing import capture_logs

from passerelle.domain.states import Reason
from passerelle.restoring import Restoring, RestoringError
from passerelle.store import identity
from passerelle.store.engine import make_engine
from support.books import Books, Fate
from support.command import commands, deployment_environ
from support.events import JsonObject, put
from support.events import purchase as validated
from support.servers import Servers, database_name
from support.workshop import REFUSED, UNKNOWN, Workshop, background

LOST = Fate(answered=False, stored=False)
LATE = Fate(answered=False, late=True)
BACKUP = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
ELSEWHERE = "ELSEWHERE"


def purchase(number: int, /, **changes: Any) -> JsonObject:
    """Each stands under a piece of its own."""
    return validated(number, **({"piece_ref": f"F-{number}"} | changes))


@pytest.fixture
def shop(engine: Engine) -> Workshop:
    """Something was sent."""
    made = Workshop(engine)
    made.add_firm("CABINET42", "DEMO000001", ELSEWHERE)
    made.submit(purchase(900))
    made.deliver()
    made.follow_up()
    assert made.states() == {"synced": 1}
    return made


def restore(shop: Workshop) -> int:
    return shop.restoring.restore(BACKUP, "Ada")


# Nothing is sent.

WENT_BACK = {
    "another server": "UPDATE database_identity SET system_identifier = system_identifier + 1",
    "another timeline": "UPDATE database_identity SET timeline = '0000000F'",
    "a copy": "UPDATE database_identity SET database_oid = database_oid + 1",
    "tables made anew": "UPDATE database_identity SET entries_oid = entries_oid + 1",
    "restored by half": "UPDATE database_identity SET entries_oid = NULL",
    "nobody knows": "DELETE FROM database_identity",
    # By who is at work, and has come to its end by the mark.
    "put in doubt": "UPDATE entries SET doubted = true WHERE state = 'posting'",
}


def test_where_the_database_went_back_nothing_is_sent(shop: Workshop) -> None:
    shop.submit(purchase(1))
    shop.execute("CREATE TABLE kept AS TABLE database_identity")
    sent: dict[str, list[JsonObject]] = {}

    for name, statement in WENT_BACK.items():

        def checkpoint(step: str, statement: str = statement) -> None:
            if step == "claim":
                shop.execute(statement)

        shop.told.bodies.clear()
        assert not shop.another_delivery(checkpoint=checkpoint).deliver(shop.folder_id())
        assert (shop.state(1), shop.attempts()) == ("waiting", ["ended"])
        sent[name] = list(shop.told.bodies)
        shop.execute("DELETE FROM database_identity")
        shop.execute("INSERT INTO database_identity TABLE kept")
        shop.execute("UPDATE entries SET doubted = false")
    assert sent == {name: [] for name in WENT_BACK}
    shop.deliver()
    assert shop.state(1) == "posted"


def test_while_it_lasts_nothing_is_claimed_and_nobody_is_rung_for(shop: Workshop) -> None:
    shop.submit(purchase(1))
    shop.execute(WENT_BACK["another timeline"])
    assert not shop.deliver()
    with capture_logs() as logs:
        assert shop.sweep().folders == ()
    assert [(one["log_level"], one["event"][:22]) for one in logs] == [
        ("error", "the database went back")
    ]
    assert (shop.state(1), len(shop.told.bodies)) == ("received", 1)
    restore(shop)
    with capture_logs() as logs:
        shop.sweep()
    assert logs == []


def test_reading_goes_on(shop: Workshop) -> None:
    shop.told.answers = [UNKNOWN]
    shop.submit(purchase(1))
    shop.deliver()
    shop.time_passes()
    shop.execute(WENT_BACK["another timeline"])
    assert len(shop.sweep().entries) == 1


def test_what_a_server_does_not_tell_is_not_compared(engine: Engine) -> None:
    shop = Workshop(engine)
    shop.add_firm()
    with engine.begin() as connection:
        for statement in (
            "CREATE ROLE plain",
            "GRANT INSERT ON database_identity TO plain",
            "REVOKE EXECUTE ON FUNCTION pg_control_system(), pg_walfile_name(pg_lsn) FROM PUBLIC",
            "SET LOCAL ROLE plain",
        ):
            connection.execute(text(statement))
        with capture_logs() as logs:
            identity.remember(connection)
        connection.execute(text("RESET ROLE"))
        connection.execute(text("REVOKE ALL ON database_identity FROM plain"))
        connection.execute(text("DROP ROLE plain"))
    assert [one["what"] for one in logs] == ["system_identifier", "timeline"]
    [row] = shop.rows("SELECT * FROM database_identity")
    assert (row["system_identifier"], row["timeline"]) == (None, None)
    shop.submit(purchase(1))
    shop.deliver()
    assert shop.state(1) == "posted"


# `passerelle db restored`.


def each_state(shop: Workshop) -> None:
    """Entries 1 to 9, each in a state that is not final, or parked for a reason of its own."""
    shop.submit(purchase(9, folder=ELSEWHERE))
    shop.hold(folder=ELSEWHERE)
    shop.submit(purchase(8, firm="NOBODY", folder="NOWHERE"))
    for number, answer in ((6, None), (7, UNKNOWN), (5, REFUSED)):
        shop.told.answers = [answer] if answer else shop.told.answers
        shop.submit(purchase(number))
        shop.deliver()
        shop.time_passes()
    shop.submit(purchase(4))
    shop.dies_at("mark")
    shop.execute("UPDATE folders SET lease = NULL, lease_until = NULL")
    shop.submit(purchase(3))
    shop.dies_at("claim")
    shop.submit(purchase(2))
    shop.execute(
        "UPDATE entries SET state = 'waiting' WHERE id = :id",
        id=shop.entry(2)["id"],
    )
    shop.submit(purchase(1))


def states(shop: Workshop) -> list[str]:
    return [shop.state(number) for number in range(1, 10)]


def test_whatever_is_not_final_is_uncertain_afterwards(shop: Workshop) -> None:
    each_state(shop)
    assert states(shop) == [
        *("received", "waiting", "posting", "posting", "parked", "posted", "uncertain"),
        *("parked", "parked"),
    ]
    final = shop.entry(900)
    sent = len(shop.told.bodies)
    assert restore(shop) == 9
    # What is on its way stays so; of what was marked upkeep makes the same.
    assert states(shop) == [
        *("uncertain", "uncertain", "uncertain", "posting", "uncertain", "posted", "uncertain"),
        *("uncertain", "uncertain"),
    ]
    rows = shop.rows("SELECT entry FROM attempts WHERE closed_at IS NULL")
    assert sorted(row["entry"] for row in rows) == sorted(
        shop.entry(number)["id"] for number in range(1, 10)
    )
    assert shop.entry(900) == final
    # What holds a firm or a folder goes on holding it; what held an entry alone is over.
    assert [state for _, reason, state in shop.cases() if reason == "refused_by_loop"] == [
        "released"
    ]
    assert {state for _, reason, state in shop.cases() if reason != "refused_by_loop"} == {"open"}
    shop.time_passes()
    shop.lose_lease()
    assert not shop.deliver()
    assert (len(shop.told.bodies), shop.states()["uncertain"]) == (sent, 8)
    shop.follow_up()
    attempts = shop.attempts()
    shop.sweep()
    assert (shop.state(6), shop.attempts()) == ("synced", attempts)


def test_it_shows_why_it_is_uncertain_and_by_whose_word(shop: Workshop) -> None:
    shop.submit(purchase(1))
    restore(shop)
    [row] = shop.rows("SELECT message FROM transitions WHERE to_state = 'uncertain'")
    assert row["message"].startswith("The database went back to 2026-11-20 12:00:00+00:00: ")
    known = shop.row("SELECT * FROM database_identity")
    assert (known["since"], known["restored_by"]) == (BACKUP, "Ada")


def test_cut_off_it_is_run_again(shop: Workshop) -> None:
    class Breaks:
        def suppose(self) -> int:
            raise KeyboardInterrupt

    # Also where it was not noticed.
    shop.submit(purchase(1))
    with pytest.raises(KeyboardInterrupt):
        Restoring(shop.engine, Breaks()).restore(BACKUP, "Ada")  # type: ignore[arg-type]
    shop.submit(purchase(5, occurred_at="2999-01-01T00:00:00Z"))
    shop.deliver()
    assert len(shop.told.bodies) == 1
    assert restore(shop) == 2
    assert shop.state(1) == "uncertain"
    shop.submit(purchase(2, occurred_at="2026-11-21T00:00:00Z"))
    for number, minutes in ((3, 9), (4, 11)):
        # The hub's clock may be ahead.
        at = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)
        shop.submit(purchase(number, occurred_at=at.isoformat()))
    shop.deliver()
    assert [shop.state(number) for number in (2, 3, 4)] == ["received", "received", "posted"]


def test_who_begins_later_ends_it(shop: Workshop) -> None:
    other = Workshop(shop.engine)

    class Overtaken:
        def suppose(self) -> int:
            restore(other)
            return 0

    with pytest.raises(RestoringError):
        Restoring(shop.engine, Overtaken()).restore(BACKUP, "Bob")  # type: ignore[arg-type]


def test_a_time_to_come_is_refused_and_stops_nothing(shop: Workshop) -> None:
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    with pytest.raises(RestoringError):
        shop.restoring.restore(later, "Ada")
    shop.submit(purchase(1))
    shop.deliver()
    assert shop.state(1) == "posted"


def test_an_arrival_that_is_on_its_way_meanwhile_is_waited_for(shop: Workshop) -> None:
    with shop.open_intake(purchase(1)):
        restored = background(lambda: restore(shop))
        shop.wait_for_lock(2)
    assert restored.result(30) == 1
    assert shop.state(1) == "uncertain"


def test_ids_of_lost_imports_are_not_given_again(shop: Workshop) -> None:
    shop.submit(purchase(1))
    restore(shop)
    first, second = shop.rows("SELECT id FROM imports ORDER BY id")
    assert second["id"] > first["id"] + 1_000_000


def test_what_cannot_be_mapped_is_left_to_a_person(shop: Workshop) -> None:
    shop.submit(purchase(1), purchase(2))
    broken = shop.entry(1)["id"]
    shop.execute(
        "UPDATE entries SET entry = entry || '{\"lines\": [{}, {}]}' WHERE id = :id", id=broken
    )
    restore(shop)
    assert (shop.state(1), shop.state(2)) == ("parked", "uncertain")
    assert shop.entry(1)["reason"] == "undecided"
    assert shop.attempts() == ["ended", None, None]
    shop.settling.settle(broken, in_loop=True, who="Ada", why="seen there")
    assert shop.state(1) == "synced"


def test_a_persons_word_given_afterwards_is_believed(shop: Workshop) -> None:
    shop.told.answers = [UNKNOWN]
    shop.submit(purchase(1))
    shop.deliver()
    shop.time_passes()
    restore(shop)
    shop.settling.settle(shop.entry(1)["id"], in_loop=False, who="Ada", why="looked there")
    shop.sweep()
    shop.deliver()
    assert len(shop.told.bodies) == 3


def test_the_command_tells_what_it_does(shop: Workshop, database_url: str, tmp_path: Path) -> None:
    shop.submit(purchase(1))
    with commands(deployment_environ(database_url, tmp_path)) as cli:
        assert not json.loads(cli("status", "--json").stdout)["database_went_back"]
        assert "went back" not in cli("status").stdout
        shop.execute(WENT_BACK["a copy"])
        assert json.loads(cli("status", "--json").stdout)["database_went_back"]
        assert "database                went back: nothing is sent" in cli("status").stdout
        refused = cli("db", "restored", "--since", "2999-01-01T00:00:00Z")
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert "a time that is to come" in refused.stderr
        done = cli("db", "restored", "--since", "2026-11-20T13:00:00+01:00")
        assert (done.exit_code, done.stdout[-4:]) == (0, " 1.\n")
        assert not json.loads(cli("status", "--json").stdout)["database_went_back"]
        shown = cli("entry", "show", shop.entry(1)["id"]).stdout
    assert "\nSupposed at " in shown
    assert "\nSent at " not in shown
    assert shop.row("SELECT since FROM database_identity")["since"] == BACKUP


# Exactly once over a restore.


@pytest.fixture
def after_backup(servers: Servers, database_url: str) -> Iterator[Callable[[Workshop], Workshop]]:
    """Back up the shop's database; the shop goes on, and what is given is the restored one."""
    made: list[tuple[str, Engine]] = []

    def back_up(shop: Workshop) -> Workshop:
        shop.engine.dispose()
        url = servers.create_database(template=database_name(database_url))
        engine = make_engine(url)
        made.append((url, engine))
        return Workshop(engine, shop.loop, send_origin=shop.terms.send_origin)

    yield back_up
    for url, engine in made:
        engine.dispose()
        servers.drop_database(url)


BackUp = Callable[[Workshop], Workshop]


def open_books(engine: Engine, *, send_origin: bool = True) -> tuple[Workshop, Books]:
    loop = Books()
    shop = Workshop(engine, loop, send_origin=send_origin)
    shop.add_firm()
    shop.submit(purchase(900))
    shop.deliver()
    shop.follow_up()
    return shop, loop


def send(shop: Workshop, loop: Books, fate: Fate | None = None) -> None:
    loop.fate = fate or Fate()
    shop.time_passes()
    shop.deliver_all()
    shop.follow_up()
    loop.fate = Fate()
    shop.time_passes()


def booked(loop: Books) -> list[str]:
    """The pieces in Loop, one for each time that an entry is there."""
    return sorted(line["refPiece"] for line in loop.booked if line["compte"] == "401000")


def test_a_copy_knows_that_it_is_one(engine: Engine, after_backup: BackUp) -> None:
    shop, loop = open_books(engine)
    restored = after_backup(shop)
    restored.submit(purchase(1))
    assert not restored.deliver()
    assert (restored.state(1), loop.posts) == ("received", [1])
    shop.submit(purchase(2))
    shop.deliver()
    assert loop.posts == [1, 1]


@pytest.mark.parametrize("send_origin", [True, False])
def test_over_a_restore_each_entry_is_in_loop_once(
    engine: Engine, after_backup: BackUp, *, send_origin: bool
) -> None:
    shop, loop = open_books(engine, send_origin=send_origin)
    shop.submit(purchase(1), purchase(2), purchase(3))
    restored = after_backup(shop)
    # Lost: two were sent, one of them is late; another came, and was sent.
    shop.execute("UPDATE entries SET due_at = now() + interval '1 h' WHERE entry_id LIKE '%3'")
    shop.execute("UPDATE entries SET due_at = now() + interval '1 h' WHERE entry_id LIKE '%2'")
    shop.deliver()
    shop.execute("UPDATE entries SET due_at = now() WHERE entry_id LIKE '%2'")
    loop.fate = LATE
    shop.deliver()
    shop.submit(purchase(4))
    loop.fate = Fate()
    shop.execute("UPDATE firms SET paused_until = NULL")
    shop.execute("UPDATE entries SET due_at = now() + interval '1 h' WHERE entry_id LIKE '%3'")
    shop.deliver()
    assert booked(loop) == ["F-1", "F-4", "F-900"]

    assert restore(restored) == 3
    # The hub sends again what was validated since, and goes on.
    restored.submit(purchase(4), purchase(5))
    send(restored, loop)
    assert (restored.state(4), restored.state(5)) == ("received", "received")
    assert booked(loop) == ["F-1", "F-4", "F-900"]
    restored.sweep()
    assert restored.states() == {"synced": 1, "uncertain": 5}
    restored.ask()
    assert [restored.state(number) for number in range(1, 6)] == [
        *("synced", "uncertain", "uncertain", "synced", "uncertain"),
    ]
    restored.hours_pass()
    loop.land()
    for _ in range(3):
        restored.ask_for_hours()
    assert [restored.state(number) for number in range(1, 6)] == [
        *("synced", "synced", "waiting", "synced", "waiting"),
    ]
    loop.posts.clear()
    send(restored, loop)
    # They go together: nothing says that one of them is why nobody knew of it.
    assert loop.posts == [2]
    assert restored.states() == {"synced": 6}
    assert booked(loop) == ["F-1", "F-2", "F-3", "F-4", "F-5", "F-900"]
    assert restored.cases() == []


def test_each_is_asked_for_at_once_and_only_then_waits_for_the_others(
    engine: Engine, after_backup: BackUp
) -> None:
    shop, loop = open_books(engine)
    shop.submit(*(purchase(number) for number in range(1, 6)))
    restored = after_backup(shop)
    shop.execute("UPDATE entries SET due_at = now() + interval '1 h' WHERE entry_id NOT LIKE '%4'")
    shop.deliver()
    restore(restored)
    ids = [row["id"] for row in restored.rows("SELECT id FROM entries WHERE state = 'uncertain'")]
    loop.reads = 0
    restored.asking.ask(ids)
    assert (restored.state(4), loop.reads) == ("synced", 5)


def test_what_was_only_supposed_exhausts_nothing(engine: Engine) -> None:
    shop, _ = open_books(engine)
    shop.submit(purchase(1))
    for _ in range(4):
        restore(shop)
        shop.ask_for_hours()
        assert (shop.state(1), shop.attempts()[-1]) == ("waiting", "proven_absent")


@pytest.mark.parametrize("fate", [LOST, Fate(failing=0)])
def test_what_was_as_good_as_proven_absent_is_asked_for_anew(
    engine: Engine, after_backup: BackUp, fate: Fate
) -> None:
    shop, loop = open_books(engine)
    shop.submit(purchase(1), purchase(2))
    send(shop, loop, fate)
    shop.execute("UPDATE imports SET ended_at = ended_at - interval '61 s' WHERE status = 4")
    shop.hours_pass()
    if fate is LOST:
        shop.ask()
    shop.hours_pass()
    restored = after_backup(shop)
    # Lost: it was proven, and they were sent again; that is late.
    shop.ask_for_hours()
    assert shop.states() == {"synced": 1, "waiting": 2}
    send(shop, loop, LATE)
    send(shop, loop, LATE)

    restore(restored)
    restored.ask()
    restored.time_passes()
    assert restored.states() == {"synced": 1, "waiting": 2}
    assert not restored.deliver()
    restored.sweep()
    restored.time_passes()
    assert restored.states() == {"synced": 1, "uncertain": 2}
    restored.ask()
    loop.land()
    restored.ask_for_hours()
    assert restored.states() == {"synced": 3}
    assert booked(loop) == ["F-1", "F-2", "F-900"]


def corrected() -> JsonObject:
    """The second revision of entry 1."""
    changed = purchase(1, revision=2, piece_ref="F-1B")
    return put(changed, "/event_id", purchase(2)["event_id"])


def test_a_revision_that_what_was_lost_sent_is_not_sent_again(
    engine: Engine, after_backup: BackUp
) -> None:
    shop, loop = open_books(engine)
    shop.submit(purchase(1))
    send(shop, loop, LOST)
    shop.submit(corrected())
    restored = after_backup(shop)
    shop.ask_for_hours()
    send(shop, loop)
    assert (shop.state(1), shop.state(1, 2)) == ("superseded", "synced")

    restore(restored)
    # One open attempt an entry: the older first.
    assert (restored.state(1), restored.state(1, 2)) == ("uncertain", "received")
    restored.ask_for_hours()
    for _ in range(2):
        send(restored, loop)
        restored.sweep()
        restored.ask_for_hours()
    assert (restored.state(1), restored.state(1, 2)) == ("superseded", "synced")
    assert booked(loop) == ["F-1B", "F-900"]


@pytest.mark.parametrize("occurred_at", ["2026-11-20T16:00:00Z", "2999-01-01T00:00:00Z"])
def test_a_revision_in_doubt_gives_way_to_none(
    engine: Engine, after_backup: BackUp, occurred_at: str
) -> None:
    """Be the later one in doubt itself or not."""
    shop, loop = open_books(engine)
    restored = after_backup(shop)
    shop.submit(purchase(1))
    send(shop, loop)

    restore(restored)
    restored.submit(purchase(1))
    restored.submit(put(corrected(), "/occurred_at", occurred_at))
    send(restored, loop)
    restored.release(restored.hold(Reason.ACCESS_DENIED))
    send(restored, loop)
    assert restored.states() == {"synced": 1, "received": 2}
    restored.sweep()
    restored.ask()
    assert (restored.state(1), restored.state(1, 2)) == ("synced", "parked")
    restored.sweep()
    restored.ask_for_hours()
    assert restored.entry(1, 2)["reason"] == "already_synced"
    assert booked(loop) == ["F-1", "F-900"]


def test_of_twins_one_at_a_time_is_in_question(engine: Engine, after_backup: BackUp) -> None:
    shop, loop = open_books(engine, send_origin=False)
    shop.submit(purchase(1, piece_ref="F-7"), purchase(2, piece_ref="F-7"))
    restored = after_backup(shop)
    shop.deliver()
    assert booked(loop) == ["F-7", "F-900"]

    restore(restored)
    assert restored.states() == {"synced": 1, "uncertain": 1, "received": 1}
    send(restored, loop)
    restored.ask()
    for _ in range(2):
        restored.sweep()
        restored.time_passes()
        restored.ask()
        send(restored, loop)
    # The other may be the one that is there, for all that anybody knows.
    assert restored.states() == {"synced": 2, "parked": 1}
    assert booked(loop) == ["F-7", "F-900"]
