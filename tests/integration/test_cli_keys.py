"""Promises of `firm add`, `check` and `rotate` and `db rotate-secrets` about a firm's keys."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from cryptography.fernet import Fernet
from sqlalchemy import text

from config.settings import read_settings
from passerelle.domain.states import Reason, Scope
from passerelle.runtime import Runtime
from passerelle.store.cases import Cause, hold
from support.command import Cli, deployment_environ, messages
from support.events import purchase
from support.ports import free_port
from support.simulator import SimulatorHandle, running_simulator

KEY, SECRET, SUBSCRIPTION = "HUSHKEY-4f1d", "HUSH:secret-9a", "HUSHSUB-77c0"
SECOND = ("HUSHKEY-second", "HUSH-secret-second", "HUSHSUB-second")
WRONG = "HUSH-wrong-1234"
FIRM = "CABINET42"


@pytest.fixture(scope="module")
def _keyed() -> Iterator[SimulatorHandle]:
    pairs = [(KEY, SECRET, SUBSCRIPTION), SECOND, (KEY, "HUSH-new-secret", SUBSCRIPTION)]
    names = ("key", "secret", "subscription_key")
    keys = [dict(zip(names, values, strict=True)) for values in pairs]
    # The old key with a new subscription.
    keys.append({"key": "unused", "secret": "unused", "subscription_key": "HUSHSUB-new"})
    with running_simulator({"keys": keys}) as running:
        yield running


@pytest.fixture
def keyed(_keyed: SimulatorHandle) -> SimulatorHandle:
    """A stand-in that knows keys from one another."""
    _keyed.reset()
    return _keyed


@pytest.fixture
def environ(database_url: str, tmp_path: Path, keyed: SimulatorHandle) -> dict[str, str]:
    return deployment_environ(database_url, tmp_path) | {
        "PASSERELLE_LOOP_URL": keyed.base_url,
        "PASSERELLE_API_SECRET": SECRET,
    }


@pytest.fixture
def runtime(environ: dict[str, str]) -> Iterator[Runtime]:
    made = Runtime(read_settings(environ))
    yield made
    made.close()


def add(cli: Cli, key: str = KEY, subscription: str = SUBSCRIPTION, **env: str) -> Result:
    keys = ("--api-key", key, "--subscription-key", subscription)
    return discreet(cli("firm", "add", FIRM, *keys, **env))


def discreet(done: Result) -> Result:
    """Every answer here goes through it: no key, no secret on either stream."""
    assert "HUSH" not in done.stdout + done.stderr
    return done


def told(done: Result) -> str:
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    return done.stderr


def stored(runtime: Runtime) -> list[str]:
    with runtime.engine.connect() as connection:
        rows = connection.execute(text("SELECT api_key, api_secret, subscription_key FROM firms"))
        return [runtime.vault.open(sealed) for row in rows for sealed in row]


WRONG_KEYS = [
    ({"key": WRONG}, {}, "Loop refuses the API key"),
    ({}, {"PASSERELLE_API_SECRET": WRONG}, "Loop refuses the API key"),
    ({"subscription": WRONG}, {}, "The subscription key is wrong"),
    ({"key": f"{KEY}:{SECRET}"}, {"PASSERELLE_API_SECRET": WRONG}, "The API key holds a colon"),
]


@pytest.mark.parametrize(("keys", "env", "words"), WRONG_KEYS)
def test_keys_that_loop_does_not_take_are_not_stored(
    cli: Cli, runtime: Runtime, keys: dict[str, str], env: dict[str, str], words: str
) -> None:
    assert words in told(add(cli, **keys, **env))
    assert cli("firm", "list", "--json").stdout == ""


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("subscription_key_missing", "The subscription key did not reach Loop"),
        ("api_key_forbidden", "Loop refuses the API key"),
        ("rate_limited", "try again in 57 s. Nothing was saved."),
        ("quota_clock", "quota of calls is used up; try again in 7 h 2 min."),
        ("html", "correct PASSERELLE_LOOP_URL"),
        ("http_502", "Loop is down (HTTP 502); try again later."),
        ("reset", "failed or was cut"),
    ],
)
def test_what_stands_against_a_trial_is_told(
    cli: Cli, runtime: Runtime, keyed: SimulatorHandle, fault: str, words: str
) -> None:
    keyed.set_faults({"fault": fault})
    assert words in told(add(cli))
    assert stored(runtime) == []


def test_an_address_where_nobody_is_is_told(cli: Cli, runtime: Runtime) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert "Nothing listens at Loop's address" in told(add(cli, PASSERELLE_LOOP_URL=url))
    assert stored(runtime) == []


def test_keys_as_they_are_pasted_are_taken(cli: Cli, runtime: Runtime) -> None:
    pasted = {"key": f" '{KEY}'\n", "subscription": f"\u200b{SUBSCRIPTION}\u00a0"}
    done = add(cli, **pasted, PASSERELLE_API_SECRET=f"{KEY}:{SECRET}")
    assert (done.exit_code, done.stdout) == (0, f"Firm {FIRM} is registered.\n")
    assert stored(runtime) == [KEY, SECRET, SUBSCRIPTION]


def test_a_firm_that_cannot_be_registered_is_refused_before_loop_is_asked(
    cli: Cli, keyed: SimulatorHandle
) -> None:
    add(cli)
    before = keyed.requests()["total"]
    assert "registered already" in told(add(cli))
    assert keyed.requests()["total"] == before


def check(cli: Cli) -> tuple[int, dict[str, object]]:
    done = discreet(cli("firm", "check", FIRM, "--json"))
    return done.exit_code, json.loads(done.stdout)


def test_a_check_says_whether_the_stored_keys_pass(
    cli: Cli, environ: dict[str, str], keyed: SimulatorHandle
) -> None:
    assert "firm add" in told(discreet(cli("firm", "check", FIRM)))
    add(cli)
    assert discreet(cli("firm", "check", FIRM)).stdout == "ok: Loop takes the keys.\n"
    assert check(cli) == (0, {"firm": FIRM, "ok": True, "message": "Loop takes the keys."})
    keyed.set_faults({"fault": "api_key_refused"})
    code, document = check(cli)
    assert (code, document["ok"]) == (1, False)
    said = told(discreet(cli("firm", "check", FIRM)))
    assert said == f"Error: {document['message']}\n"
    assert f"`passerelle firm rotate {FIRM}`" in said
    environ["PASSERELLE_SECRET_KEYS"] = Fernet.generate_key().decode()
    assert f"Firm {FIRM}: A stored secret" in told(discreet(cli("firm", "check", FIRM)))


def test_a_check_lets_go_on_what_waited(
    cli: Cli, runtime: Runtime, environ: dict[str, str], broker_url: str
) -> None:
    environ["PASSERELLE_BROKER_URL"] = broker_url
    add(cli)
    runtime.intake.take_in([purchase()])
    with runtime.engine.begin() as connection:
        reason = Reason.CREDENTIALS_REFUSED
        hold(connection, Cause(Scope.FIRM, 1, None, reason, "HTTP 401"))
    before = len(messages(broker_url, "delivery"))
    assert discreet(cli("firm", "check", FIRM)).exit_code == 0
    assert len(messages(broker_url, "delivery")) == before + 1
    [case] = map(json.loads, cli("remediation", "list", "--json").stdout.splitlines())
    assert (case["reason"], case["state"], case["held"]) == ("credentials_refused", "healed", 0)


def rotate(cli: Cli, *words: str, **env: str) -> Result:
    return discreet(cli("firm", "rotate", FIRM, *words, **env))


def test_a_rotation_replaces_what_is_given(
    cli: Cli, runtime: Runtime, environ: dict[str, str], tmp_path: Path
) -> None:
    add(cli)
    del environ["PASSERELLE_API_SECRET"]
    done = rotate(cli, "--subscription-key", "HUSHSUB-new")
    assert (done.exit_code, done.stdout) == (0, f"The keys of firm {FIRM} are replaced.\n")
    assert stored(runtime) == [KEY, SECRET, "HUSHSUB-new"]
    file = tmp_path / "secret"
    file.write_text("HUSH-new-secret\n")
    assert rotate(cli, "--api-secret-file", str(file)).exit_code == 0
    assert stored(runtime) == [KEY, "HUSH-new-secret", "HUSHSUB-new"]
    assert rotate(cli, PASSERELLE_API_SECRET=SECRET).exit_code == 0
    key, secret, subscription = SECOND
    keys = ("--api-key", key, "--subscription-key", subscription)
    assert rotate(cli, *keys, PASSERELLE_API_SECRET=secret).exit_code == 0
    assert stored(runtime) == [*SECOND]


@pytest.mark.parametrize(
    "words", [(), ("--api-key", KEY), ("--api-key", KEY, "--subscription-key", "x")]
)
def test_a_new_secret_is_asked_for_where_there_is_one(
    cli: Cli, environ: dict[str, str], words: tuple[str, ...]
) -> None:
    add(cli)
    del environ["PASSERELLE_API_SECRET"]
    done = rotate(cli, *words)
    assert done.exit_code == 2
    assert "--api-secret-file" in done.stderr


@pytest.mark.parametrize(
    "words", [("--other-domain",), ("--why", "w"), ("--other-domain", "--why", " ")]
)
def test_another_domain_needs_a_reason(cli: Cli, words: tuple[str, ...]) -> None:
    assert rotate(cli, *words).exit_code == 2


def test_a_rotation_to_keys_that_do_not_pass_changes_nothing(cli: Cli, runtime: Runtime) -> None:
    add(cli)
    assert "subscription key is wrong" in told(rotate(cli, "--subscription-key", WRONG))
    assert "refuses the API key" in told(rotate(cli, PASSERELLE_API_SECRET=WRONG))
    assert "API key is empty" in told(rotate(cli, "--api-key", " "))
    assert stored(runtime) == [KEY, SECRET, SUBSCRIPTION]


def test_another_domain_is_refused_until_it_is_said_so(
    cli: Cli, runtime: Runtime, environ: dict[str, str]
) -> None:
    add(cli)
    cli("folder", "add", FIRM, "D")
    with runtime.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO referential_records (firm_id, folder_id, kind, code, label, "
                "object_id, record) VALUES (1, 1, 'journal', 'ACH', '', 'elsewhere', '{}')"
            )
        )
    environ["PASSERELLE_API_SECRET"] = SECOND[1]
    keys = ("--api-key", SECOND[0], "--subscription-key", SECOND[2])
    assert "--other-domain" in told(rotate(cli, *keys))
    assert stored(runtime) == [KEY, SECRET, SUBSCRIPTION]
    assert rotate(cli, *keys, "--other-domain", "--why", "We moved.").exit_code == 0
    assert stored(runtime) == [*SECOND]


def test_secrets_are_encrypted_with_the_first_key(
    cli: Cli, runtime: Runtime, environ: dict[str, str]
) -> None:
    add(cli)
    newest = Fernet.generate_key().decode()
    environ["PASSERELLE_SECRET_KEYS"] = f"{newest},{environ['PASSERELLE_SECRET_KEYS']}"
    for _ in range(2):
        done = discreet(cli("db", "rotate-secrets"))
        assert (done.exit_code, done.stderr) == (0, "")
        assert done.stdout.endswith("first secret key: 1.\n")
    environ["PASSERELLE_SECRET_KEYS"] = newest
    assert check(cli)[0] == 0
    environ["PASSERELLE_SECRET_KEYS"] = Fernet.generate_key().decode()
    done = discreet(cli("db", "rotate-secrets"))
    assert done.exit_code == 1
    assert done.stdout.endswith("first secret key: 0.\n")
    assert f"The keys of {FIRM} cannot be decrypted" in done.stderr
