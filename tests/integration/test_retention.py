"""Erasing the contents of what was settled long ago: all of it, nothing else, and nothing is sent
again for it.
"""

import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from sqlalchemy import Engine, text

from config.settings import read_settings
from passerelle.domain.outcome import Answer, Sort
from passerelle.domain.states import FINAL, Reason, State
from passerelle.remediation import Remediation
from passerelle.retention import Retention
from passerelle.runtime import Runtime
from passerelle.store import auxiliaries, prerequisites, retention
from passerelle.store.cases import of_entry, open_case
from passerelle.store.columns import metadata
from passerelle.store.outbox_models import Audience
from support.books import Books, Fate
from support.command import Cli
from support.events import JsonObject, purchase, put, with_auxiliary
from support.raw_server import response
from support.receiver import Office, Receiver
from support.workshop import (
    FIRM,
    FOLDER,
    REFUSED,
    UNKNOWN,
    Stop,
    Workshop,
    accepted,
    all_at_once,
    background,
    shown,
)
from tasks.upkeep import Erase

LONG = "MARKED Papeterie Générale du Sud-Ouest fact. FA-2026-1187"
CODE = "FMARKEDPAPETERIEGENERALE"
EVERYTHING = "SELECT * FROM {} ORDER BY 1"
WORDS = "le libellé MARKED est invalide"
# What a case was about stays with it; codes are the folder's own.
NOT_OF_ENTRIES = {"cases", "case_acts", "auxiliary_codes"}


def marked(number: int = 1, **changes: Any) -> JsonObject:
    """Each of its texts has a word that stands nowhere else."""
    event = put(purchase(number, **changes), "/entry/lines/0/description", LONG)
    event = put(event, "/entry/lines/2/auxiliary", {"code": CODE, "label": "MARKED"})
    event = put(event, "/entry/lines/0/account_label", "MARKED")
    return put(event, "/entry/attachment/url", "https://files.example.com/MARKED")


def holding(shop: Workshop, word: str) -> set[str]:
    """The tables that hold a word, but for what is not of entries."""
    names = {table.name for table in metadata.sorted_tables} - NOT_OF_ENTRIES
    return {
        name
        for name in names
        if shop.rows(f"SELECT FROM {name} t WHERE t::text LIKE :like", like=f"%{word}%")
    }


def settle_one(shop: Workshop, number: int = 1, **changes: Any) -> None:
    shop.submit(purchase(number, **changes))
    shop.deliver_all()
    shop.follow_up()


def erased(shop: Workshop) -> list[int]:
    rows = shop.rows("SELECT id FROM entries WHERE erased_at IS NOT NULL ORDER BY id")
    return [row["id"] for row in rows]


# All of it.


def test_no_text_of_an_entry_is_left(shop: Workshop) -> None:
    """One that Loop refused, that was lost on the way, that a person settled; one that was dropped,
    and one that a later revision replaced.
    """
    shop.told.answers = [Answer(Sort.REFUSED, WORDS, 200), UNKNOWN]
    shop.submit(marked(1))
    shop.deliver()
    remediation = Remediation(shop.engine)
    remediation.retry(shop.entry(1)["id"], "MARKED Ada")
    shop.time_passes()
    shop.deliver()
    shop.time_passes()
    shop.told.found = [Answer(Sort.AGAIN, WORDS)]
    shop.ask()
    shop.settling.settle(shop.entry(1)["id"], in_loop=True, who="Ada", why="MARKED")
    shop.told.answers = [REFUSED]
    shop.time_passes()
    shop.submit(marked(2))
    shop.deliver()
    remediation.discard(shop.entry(2)["id"], "Ada", "MARKED")
    shop.submit(marked(3))
    shop.submit(marked(3, revision=2) | {"event_id": marked(4)["event_id"]})
    shop.execute("UPDATE entries SET read_again_at = NULL")
    assert [shop.state(number) for number in (1, 2, 3)] == ["synced", "discarded", "superseded"]
    assert holding(shop, "MARKED") == {
        *("entries", "attempts", "transitions", "imports", "questions", "outcomes"),
    }
    shop.told.answers = [accepted()]
    shop.time_passes()
    shop.deliver_all()
    shop.follow_up()
    assert shop.states() == {"synced": 2, "discarded": 1, "superseded": 1}
    assert shop.forget() == 4
    assert holding(shop, "MARKED") == set()


def test_what_is_kept_says_which_it_was_and_what_became_of_it(shop: Workshop) -> None:
    shop.submit(marked())
    shop.deliver()
    shop.follow_up()
    shop.years_pass()
    gone = {
        "entries": {"entry", "cuts", "message", "erased_at"},
        "attempts": {"lines"},
        **{name: {"message"} for name in ("events", "transitions", "imports", "outcomes")},
    }

    def kept() -> dict[str, list[dict[str, Any]]]:
        return {
            table: [
                {name: value for name, value in row.items() if name not in names}
                for row in shop.rows(EVERYTHING.format(table))
            ]
            for table, names in gone.items()
        }

    before = kept()
    lines = shop.row("SELECT lines FROM attempts")["lines"]
    assert all(before.values())
    assert shop.retention.erase() == 1
    assert kept() == before
    row = shop.entry()
    assert (row["entry"], row["cuts"], row["message"]) == ({}, [], None)
    assert shop.row("SELECT lines FROM attempts")["lines"] == [
        {"ecritureOrigine": lines[0]["ecritureOrigine"]}
    ]


def test_what_loop_said_of_a_request_goes_with_the_last_of_its_entries(engine: Engine) -> None:
    """Two who erase one half each at once leave nothing."""
    shop = Workshop(engine)
    shop.add_firm()
    shop.told.answers = [REFUSED]
    shop.submit(purchase(1), purchase(2))
    shop.deliver()
    shop.told.answers = [accepted()]
    shop.time_passes()
    shop.deliver_all()
    shop.follow_up()
    assert shop.states() == {"synced": 2}
    said = "SELECT FROM imports WHERE message IS NOT NULL"
    assert len(shop.rows(said)) == 1
    shop.years_pass()
    with engine.begin() as connection:
        assert retention.erase(connection, 30, None, 1).erased == 1
        other = background(lambda: shop.retention.erase(1))
        shop.wait_for_lock()
    assert other.result(30) == 1
    assert shop.rows(said) == []


def test_an_event_that_was_refused_first_is_forgotten_once_it_was_taken_in(shop: Workshop) -> None:
    shop.submit({"no": "event"}, {"no": "event either"}, {"neither": "this"})
    for number, age in ((1, "31 days"), (2, "29 days")):
        shop.execute(
            "UPDATE refused_events SET taken_in_at = now() - CAST(:age AS interval) WHERE id = :id",
            id=number,
            age=age,
        )
    shop.execute("UPDATE refused_events SET received_at = received_at - interval '900 days'")
    shop.retention.erase()
    assert [row["id"] for row in shop.rows("SELECT id FROM refused_events ORDER BY id")] == [2, 3]


# Nothing else.


def every_state(shop: Workshop) -> None:
    """An entry in each state; several are parked."""
    settle_one(shop, 1)
    shop.submit(purchase(2))
    shop.submit(purchase(2, revision=2) | {"event_id": purchase(12)["event_id"]})
    shop.told.answers = [REFUSED]
    shop.time_passes()
    shop.deliver()
    Remediation(shop.engine).discard(shop.entry(2, 2)["id"], "Ada", "a double")
    shop.submit(purchase(3))
    shop.time_passes()
    shop.deliver()
    shop.told.answers = [UNKNOWN]
    shop.submit(purchase(4))
    shop.time_passes()
    shop.deliver()
    shop.time_passes()
    shop.told.answers = [accepted()]
    shop.submit(purchase(5))
    shop.deliver()
    shop.submit(purchase(6))
    shop.dies_at("claim")
    shop.execute("UPDATE folders SET lease = NULL, lease_until = NULL")
    shop.submit(purchase(7), purchase(8), purchase(9, firm="NOBODY"))
    shop.execute("UPDATE entries SET state = 'waiting' WHERE id = :id", id=shop.entry(7)["id"])


def test_of_all_states_only_what_is_final_is_erased(shop: Workshop) -> None:
    every_state(shop)
    assert {State(state) for state in shop.states()} == set(State)
    tables = ("entries", "attempts", "transitions", "questions", "outcomes", "cases")
    # However old.
    shop.execute("UPDATE entries SET due_at = due_at - interval '900 days'")
    before = {table: shop.rows(EVERYTHING.format(table)) for table in tables}
    final = {row["id"] for row in before["entries"] if State(row["state"]) in FINAL}
    assert shop.retention.erase() == len(final) == 3
    assert {*erased(shop)} == final
    after = {table: shop.rows(EVERYTHING.format(table)) for table in tables}

    def others(rows: list[Mapping[str, Any]], key: str) -> list[Mapping[str, Any]]:
        return [row for row in rows if row[key] not in final]

    assert others(after["entries"], "id") == others(before["entries"], "id")
    for table in tables[1:-1]:
        assert others(after[table], "entry") == others(before[table], "entry")
    assert after["cases"] == before["cases"]


def test_what_was_settled_lately_is_kept(shop: Workshop) -> None:
    settle_one(shop, 1)
    settle_one(shop, 2)
    shop.execute("UPDATE entries SET received_at = now() - interval '900 days'")
    shop.execute("UPDATE entries SET due_at = now() - interval '29 days 23 hours' WHERE id = 1")
    shop.execute("UPDATE entries SET due_at = now() - interval '30 days' WHERE id = 2")
    assert shop.retention.erase() == 1
    assert erased(shop) == [2]


def test_where_nobody_has_asked_for_it_nothing_is_erased(shop: Workshop) -> None:
    settle_one(shop)
    shop.years_pass()
    assert Retention(shop.engine, None, Stop(), shop.meter).erase() == 0
    assert erased(shop) == []


def case(shop: Workshop) -> None:
    row = shop.entry()
    with shop.engine.begin() as connection:
        cause = of_entry(row["firm_id"], row["folder_id"], row["id"], Reason.LANDED_TWICE, "twice")
        open_case(connection, cause)


def newer(shop: Workshop) -> None:
    shop.submit(purchase(1, revision=2) | {"event_id": purchase(2)["event_id"]})
    assert shop.state(1, 2) == "parked"


NEEDED: dict[str, tuple[Callable[[Workshop], None], str]] = {
    "doubted": (
        lambda shop: shop.execute("UPDATE entries SET doubted = true"),
        "UPDATE entries SET doubted = false",
    ),
    "an open attempt": (
        lambda shop: shop.execute("UPDATE attempts SET closed_at = NULL, closed_as = NULL"),
        "UPDATE attempts SET closed_at = now(), closed_as = 'ended'",
    ),
    "its import is asked about": (
        lambda shop: shop.execute("UPDATE imports SET poll_at = now()"),
        "UPDATE imports SET poll_at = NULL",
    ),
    "an open case": (case, "UPDATE cases SET state = 'dismissed', closed_at = now()"),
    "another revision is parked": (
        newer,
        "UPDATE entries SET state = 'discarded', case_id = NULL WHERE state = 'parked'",
    ),
}


@pytest.mark.parametrize("name", NEEDED)
def test_what_is_needed_still_is_kept_and_looked_at_again_in_a_day(
    shop: Workshop, name: str
) -> None:
    need, over = NEEDED[name]
    settle_one(shop)
    need(shop)
    shop.years_pass()
    before = shop.entry()
    assert shop.retention.erase() == 0
    assert {**shop.entry(), "due_at": None} == {**before, "due_at": None}
    shop.execute(over)
    # Not each minute.
    assert shop.retention.erase() == 0
    shop.execute("UPDATE entries SET due_at = due_at - interval '23 hours' WHERE id = 1")
    assert shop.retention.erase() == 0
    shop.execute("UPDATE entries SET due_at = due_at - interval '1 hour' WHERE id = 1")
    assert shop.retention.erase() == 1


def test_what_is_to_be_read_again_is_left_to_whoever_reads_it(shop: Workshop) -> None:
    settle_one(shop)
    shop.execute("UPDATE entries SET read_again_at = now()")
    shop.years_pass()
    before = shop.entry()
    assert shop.retention.erase() == 0
    assert shop.entry() == before
    shop.ask()
    assert shop.retention.erase() == 1


def test_what_the_hub_is_still_to_be_told_is_kept(told: Office, hub: Receiver) -> None:
    shop = told.shop
    hub.answers(response("503 Service Unavailable"))
    settle_one(shop, 1)
    assert shop.forget() == 0
    told.tell()
    assert shop.forget() == 0
    hub.answers(response("204 No Content"))
    told.wait()
    told.tell()
    assert [one["state"] for one in hub.outcomes] == ["synced"]
    assert shop.forget() == 1
    # Who is told nowhere any more is not waited for.
    told.subscribing.set_firm(FIRM, {Audience.OUTCOME: ""}, None)
    settle_one(shop, 2)
    assert shop.forget() == 1


def test_what_was_told_is_told_again_without_texts(told: Office, hub: Receiver, cli: Cli) -> None:
    shop = told.shop
    shop.submit(marked())
    shop.deliver()
    shop.follow_up()
    told.tell()
    long_ago = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    assert not told.subscribing.replay(long_ago, None).erased
    told.tell()
    assert shop.forget() == 1
    again = told.subscribing.replay(long_ago, None)
    assert (again.messages, again.erased) == (1, True)
    told.tell()
    first, _, last = hub.taken
    assert (first.id, first.sequences) == (last.id, last.sequences)
    [before], [after] = first.body["outcomes"], last.body["outcomes"]
    assert before["cuts"]
    # Times are moved by who tells in tests.
    assert before | {"cuts": [], "at": after["at"]} == after
    done = cli("outcome", "replay", "--since", "2020-01-01T00:00:00+01:00")
    assert "neither messages nor cuts" in done.stdout


def test_two_firms_are_kept_apart(shop: Workshop) -> None:
    shop.add_firm("OTHER", FOLDER)
    event = marked()
    shop.submit(event, put(put(event, "/firm", "OTHER"), "/event_id", purchase(2)["event_id"]))
    shop.deliver_all()
    shop.follow_up()
    ours, theirs = shop.rows(
        "SELECT e.id, e.firm_id, e.folder_id FROM entries e JOIN firms f ON f.id = e.firm_id "
        "ORDER BY f.code"
    )
    with shop.engine.begin() as connection:
        # A case of another firm that names the same entry is none of this one's.
        places = ((theirs["firm_id"], theirs["folder_id"], entry["id"]) for entry in (ours, theirs))
        for place in places:
            open_case(connection, of_entry(*place, Reason.LANDED_TWICE, "twice"))
    assert shop.forget() == 1
    assert erased(shop) == [ours["id"]]


# In steps, by several at once, and stopped.


def test_it_is_done_in_steps_each_of_its_own(shop: Workshop) -> None:
    shop.submit(*map(purchase, range(1, 8)))
    shop.deliver_all()
    shop.follow_up()
    shop.years_pass()
    assert shop.retention.erase(most=2) == 7
    rows = shop.rows("SELECT count(*) AS n FROM entries GROUP BY erased_at")
    assert sorted(row["n"] for row in rows) == [1, 2, 2, 2]


def test_several_at_once_share_the_work_and_wait_for_nobody(shop: Workshop) -> None:
    shop.submit(*map(purchase, range(1, 61)))
    shop.deliver_all()
    shop.follow_up()
    shop.years_pass()
    with shop.engine.begin() as connection:
        connection.execute(text("SELECT FROM entries WHERE id = 7 FOR UPDATE"))
        done = all_at_once([lambda: shop.retention.erase(most=5)] * 3)
    assert sum(done) == 59
    assert shop.retention.erase() == 1


def test_who_is_to_stop_begins_no_other_step(shop: Workshop) -> None:
    settle_one(shop)
    shop.years_pass()
    shop.stop.set()
    assert shop.retention.erase() == 0
    shop.stop.clear()
    assert shop.retention.erase() == 1


def test_an_intake_at_the_same_time_loses_nothing(shop: Workshop) -> None:
    settle_one(shop)
    shop.years_pass()
    with shop.engine.begin() as connection:
        assert retention.erase(connection, 30, None, 10).erased == 1
        again = purchase() | {"event_id": purchase(2)["event_id"]}
        taking = background(lambda: shop.submit(again))
        shop.wait_for_lock()
    assert taking.result(30).known == 1
    assert shop.states() == {"synced": 1}


# Nothing is sent again.


def test_what_was_erased_is_still_known(shop: Workshop) -> None:
    settle_one(shop)
    shop.forget()
    sent = len(shop.told.bodies)
    other = purchase(2)["event_id"]
    assert shop.submit(purchase()).known == 1
    assert shop.submit(purchase() | {"event_id": other}).known == 1
    # With another link to its document, of which nothing is kept.
    link = put(purchase(), "/entry/attachment/url", "https://files.example.com/new")
    assert shop.submit(link | {"event_id": purchase(3)["event_id"]}).known == 1
    changed = put(purchase(), "/entry/lines/0/description", "another")
    shop.submit(changed, changed | {"event_id": purchase(4)["event_id"]})
    assert sorted(shop.refused()) == ["/entry/revision", "/event_id"]
    shop.deliver_all()
    assert (shop.states(), len(shop.told.bodies)) == ({"synced": 1}, sent)
    assert shop.entry()["entry"] == {}


def test_its_other_revisions_are_what_they_would_be(shop: Workshop) -> None:
    settle_one(shop, 1, revision=2)
    shop.forget()
    for revision, number in ((3, 3), (1, 2)):
        event = purchase(1, revision=revision) | {"event_id": purchase(number)["event_id"]}
        assert shop.submit(event).new == 1
    newest = shop.entry(1, 3)
    assert (newest["state"], newest["reason"]) == ("parked", "already_synced")
    assert shop.state(1, 1) == "superseded"
    shop.deliver_all()
    assert len(shop.told.bodies) == 1


def test_what_was_dropped_is_not_taken_for_new(shop: Workshop) -> None:
    shop.told.answers = [REFUSED]
    shop.submit(purchase())
    shop.deliver()
    Remediation(shop.engine).discard(shop.entry()["id"], "Ada", "a double")
    shop.forget()
    assert shop.submit(purchase()).known == 1
    shop.time_passes()
    shop.deliver_all()
    assert (shop.states(), len(shop.told.bodies)) == ({"discarded": 1}, 1)


def test_a_late_answer_to_what_was_erased_is_told(engine: Engine) -> None:
    shop = Workshop(engine)
    shop.add_firm()
    shop.submit(purchase())

    def meanwhile() -> None:
        shop.told.during = lambda: None
        shop.lose_lease()
        shop.settling.settle(shop.entry()["id"], in_loop=False, who="Ada", why="looked")
        shop.time_passes()
        shop.deliver()
        shop.follow_up()
        shop.execute("UPDATE entries SET read_again_at = NULL")
        assert shop.forget() == 1

    shop.told.during = meanwhile
    shop.deliver()
    assert shop.cases() == [("entry", Reason.LANDED_TWICE, "open")]
    assert shop.states() == {"synced": 1}


@pytest.mark.parametrize("send_origin", [True, False])
@pytest.mark.parametrize("stored", [True, False])
def test_an_entry_is_told_from_a_twin_that_was_erased(
    engine: Engine, *, send_origin: bool, stored: bool
) -> None:
    loop = Books()
    shop = Workshop(engine, loop, send_origin=send_origin)
    shop.add_firm()
    settle_one(shop, 1, piece_ref="F-7")
    assert shop.forget() == 1
    # Beside which absence is believed.
    settle_one(shop, 900, piece_ref="F-900")
    shop.submit(purchase(2, piece_ref="F-7"))
    loop.fate = Fate(answered=False, stored=stored, origin=False)
    shop.time_passes()
    shop.deliver()
    loop.fate = Fate()
    shop.ask_for_hours()
    if stored and send_origin:
        # What Loop shows without an origin may be anybody's.
        assert (shop.state(2), shop.entry(2)["reason"]) == ("parked", "undecided")
    else:
        assert shop.state(2) == ("synced" if stored else "waiting")
    shop.deliver_all()
    shop.follow_up()
    assert len([line for line in loop.booked if line["refPiece"] == "F-7"]) == 6


def test_what_was_erased_is_no_control(shop: Workshop) -> None:
    """Until something else is known to be in Loop, absence is believed of nothing."""
    settle_one(shop, 1)
    assert shop.forget() == 1
    shop.told.answers = [UNKNOWN]
    shop.submit(purchase(2))
    shop.deliver()
    shop.ask_for_hours()
    assert shop.state(2) == "uncertain"
    shop.told.answers = [accepted()]
    settle_one(shop, 3)
    [sent] = shop.rows("SELECT lines FROM attempts WHERE entry = :id", id=shop.entry(3)["id"])
    from_loop = sent["lines"][0]["ecritureOrigine"]
    shop.told.books[from_loop] = shown(sent["lines"])
    shop.ask_for_hours()
    assert shop.state(2) == "waiting"


def test_a_code_that_may_have_been_sent_stays_taken(shop: Workshop, cli: Cli) -> None:
    shop.submit(with_auxiliary(1, "FPAPETERIE"))
    shop.deliver()
    shop.follow_up()
    assert shop.forget() == 1
    done = cli("folder", "map-auxiliary", FIRM, FOLDER, "FPAPETERIE", "FPAP")
    assert (done.exit_code, "is not known: see in Loop" in done.stdout) == (0, True)
    other = cli("folder", "map-auxiliary", FIRM, FOLDER, "FOTHER", "FPAPETERIE")
    assert (other.exit_code, "stays its own" in other.stderr) == (1, True)
    with shop.engine.connect() as connection:
        assert auxiliaries.owner(connection, shop.folder_id(), "FPAPETERIE") is not None


def test_where_the_database_went_back_nothing_is_erased(shop: Workshop) -> None:
    settle_one(shop, 1)
    shop.forget()
    settle_one(shop, 2)
    shop.years_pass()
    shop.execute("UPDATE database_identity SET timeline = '0000000F'")
    assert shop.retention.erase() == 0
    assert shop.restoring.restore(dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC), "Ada") == 0
    assert shop.retention.erase() == 1
    # The hub sends again what it has; nothing of it is in doubt, or is sent.
    sent = len(shop.told.bodies)
    assert shop.submit(purchase(1), purchase(2)).known == 2
    shop.sweep()
    shop.time_passes()
    shop.deliver_all()
    assert (shop.states(), len(shop.told.bodies)) == ({"synced": 2}, sent)


# What people see.


def document(cli: Cli, *arguments: object) -> dict[str, Any]:
    done = cli(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_an_entry_says_when_its_contents_were_erased(shop: Workshop, cli: Cli) -> None:
    shop.submit(marked())
    shop.deliver()
    shop.follow_up()
    before = document(cli, "entry", "show", 1)
    listed = document(cli, "entry", "list")
    assert before["erased_at"] is listed["erased_at"] is None
    shop.forget()
    after = document(cli, "entry", "show", 1)
    day = dt.datetime.now(dt.UTC).date().isoformat()
    assert after["erased_at"][:10] == day
    assert after.keys() == before.keys()
    assert (after["entry"], after["cuts"], after["message"]) == (None, [], None)
    assert [one["lines"] for one in after["sent"]] == [[]]
    assert after["sent"][0] == before["sent"][0] | {"lines": []}
    assert document(cli, "entry", "list") == {key: after[key] for key in listed}
    told = cli("entry", "show", 1).stdout
    assert f"contents erased {day}" in " ".join(told.split())
    assert "lines: erased" in told
    assert "MARKED" not in told


@pytest.mark.parametrize("arguments", [("retry", 1), ("discard", 1, "--why", "so")])
def test_who_acts_on_what_was_erased_is_told_so(
    shop: Workshop, cli: Cli, arguments: tuple[object, ...]
) -> None:
    settle_one(shop)
    shop.forget()
    done = cli("entry", *arguments)
    day = dt.datetime.now(dt.UTC).date()
    assert (done.exit_code, f"Its contents were erased on {day}." in done.stderr) == (1, True)


def test_what_looks_at_a_years_entries_does_without_what_was_erased(
    shop: Workshop, cli: Cli
) -> None:
    shop.submit(marked(1))
    shop.deliver()
    shop.follow_up()
    assert "MARKED" in cli("folder", "cuts", FIRM, FOLDER).stdout
    shop.forget()
    done = cli("folder", "cuts", FIRM, FOLDER, "--json")
    assert (done.exit_code, done.stdout) == (0, "")
    with shop.engine.connect() as connection:
        assert prerequisites.used_accounts(connection, shop.folder_id()) == []
        assert prerequisites.used_journals(connection, shop.folder_id()) == []


def test_days_are_told_by_a_setting(shop: Workshop, environ: dict[str, str]) -> None:
    settle_one(shop)
    shop.execute("UPDATE entries SET due_at = due_at - interval '99 days'")
    for days, found in (("", []), ("100", []), ("99", [1])):
        runtime = Runtime(read_settings(environ | {"PASSERELLE_KEEP_DAYS": days}))
        Erase(lambda: runtime).run()  # noqa: B023 at once
        runtime.close()
        assert erased(shop) == found
    [counted] = shop.rows("SELECT count FROM figures WHERE name = 'erased'")
    assert counted["count"] == 1


# Ten million rows.


def looked_at(shop: Workshop, after: object = "-infinity") -> int:
    """Pages of the database that a look for what is due reads."""
    with shop.engine.begin() as connection:
        [plan] = connection.execute(
            text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {retention._OLD}"),  # noqa: SLF001 the statement itself
            {"days": 30, "after": after, "most": 100},
        ).scalar_one()
    return int(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])


def settled_by_the_hour(shop: Workshop, count: int, erased: int) -> None:
    """So many entries more, the latest settled just now; the oldest are erased."""
    columns = ", ".join(
        column.name
        for column in metadata.tables["entries"].columns
        if column.name not in {"id", "entry_id", "due_at", "erased_at"}
    )
    shop.execute(
        f"INSERT INTO entries (entry_id, due_at, erased_at, {columns}) "  # noqa: S608 idem
        "SELECT 'e' || n, now() - make_interval(hours => n), "
        f"CASE WHEN n > :kept THEN now() END, {columns} FROM entries, generate_series(1, :count) n",
        kept=count - erased,
        count=count,
    )
    shop.execute("ANALYZE entries")


def test_a_look_where_nothing_is_due_costs_nothing(shop: Workshop) -> None:
    settle_one(shop)
    settled_by_the_hour(shop, 30_000, 29_300)
    assert shop.retention.erase() == 0
    assert looked_at(shop) <= 5
    shop.execute("DROP INDEX ix_entries_settled")
    assert looked_at(shop) > 100


def test_what_a_dump_keeps_from_being_cleared_away_is_not_walked_through_again(
    shop: Workshop,
) -> None:
    settle_one(shop)
    settled_by_the_hour(shop, 3_000, 0)
    with shop.engine.connect() as dump:
        dump.execution_options(isolation_level="REPEATABLE READ")
        dump.execute(text("SELECT FROM firms"))
        with shop.engine.begin() as connection:
            page = retention.erase(connection, 30, None, 2_000)
        assert page.erased == 2_000
        assert looked_at(shop) > 3 * looked_at(shop, page.last)
