"""Promises of the commands that read, on a real database and after real deliveries."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from cryptography.fernet import Fernet
from sqlalchemy import text

from config.settings import read_settings
from passerelle.domain.firm_keys import FirmKeys
from passerelle.domain.states import State
from passerelle.registration import FolderTerms
from passerelle.runtime import Runtime
from support.command import Cli, deployment_environ
from support.events import credit, debit, purchase, put
from support.simulator import SimulatorHandle, until

FIRM = "CABINET42"
FOLDER = "DEMO000001"
ENTRY_KEYS = {
    *("id", "firm", "folder", "entry_id", "revision", "event_id", "state", "reason", "message"),
    *("case_id", "attempts", "import_request_id", "cuts", "received_at", "synced_at"),
}
CASE_KEYS = {
    *("id", "scope", "firm", "folder", "reason", "message", "remedy", "held", "state"),
    *("opened_at", "closed_at", "last_probe_at"),
}


@pytest.fixture
def environ(database_url: str, tmp_path: Path, loop: SimulatorHandle) -> dict[str, str]:
    return deployment_environ(database_url, tmp_path) | {"PASSERELLE_LOOP_URL": loop.base_url}


@pytest.fixture
def runtime(environ: dict[str, str]) -> Iterator[Runtime]:
    """The use cases, with a registered firm and folder."""
    made = Runtime(read_settings(environ))
    made.registration.add_firm(FIRM, FirmKeys("key-0123456789", "secret", "subscription"))
    made.registration.add_folder(FIRM, FOLDER, FolderTerms(name="École\tDupont"))
    yield made
    made.close()


def rows(done: Result) -> list[dict[str, Any]]:
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def document(done: Result) -> dict[str, Any]:
    [found] = rows(done)
    return found


def deliver(runtime: Runtime) -> None:
    """Send everything that is due, and follow it to its end."""

    def unsettled() -> int:
        bells = runtime.upkeep.sweep()
        for folder in bells.folders:
            while runtime.delivery.deliver(folder):
                pass
        for imports in bells.imports:
            runtime.followup.follow_up(imports)
        for entries in bells.entries:
            runtime.asking.ask(entries)
        with runtime.engine.connect() as connection:
            statement = text("SELECT count(*) FROM entries WHERE state NOT IN ('synced', 'parked')")
            return int(connection.execute(statement).scalar_one())

    until(unsettled, lambda count: count == 0)


def test_an_entry_tells_its_whole_life(runtime: Runtime, cli: Cli, loop: SimulatorHandle) -> None:
    long = "Papeterie Générale du Sud-Ouest fact. FA-2026-1187"
    runtime.intake.take_in([put(purchase(), "/entry/lines/0/description", long)])
    deliver(runtime)
    [listed] = rows(cli("entry", "list", "--json"))
    life = document(cli("entry", "show", str(listed["id"]), "--json"))
    assert {key: life[key] for key in listed} == listed
    assert [step["to_state"] for step in life["transitions"]] == [
        *("received", "posting", "posted", "synced")
    ]
    assert {"line": 0, "field": "description", "from": long, "to": long[:35].rstrip()} in life[
        "cuts"
    ]
    [sending] = life["sent"]
    assert sending["import_request_id"] == listed["import_request_id"]
    assert (sending["status"], sending["closed_as"]) == (3, "ended")
    [booked] = loop.ledger(FOLDER)
    assert sending["lines"] == booked["lines"]
    assert sending["import_request_id"] == booked["request_id"]
    assert life["entry"]["lines"][0]["description"] == long

    told = cli("entry", "show", "ach-2026-000001").stdout
    assert all(word in told for word in (long, sending["import_request_id"], "synced", '"compte"'))


def test_a_listed_entry_has_the_fields_of_the_contract(runtime: Runtime, cli: Cli) -> None:
    runtime.intake.take_in([purchase()])
    [entry] = rows(cli("entry", "list", "--json"))
    assert set(entry) >= ENTRY_KEYS
    assert (entry["firm"], entry["folder"], entry["entry_id"]) == (FIRM, FOLDER, "ach-2026-000001")
    assert (entry["revision"], entry["attempts"], entry["cuts"]) == (1, 0, [])
    assert entry["event_id"] == purchase()["event_id"]
    assert entry["received_at"].endswith("+00:00")


def test_the_filters_of_a_list_all_hold(runtime: Runtime, cli: Cli) -> None:
    runtime.intake.take_in(
        [purchase(1), purchase(2, folder="OTHER"), purchase(3, firm="CABINET43")]
    )
    numbers = {
        (): [1, 2, 3],
        ("--firm", FIRM): [1, 2],
        ("--folder", FOLDER): [1, 3],
        ("--state", "parked"): [3],
        ("--reason", "unknown_firm"): [3],
        ("--state", "received", "--folder", "OTHER"): [2],
        ("--folder", "' OR true --"): [],
    }
    for filters, expected in numbers.items():
        found = rows(cli("entry", "list", "--json", *filters))
        assert [entry["entry_id"] for entry in found] == [
            f"ach-2026-{number:06}" for number in expected
        ]


def test_the_hubs_id_in_several_folders_names_the_candidates(runtime: Runtime, cli: Cli) -> None:
    for number, folder in enumerate(("A", "B", "C"), start=1):
        event = purchase(number, folder=folder)
        runtime.intake.take_in([event if folder == "A" else put(event, "/entry/id", "7")])
    done = cli("entry", "show", "7", "--json")
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"#2  {FIRM}, B, 7, revision 1, received\n" in done.stderr
    assert f"#3  {FIRM}, C, 7, revision 1, received\n" in done.stderr
    assert document(cli("entry", "show", "2", "--json"))["folder"] == "B"


def test_of_an_entrys_revisions_the_latest_is_shown_with_the_others(
    runtime: Runtime, cli: Cli
) -> None:
    runtime.intake.take_in([purchase(1)])
    runtime.intake.take_in([put(purchase(1, revision=2), "/event_id", purchase(2)["event_id"])])
    life = document(cli("entry", "show", "ach-2026-000001", "--json"))
    assert life["revision"] == 2
    assert [(one["revision"], one["state"]) for one in life["revisions"]] == [
        (1, "superseded"),
        (2, "received"),
    ]
    assert "1 is superseded" in cli("entry", "show", "ach-2026-000001").stdout


@pytest.mark.parametrize("id_", ["1", "none", "9" * 30, "٣", "-1", " ", "\x1b[2J"])
def test_what_is_not_there_is_one_sentence(runtime: Runtime, cli: Cli, id_: str) -> None:
    done = cli("entry", "show", "--", id_)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: There is no entry ")
    assert done.stderr.isprintable() or done.stderr.count("\n") == 1


def test_a_case_is_listed_with_what_it_holds_and_what_to_do(cli: Cli, runtime: Runtime) -> None:
    runtime.intake.take_in([purchase(number, firm="CABINET43") for number in range(1, 4)])
    [case] = rows(cli("remediation", "list", "--json"))
    assert set(case) >= CASE_KEYS
    assert (case["scope"], case["firm"], case["folder"]) == ("firm", "CABINET43", None)
    assert (case["reason"], case["state"], case["held"]) == ("unknown_firm", "open", 3)
    assert "firm add" in case["remedy"]["en"]
    assert "firm add" in case["remedy"]["fr"]
    life = document(cli("entry", "show", "1", "--json"))
    assert life["case"] == case
    assert case["remedy"]["en"] in cli("entry", "show", "1").stdout

    runtime.registration.add_firm("CABINET43", FirmKeys("another-key", "secret", "subscription"))
    [healed] = rows(cli("remediation", "list", "--json"))
    assert (healed["id"], healed["state"], healed["held"]) == (case["id"], "healed", 0)
    assert healed["closed_at"] is not None


def test_status_counts_every_state_and_names_numbers(runtime: Runtime, cli: Cli) -> None:
    empty = document(cli("status", "--json"))
    assert empty["entries"] == dict.fromkeys(State, 0)
    assert (empty["oldest_waiting_seconds"], empty["queues"], empty["workers"]) == (0, None, None)

    runtime.intake.take_in([purchase(1), purchase(2, firm="CABINET43"), "no event"])
    with runtime.engine.begin() as connection:
        connection.execute(
            text("UPDATE entries SET received_at = now() - interval '1 hour' WHERE id = 1")
        )
    status = document(cli("status", "--json"))
    assert {state: count for state, count in status["entries"].items() if count} == {
        "received": 1,
        "parked": 1,
    }
    assert 3600 <= status["oldest_waiting_seconds"] < 3700
    assert (status["cases_open"], status["firms_on_hold"], status["folders_on_hold"]) == (1, 1, 0)
    assert status["refused_events"] == 1
    assert "entries received        1\n" in cli("status").stdout
    assert (status["firms_paused"], status["loop_down_since"]) == (0, None)


def test_status_tells_that_loop_is_down_and_who_is_paused(runtime: Runtime, cli: Cli) -> None:
    with runtime.engine.begin() as connection:
        connection.execute(text("UPDATE outages SET since = now(), message = 'HTTP 503'"))
        connection.execute(
            text("INSERT INTO firms (code, code_key, paused_until) VALUES ('A', 'a', :until)"),
            {"until": dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)},
        )
    status = document(cli("status", "--json"))
    assert (status["firms_paused"], status["loop_down_message"]) == (1, "HTTP 503")
    assert dt.datetime.fromisoformat(status["loop_down_since"]).tzinfo is not None
    shown = cli("status").stdout
    assert "down since" in shown
    assert "HTTP 503" in shown


def test_firms_are_listed_without_their_secrets(
    runtime: Runtime, cli: Cli, environ: dict[str, str]
) -> None:
    runtime.intake.take_in([purchase(1, firm="CABINET43")])
    firms = rows(cli("firm", "list", "--json"))
    assert [(firm["code"], firm["api_key"], firm["subscription_key"]) for firm in firms] == [
        (FIRM, "…6789", "…tion"),
        ("CABINET43", None, None),
    ]
    for done in (cli("firm", "list", "--json"), cli("firm", "list")):
        assert not any(secret in done.output for secret in ("key-0123456789", "secret"))

    environ["PASSERELLE_SECRET_KEYS"] = Fernet.generate_key().decode()
    # One firm's keys are no reason to show no firm.
    firms = rows(cli("firm", "list", "--json"))
    assert [firm["api_key"] for firm in firms] == ["cannot be decrypted", None]


def test_folders_are_listed_by_firm(runtime: Runtime, cli: Cli) -> None:
    runtime.intake.take_in([purchase(1, firm="CABINET43", folder="X")])
    folders = rows(cli("folder", "list", "--json"))
    assert [(folder["firm"], folder["code"], folder["name"]) for folder in folders] == [
        (FIRM, FOLDER, "École\tDupont"),
        ("CABINET43", "X", None),
    ]
    assert rows(cli("folder", "list", "--json", "--firm", FIRM)) == folders[:1]
    [heading, line] = cli("folder", "list", "--firm", FIRM).stdout.splitlines()
    assert len(heading.split("\t")) == len(line.split("\t"))
    assert line.split("\t")[2] == "École Dupont"
    assert line.split("\t")[-1] == str(folders[0]["id"])


@pytest.mark.parametrize("kind", ["entry", "firm", "folder", "remediation", "intake"])
def test_an_empty_list_is_nothing_for_a_program(database_url: str, cli: Cli, kind: str) -> None:
    done = cli(kind, "list", "--json")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")


def test_an_event_line_of_any_size_and_language_is_shown_whole(runtime: Runtime, cli: Cli) -> None:
    lines = [debit("1.00", description="日本 العربية é"), credit("1.00", account="401000")]
    runtime.intake.take_in([purchase(1, lines=lines)])
    life = document(cli("entry", "show", "1", "--json"))
    assert life["entry"]["lines"] == lines
