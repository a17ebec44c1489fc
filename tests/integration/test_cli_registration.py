"""Promises of `firm add`, `folder add`, `intake show` and `intake retry`: secrets stay secret."""

import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from config.settings import read_settings
from passerelle.runtime import Runtime
from support.command import Cli, deployment_environ
from support.events import purchase, put
from support.simulator import ROOT, SimulatorHandle

KEYS = ("--api-key", "key-0123456789", "--subscription-key", "subscription-1")
SECRET = "Un-secret_9"


@pytest.fixture
def environ(database_url: str, tmp_path: Path, loop: SimulatorHandle) -> dict[str, str]:
    """Keys are tried before they are stored."""
    return deployment_environ(database_url, tmp_path) | {"PASSERELLE_LOOP_URL": loop.base_url}


@pytest.fixture
def runtime(environ: dict[str, str]) -> Iterator[Runtime]:
    made = Runtime(read_settings(environ))
    yield made
    made.close()


def stored_secret(runtime: Runtime, firm: str) -> str:
    with runtime.engine.connect() as connection:
        sealed = connection.execute(
            text("SELECT api_secret FROM firms WHERE code = :code"), {"code": firm}
        ).scalar_one()
    assert SECRET.encode() not in bytes(sealed)
    return runtime.vault.open(sealed)


def test_the_secret_comes_from_a_file_or_the_environment_without_its_line_end(
    cli: Cli, runtime: Runtime, environ: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\r\n")
    done = cli("firm", "add", "A", *KEYS, "--api-secret-file", str(file))
    assert (done.exit_code, done.stdout) == (0, "Firm A is registered.\n")
    keys = ("--api-key", "another", "--subscription-key", "subscription-2")
    assert cli("firm", "add", "B", *keys, "--api-secret-file", "-", stdin=SECRET).exit_code == 0
    environ["PASSERELLE_API_SECRET"] = SECRET
    keys = ("--api-key", "a third", "--subscription-key", "subscription-3")
    assert cli("firm", "add", "C", *keys).exit_code == 0
    assert [stored_secret(runtime, firm) for firm in "ABC"] == [SECRET] * 3


def test_a_prompt_asks_for_the_secret_and_does_not_show_it(
    runtime: Runtime, environ: dict[str, str]
) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "passerelle.cli.main", "firm", "add", "A", *KEYS],
        cwd=ROOT,
        env=os.environ | environ,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        # The prompt is on the controlling terminal.
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown = read_until(ours, "API secret")
        os.write(ours, f"{SECRET}\n".encode())
        shown += read_until(ours, "is registered.")
        assert process.wait(60) == 0
    os.close(ours)
    assert SECRET not in shown
    assert stored_secret(runtime, "A") == SECRET


def read_until(terminal: int, words: str) -> str:
    shown = ""
    while words not in shown:
        readable, _, _ = select.select([terminal], [], [], 60)
        assert readable, f"no {words!r} in {shown!r}"
        shown += os.read(terminal, 1024).decode()
    return shown


def test_without_a_terminal_nobody_waits_for_a_secret(cli: Cli, runtime: Runtime) -> None:
    done = cli("firm", "add", "A", *KEYS, stdin=f"{SECRET}\n")
    assert done.exit_code == 2
    assert "--api-secret-file" in done.stderr


@pytest.mark.parametrize("secret", [b"", b" \n", b"\xe9t\xe9", b"a\x00b", "clé".encode()])
def test_a_secret_that_cannot_be_sent_is_refused_without_being_shown(
    cli: Cli, runtime: Runtime, tmp_path: Path, secret: bytes
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(secret)
    done = cli("firm", "add", "A", *KEYS, "--api-secret-file", str(file))
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: The API secret ")
    assert cli("firm", "list", "--json").stdout == ""


def test_what_cannot_be_registered_is_one_sentence(
    cli: Cli, runtime: Runtime, environ: dict[str, str]
) -> None:
    environ["PASSERELLE_API_SECRET"] = SECRET
    assert cli("firm", "add", "CABINET42", *KEYS).exit_code == 0
    assert cli("folder", "add", "CABINET42", "D1", "--name", "Dupont").exit_code == 0
    for command in (
        ("firm", "add", "CABINET42", *KEYS),
        ("firm", "add", "cabinet42", "--api-key", "x", "--subscription-key", "y"),
        ("firm", "add", "OTHER", *KEYS),
        ("firm", "add", " ", *KEYS),
        ("folder", "add", "NOBODY", "D1"),
        ("folder", "add", "CABINET42", "D1"),
        ("folder", "add", "CABINET42", "d1"),
        (
            *("folder", "add", "CABINET42", "D2"),
            "--open-from",
            "2026-12-31",
            "--open-to",
            "2026-01-01",
        ),
    ):
        done = cli(*command)
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert "key-0123456789" not in done.stderr


def test_an_open_period_is_kept(cli: Cli, environ: dict[str, str], runtime: Runtime) -> None:
    environ["PASSERELLE_API_SECRET"] = SECRET
    cli("firm", "add", "F", *KEYS)
    period = ("--open-from", "2026-01-01", "--open-to", "2026-12-31")
    assert cli("folder", "add", "F", "D", *period).exit_code == 0
    [folder] = map(json.loads, cli("folder", "list", "--json").stdout.splitlines())
    assert (folder["open_from"], folder["open_to"]) == ("2026-01-01", "2026-12-31")


def test_a_refused_event_is_listed_and_shown_whole_with_its_faults(
    cli: Cli, runtime: Runtime
) -> None:
    wrong = put(put(purchase(), "/entry/lines/0/debit", 100.0), "/firm", "a\x00b\ud800")
    for _ in range(3):
        runtime.intake.take_in([wrong])
    [listed] = map(json.loads, cli("intake", "list", "--json").stdout.splitlines())
    assert set(listed) >= {"id", "event_id", "received_at", "errors", "deliveries"}
    assert (listed["event_id"], listed["deliveries"]) == (wrong["event_id"], 3)
    assert {error["path"] for error in listed["errors"]} == {"/firm", "/entry/lines/0/debit"}
    assert all(set(error) == {"path", "message"} for error in listed["errors"])
    shown = json.loads(cli("intake", "show", str(listed["id"]), "--json").stdout)
    assert {key: shown[key] for key in listed} == listed
    assert json.loads(shown["body"]) == wrong
    told = cli("intake", "show", str(listed["id"])).stdout
    assert "/entry/lines/0/debit: " in told


def test_a_body_that_is_no_text_is_shown(cli: Cli, runtime: Runtime) -> None:
    runtime.intake.refuse(b"\x1b[2J\xff" + b"x" * 5_000, "It is no event.")
    told = cli("intake", "show", "1").stdout
    assert "\x1b" not in told
    assert "[2J\\xffxxx" in told
    assert len(told) < 3_000
    body = json.loads(cli("intake", "show", "1", "--json").stdout)["body"]
    assert body == "\x1b[2J\\xff" + "x" * 5_000


def test_a_retried_event_is_taken_in_once_what_stood_against_it_is_gone(
    cli: Cli, runtime: Runtime, environ: dict[str, str], engine: Engine
) -> None:
    environ["PASSERELLE_API_SECRET"] = SECRET
    cli("firm", "add", "CABINET-42", *KEYS)
    runtime.intake.take_in([purchase(firm="cabinet-42")])
    done = cli("intake", "retry", "1")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "refused again: /firm: " in done.stderr
    assert json.loads(cli("status", "--json").stdout)["refused_events"] == 1
    with engine.begin() as connection:
        connection.execute(text("UPDATE firms SET code = 'X', code_key = 'x'"))
    done = cli("intake", "retry", "1")
    assert (done.exit_code, done.stdout) == (0, "Refused event 1 is taken in.\n")
    assert cli("intake", "list", "--json").stdout == ""
    assert json.loads(cli("status", "--json").stdout)["refused_events"] == 0
    assert json.loads(cli("intake", "show", "1", "--json").stdout)["taken_in_at"] is not None
    # Again is harmless.
    assert cli("intake", "retry", "1").exit_code == 0
    assert json.loads(cli("status", "--json").stdout)["entries"]["parked"] == 1


@pytest.mark.parametrize("body", [b"not json", b'"text"', b"[[{}], {}]", b"\xff", b"[" * 5_000])
def test_what_is_no_event_is_not_taken_in_by_a_retry(
    cli: Cli, runtime: Runtime, body: bytes
) -> None:
    runtime.intake.refuse(body, "It is no event.")
    done = cli("intake", "retry", "1")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "is not one event" in done.stderr
    [listed] = map(json.loads, cli("intake", "list", "--json").stdout.splitlines())
    assert (listed["id"], listed["deliveries"]) == (1, 1)


@pytest.mark.parametrize("command", ["show", "retry"])
def test_a_refused_event_that_is_not_there_is_one_sentence(
    cli: Cli, database_url: str, command: str
) -> None:
    done = cli("intake", command, "7")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "Error: There is no refused event 7.\n"
