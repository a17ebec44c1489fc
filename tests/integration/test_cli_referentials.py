"""`passerelle referential` and `passerelle folder check`, as a person uses them."""

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from support.command import Cli, deployment_environ
from support.events import JsonObject, purchase
from support.simulator import SimulatorHandle

ACCOUNTS: list[JsonObject] = [
    {"code": code, "label": label}
    for code, label in (
        ("101000", "Capital"),
        ("215400", "Matériel"),
        ("310000", "Stocks"),
        ("401000", "Fournisseurs"),
        ("445660", "TVA déductible"),
        ("512000", "Banque"),
        ("606400", "Fournitures"),
        ("706000", "Prestations"),
    )
]
JOURNALS: list[JsonObject] = [
    {"code": "ACH", "type": 1},
    {"code": "VTE", "type": 8},
    {"code": "BQ", "type": 4},
    {"code": "OD", "type": 2},
]
PLACE = ("CABINET42", "DEMO000001")


@pytest.fixture
def environ(database_url: str, tmp_path: Path, loop: SimulatorHandle) -> dict[str, str]:
    loop.patch_folder(PLACE[1], accounts=ACCOUNTS, journals=JOURNALS)
    return deployment_environ(database_url, tmp_path) | {"PASSERELLE_LOOP_URL": loop.base_url}


@pytest.fixture(autouse=True)
def _registered(cli: Cli) -> None:
    keys = ("--api-key", "KEY", "--subscription-key", "SUB")
    assert cli("firm", "add", PLACE[0], *keys, PASSERELLE_API_SECRET="s").exit_code == 0
    assert cli("folder", "add", *PLACE, "--open-from", "2020-01-01").exit_code == 0


def check(cli: Cli) -> tuple[int, dict[str, Mapping[str, Any]]]:
    """The exit code, and by name what is not well."""
    done = cli("folder", "check", *PLACE, "--json")
    document = json.loads(done.stdout)
    assert document["ok"] is (done.exit_code == 0)
    return done.exit_code, {one["name"]: one for one in document["findings"] if not one["ok"]}


def take_in(cli: Cli, *events: JsonObject) -> None:
    body = "".join(f"{json.dumps(event)}\n" for event in events)
    assert cli("submit", "-", "--direct", stdin=body).exit_code == 0


def test_a_folder_that_has_what_it_needs_is_well(cli: Cli) -> None:
    take_in(cli, purchase(1))
    assert check(cli) == (0, {})
    done = cli("folder", "check", *PLACE)
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["ok"] * 9


def test_what_entries_use_and_the_folder_lacks_is_told(cli: Cli, loop: SimulatorHandle) -> None:
    closed = [{**account, "closed": account["code"] == "401000"} for account in ACCOUNTS]
    loop.patch_folder(
        PLACE[1],
        accounts=[a for a in closed if a["code"] not in {"606400", "310000"}],
        journals=[{**j, "closed": j["code"] == "ACH"} for j in JOURNALS],
    )
    take_in(cli, purchase(1))
    code, wrong = check(cli)
    assert code == 1
    assert wrong["classes of accounts"]["wrong"] == "No open account of class 3, 6."
    assert not wrong["classes of accounts"]["grave"]
    assert wrong["accounts that entries use"]["wrong"] == "The chart does not have 606400."
    assert wrong["accounts of entries that are closed"]["wrong"] == "Closed in Loop: 401000."
    assert wrong["journals"]["wrong"] == "No open journal for purchases."
    assert wrong["journals that entries use"]["wrong"] == "Closed in Loop: ACH."
    assert all(one["remedy"] for one in wrong.values())


def test_what_will_never_be_sent_asks_for_nothing(cli: Cli) -> None:
    wrong = purchase(1)
    wrong["entry"]["lines"][0]["account"] = "699999"
    take_in(cli, wrong)
    assert check(cli)[0] == 1
    take_in(cli, purchase(1, revision=2, event_id=str(uuid.uuid4())))
    assert check(cli) == (0, {})


def test_accounts_that_loop_creates_are_no_fault(cli: Cli, loop: SimulatorHandle) -> None:
    loop.patch_folder(PLACE[1], accounts=[a for a in ACCOUNTS if a["code"] != "606400"])
    take_in(cli, purchase(1))
    assert check(cli)[0] == 1
    assert cli("folder", "set", *PLACE, "--create-accounts").exit_code == 0
    code, wrong = check(cli)
    assert (code, wrong.keys()) == (0, {"accounts that entries use", "classes of accounts"})


def test_an_account_that_differs_by_zeros_is_the_same(cli: Cli, loop: SimulatorHandle) -> None:
    longer = [{**account, "code": f"{account['code']}00"} for account in ACCOUNTS]
    loop.patch_folder(PLACE[1], accounts=longer)
    take_in(cli, purchase(1))
    assert check(cli) == (0, {})


def test_codes_that_are_cut_and_codes_that_collide_are_told(cli: Cli) -> None:
    first, second = purchase(1), purchase(2)
    for event, letter in ((first, "A"), (second, "B")):
        [line] = [line for line in event["entry"]["lines"] if "auxiliary" in line]
        line["auxiliary"]["code"] = "F" * 17 + letter
    take_in(cli, first, second)
    code, wrong = check(cli)
    assert code == 1
    cut = wrong["auxiliary codes that are cut"]
    assert cut["wrong"] == f"{'F' * 17}A -> {'F' * 17}."
    assert not cut["grave"]
    collide = wrong["auxiliary codes that collide"]
    assert f"{'F' * 17}B" in collide["wrong"]
    command = "passerelle folder map-auxiliary CABINET42 DEMO000001 FULL LOOPCODE"
    assert command in collide["remedy"]
    assert cli("folder", "map-auxiliary", *PLACE, "F" * 17 + "B", "FB").exit_code == 0
    assert check(cli)[1].keys() == {"auxiliary codes that are cut"}


@pytest.mark.parametrize(
    ("period", "code", "words"),
    [
        (("--open-to", "2021-12-31"), 1, "2020-01-01 to 2021-12-31"),
        (("--open-from", "2019-01-01"), 0, None),
    ],
)
def test_the_open_period_is_that_of_today(
    cli: Cli, period: tuple[str, ...], code: int, words: str | None
) -> None:
    assert cli("folder", "set", *PLACE, *period).exit_code == 0
    found, wrong = check(cli)
    assert found == code
    assert words is None or words in wrong["open period"]["wrong"]


def test_a_period_that_is_not_known_is_worth_knowing(cli: Cli, loop: SimulatorHandle) -> None:
    loop.patch_folder("OTHER", accounts=ACCOUNTS, journals=JOURNALS)
    assert cli("folder", "add", PLACE[0], "OTHER").exit_code == 0
    done = cli("folder", "check", PLACE[0], "OTHER")
    assert done.exit_code == 0
    assert "note   open period" in done.stdout
    assert "passerelle folder set CABINET42 OTHER --open-from D --open-to D" in done.stdout


def test_a_folder_that_is_refused_says_what_to_do(cli: Cli, loop: SimulatorHandle) -> None:
    loop.patch_folder(PLACE[1], access="refused_at_post")
    code, wrong = check(cli)
    assert code == 1
    assert wrong.keys() == {"reachable", "reference data"}
    assert "n'a pas accès au dossier" in wrong["reachable"]["wrong"]
    assert "access" in wrong["reachable"]["remedy"]
    done = cli("referential", "refresh", *PLACE)
    assert done.exit_code == 1
    assert "on hold (access_denied)" in done.stderr


def test_where_loop_is_away_what_was_known_is_told(cli: Cli, loop: SimulatorHandle) -> None:
    assert check(cli) == (0, {})
    loop.set_faults({"fault": "http_502"})
    code, wrong = check(cli)
    assert code == 0
    assert set(wrong) == {"reachable", "list of accounts"}
    assert all("HTTP 502" in one["wrong"] for one in wrong.values())


def test_lists_are_shown_searched_and_told_apart(cli: Cli, loop: SimulatorHandle) -> None:
    third = [{"code": "DUPONT", "name": "Dupont SA", "kind": "supplier"}]
    accounts = [{**ACCOUNTS[0], "closed": True}, *ACCOUNTS[1:]]
    loop.patch_folder(PLACE[1], accounts=accounts, third_parties=third)
    done = cli("referential", "refresh", *PLACE)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0].split() == ["accounts", "8"]
    shown = json.loads(cli("referential", "show", *PLACE, "--json").stdout)
    assert (shown["firm"], shown["folder"], shown["flags"]) == (*PLACE, {})
    assert len(shown["records"]) == 8 + 4 + 1
    assert shown["records"][0]["record"]["numero"] == "101000"
    for options, codes in (
        (("--kind", "supplier"), ["DUPONT"]),
        (("--search", "fourn"), ["401000", "606400"]),
        (("--closed",), ["101000"]),
    ):
        lines = cli("referential", "show", *PLACE, *options).stdout.splitlines()
        assert [line.split("\t")[1] for line in lines[1:]] == codes
    assert "closed" in cli("referential", "show", *PLACE, "--closed").stdout


def test_a_list_that_shrank_asks_for_a_persons_word(cli: Cli, loop: SimulatorHandle) -> None:
    assert cli("referential", "refresh", *PLACE).exit_code == 0
    loop.patch_folder(PLACE[1], accounts=ACCOUNTS[:1])
    done = cli("referential", "refresh", *PLACE)
    assert done.exit_code == 1
    assert "Loop shows 1 of 8" in done.stderr
    code, wrong = check(cli)
    assert code == 0
    assert f"refresh {PLACE[0]} {PLACE[1]} --accept-smaller" in wrong["list of accounts"]["remedy"]
    assert cli("referential", "refresh", *PLACE, "--accept-smaller").exit_code == 0


def test_who_is_interrupted_leaves_the_folder_to_the_next(cli: Cli, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE folders SET refresh_lease = gen_random_uuid(), "
                "refresh_lease_until = now() + interval '1 min'"
            )
        )
    done = cli("referential", "refresh", *PLACE)
    assert done.exit_code == 1
    assert "Somebody else reads the folder" in done.stderr
    assert "could not be asked" in cli("folder", "check", *PLACE).stdout


@pytest.mark.parametrize(
    "command",
    [
        ("referential", "show"),
        ("referential", "refresh"),
        ("folder", "check"),
        ("folder", "set", "--name", "x"),
    ],
)
@pytest.mark.parametrize("place", [("NOBODY", "DEMO000001"), ("CABINET42", "NOWHERE")])
def test_a_folder_that_is_not_registered_is_told_how(
    cli: Cli, command: tuple[str, ...], place: tuple[str, str]
) -> None:
    done = cli(*command, *place)
    assert done.exit_code == 1
    assert "No folder" in done.stderr
    assert f"passerelle folder add {place[0]} {place[1]}" in done.stderr


def test_what_is_set_is_checked_against_what_stands(cli: Cli) -> None:
    done = cli("folder", "set", *PLACE, "--open-to", "2019-12-31")
    assert done.exit_code == 1
    assert "ends before it begins" in done.stderr
    assert cli("folder", "set", *PLACE).exit_code == 2
