"""`firm set` for webhooks, `outcome`, and where else people see what is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from passerelle.domain.firm_keys import FirmKeys
from passerelle.registration import FolderTerms, Registration
from passerelle.store.vault import Vault
from support.command import Cli, stored
from support.events import purchase
from support.raw_server import response
from support.receiver import SECRET, TAKEN, Office, Receiver
from support.workshop import FIRM, FOLDER, Workshop

LONG_AGO = "2020-01-01T00:00:00+01:00"


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {"PASSERELLE_WEBHOOK_NETWORKS": "127.0.0.0/8"}


@pytest.fixture
def shop(engine: Engine, environ: dict[str, str]) -> Workshop:
    """As the command line has it: with the same secret keys."""
    made = Workshop(engine)
    made.vault = Vault([environ["PASSERELLE_SECRET_KEYS"]])
    made.registration = Registration(engine, made.vault)
    made.registration.add_firm(FIRM, FirmKeys("key", "secret", "subscription"))
    made.registration.add_folder(FIRM, FOLDER, FolderTerms())
    return made


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    return path


def listed(cli: Cli, *arguments: str) -> list[dict[str, Any]]:
    done = cli("outcome", "list", "--json", *arguments)
    return [json.loads(line) for line in done.stdout.splitlines()]


def firm(cli: Cli) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli("firm", "list", "--json").stdout)
    return found


def test_who_is_told_is_set_listed_and_taken_away(
    shop: Workshop, cli: Cli, hub: Receiver, secret: Path
) -> None:
    assert firm(cli)["outcome_url"] is None
    done = cli("firm", "set", FIRM, "--outcome-url", hub.url, "--alert-url", f"{hub.url}/people",
               "--webhook-secret-file", secret)  # fmt: skip
    assert (done.exit_code, done.stdout) == (0, f"Firm {FIRM} is changed.\n")
    found = firm(cli)
    # What stands behind the host may be a secret.
    shown = hub.url.replace("/messages", "/…")
    assert (found["outcome_url"], found["alert_url"]) == (shown, shown)
    stored_ = shop.rows("SELECT url FROM endpoints")
    assert not any(b"messages" in bytes(row["url"]) for row in stored_)
    assert SECRET not in json.dumps(found)
    done = cli("firm", "set", FIRM, "--alert-url", "")
    assert (done.exit_code, "told nowhere" in done.stdout) == (0, True)
    assert cli("firm", "set", FIRM, "--alert-url", "  ").exit_code == 2
    assert firm(cli)["alert_url"] is None
    assert SECRET.encode() not in bytes(shop.row("SELECT * FROM firms")["webhook_secrets"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--outcome-url", "http://127.0.0.1/"], "--webhook-secret-file"),
        (["--outcome-url", "ftp://127.0.0.1/"], "https://host/path"),
        (["--alert-url", "https://10.0.0.1/"], "PASSERELLE_WEBHOOK_NETWORKS"),
        (["--alert-url", "http://10.0.0.1/"], "PASSERELLE_PLAIN_HTTP_HOSTS"),
        (["--alert-url", "https://no-such-host.invalid/"], "no-such-host.invalid has no address"),
    ],
)
def test_what_cannot_be_told_is_refused_with_what_to_do(
    shop: Workshop, cli: Cli, arguments: list[str], words: str
) -> None:
    done = cli("firm", "set", FIRM, *arguments)
    assert done.exit_code == 1
    assert words in done.stderr
    assert stored(shop.engine, "endpoints") == 0


def test_a_secret_that_is_none_is_refused_and_not_repeated(
    shop: Workshop, cli: Cli, hub: Receiver
) -> None:
    arguments = ("--outcome-url", hub.url, "--webhook-secret-file", "-")
    done = cli("firm", "set", FIRM, *arguments, stdin="whsec_c2hvcnQ=")
    assert done.exit_code == 1
    assert "whsec_c2hvcnQ=" not in done.stderr
    assert "openssl" in done.stderr
    assert stored(shop.engine, "endpoints") == 0
    assert cli("firm", "set", "OTHER", *arguments, stdin=SECRET).exit_code == 1
    assert cli("firm", "set", FIRM).exit_code == 2


def test_what_was_told_and_what_waits_is_listed_and_told_again(
    shop: Workshop, cli: Cli, hub: Receiver, secret: Path
) -> None:
    office = Office(shop)
    hub.answers(response("503 Service Unavailable"), TAKEN)
    for address in ("--outcome-url", "--alert-url"):
        done = cli("firm", "set", FIRM, address, hub.url, "--webhook-secret-file", secret)
        assert done.exit_code == 0
    shop.submit(purchase(1))
    shop.hold()
    before = listed(cli)
    assert {one["type"] for one in before} == {"entries.outcome", "folder.state", "case.opened"}
    [outcome] = [one for one in before if one["type"] == "entries.outcome"]
    assert outcome | {"case_id": 0, "at": ""} == {
        "firm": FIRM,
        "type": "entries.outcome",
        "sequence": None,
        "folder": FOLDER,
        "entry_id": "ach-2026-000001",
        "revision": 1,
        "event_id": purchase(1)["event_id"],
        "entry": shop.entry(1)["id"],
        "state": "parked",
        "reason": "access_denied",
        "message": "non",
        "case_id": 0,
        "at": "",
        "webhook_id": None,
        "told_at": None,
        "failures": 0,
    }
    office.tell()
    # The folder's state was tried, the outcome of the entry gathers still.
    waiting = [one["type"] for one in listed(cli) if one["told_at"] is None]
    assert sorted(waiting) == ["entries.outcome", "folder.state"]
    status = json.loads(cli("status", "--json").stdout)
    assert (status["receivers_down"], status["messages_waiting"]) == (1, 1)
    told = cli("doctor").stdout
    assert "HTTP 503" in told
    assert f"messages of firm {FIRM}" in told
    office.wait()
    office.tell()
    after = listed(cli, "--firm", FIRM)
    assert all(one["told_at"] for one in after)
    assert [one["sequence"] for one in after if one["type"] == "entries.outcome"] == [1]
    assert "ok     receivers of messages" in cli("doctor").stdout
    assert "number 1, parked" in cli("entry", "show", shop.entry(1)["id"]).stdout
    assert listed(cli, "--firm", "OTHER") == []
    done = cli("outcome", "replay", "--since", LONG_AGO)
    assert done.exit_code == 0
    assert "Messages that are sent again: 2." in done.stdout
    count = len(hub.taken)
    office.tell()
    assert len(hub.taken) == count + 2


def test_nothing_is_told_again_where_nobody_is_told(shop: Workshop, cli: Cli) -> None:
    done = cli("outcome", "replay", "--since", LONG_AGO)
    assert (done.exit_code, "--outcome-url" in done.stderr) == (1, True)
    assert cli("outcome", "replay", "--since", LONG_AGO, "--firm", "OTHER").exit_code == 1
    assert cli("outcome", "replay", "--since", "yesterday").exit_code == 2
    assert cli("outcome", "replay").exit_code == 2
    assert listed(cli) == []


def test_the_hub_hears_what_the_check_of_a_folder_found(
    shop: Workshop, cli: Cli, hub: Receiver
) -> None:
    office = Office(shop)
    arguments = ("--outcome-url", hub.url, "--webhook-secret-file", "-")
    assert cli("firm", "set", FIRM, *arguments, stdin=SECRET).exit_code == 0
    checked = cli(
        "folder", "check", FIRM, FOLDER, "--json", PASSERELLE_LOOP_URL="http://127.0.0.1:9"
    )
    found = json.loads(checked.stdout)
    office.tell()
    [message] = [one.body for one in hub.taken]
    assert (message["type"], message["state"], message["folder"]) == (
        *("folder.state", "checked", FOLDER),
    )
    assert message["ok"] is found["ok"] is False
    assert [one["name"] for one in message["findings"]] == [
        one["name"] for one in found["findings"] if not one["ok"]
    ]
