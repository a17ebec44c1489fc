"""Promises of `submit`: nothing is lost, and the counts are true."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import Engine, text

from config.settings import read_settings
from passerelle.runtime import Runtime
from support.command import Cli, messages, stored
from support.events import purchase
from support.servers import Servers
from support.simulator import SimulatorHandle

NOBODY = "redis://127.0.0.1:1/0"


def ndjson(path: Path, *events: object) -> Path:
    path.write_bytes(b"".join(json.dumps(event).encode() + b"\n" for event in events))
    return path


def counts(done: Result) -> dict[str, int]:
    assert done.exit_code == 0, done.output
    found: dict[str, int] = json.loads(done.stdout)
    return found


def test_the_same_file_again_changes_nothing(cli: Cli, engine: Engine, tmp_path: Path) -> None:
    file = ndjson(tmp_path / "events", *map(purchase, range(1, 1_203)))
    for new, known in ((1_202, 0), (0, 1_202)):
        found = counts(cli("submit", file, "--direct", "--json"))
        assert found == {"events": 1_202, "new": new, "known": known, "refused": 0}
    assert stored(engine, "entries") == 1_202


def test_of_a_direct_submit_every_line_is_an_entry_or_a_refused_event(
    cli: Cli, engine: Engine, tmp_path: Path
) -> None:
    bad = [b"not json", b"\xff\xfe", b"[" * 5_000, b'{"a": \x00}', b"null", b'"\\ud800"']
    file = tmp_path / "events"
    good = [json.dumps(purchase(number)).encode() for number in (1, 2)]
    file.write_bytes(b"\n".join([good[0], *bad, good[1]]))
    done = cli("submit", file, "--direct")
    assert done.exit_code == 0
    assert done.stdout.split() == [*("events", "8", "new", "2", "known", "0", "refused", "6")]
    assert "events, line 3, is not JSON that can be read: byte 0xFF" in done.stderr
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT body FROM refused_events ORDER BY id"))
        bodies = [bytes(body) for body in kept.scalars()]
    assert set(bodies) == set(bad)
    listed = cli("intake", "list", "--json").stdout.splitlines()
    assert len(listed) == 6
    assert "line 2, is not JSON" in listed[0]


def test_several_files_and_standard_input_are_one_submission(cli: Cli, tmp_path: Path) -> None:
    first = ndjson(tmp_path / "first", purchase(1))
    stdin = json.dumps(purchase(2)).encode() + b"\nbroken"
    done = cli("submit", first, "-", first, "--direct", "--json", stdin=stdin)
    assert counts(done) == {"events": 4, "new": 2, "known": 1, "refused": 1}
    assert "standard input, line 2, is not JSON" in done.stderr


def test_an_empty_file_is_done(cli: Cli, broker_url: str, environ: dict[str, str]) -> None:
    environ["PASSERELLE_BROKER_URL"] = broker_url
    assert counts(cli("submit", "-", "--direct", "--json"))["events"] == 0
    assert counts(cli("submit", "-", "--json")) == {"events": 0, "messages": 0}


def test_many_bad_lines_do_not_flood_the_terminal(cli: Cli) -> None:
    done = cli("submit", "-", "--direct", stdin=b"x\n" * 300)
    assert len(done.stderr.splitlines()) == 22
    assert "280 more lines are no JSON." in done.stderr


def test_through_the_broker_messages_are_bounded_and_hold_every_line(
    cli: Cli, environ: dict[str, str], broker_url: str, tmp_path: Path
) -> None:
    environ["PASSERELLE_BROKER_URL"] = broker_url
    del environ["PASSERELLE_DATABASE_URL"]
    events: list[object] = [{"n": number} for number in range(2_500)]
    file = ndjson(tmp_path / "events", *events)
    with file.open("ab") as more:
        more.write(b"no \xe9 json\n")
    done = cli("submit", file, "--json")
    assert counts(done) == {"events": 2_501, "messages": 3}
    assert "line 2501, is not JSON" in done.stderr
    sent = messages(broker_url, "intake")
    assert [one["task"] for one in sent] == ["entries.submit_many"] * 3
    assert [len(one["args"][0]) for one in sent] == [1_000, 1_000, 501]
    assert [event for one in sent for event in one["args"][0]] == [*events, "no \udce9 json"]
    assert sent[0]["shown"] == "[1000 events]"


def test_what_is_no_json_is_kept_by_intake_when_it_came_through_the_broker(
    cli: Cli, environ: dict[str, str], broker_url: str, engine: Engine
) -> None:
    environ["PASSERELLE_BROKER_URL"] = broker_url
    lines = [json.dumps(purchase(1)).encode(), b"no \xe9 json", json.dumps(purchase(2)).encode()]
    counts(cli("submit", "-", "--json", stdin=b"\n".join(lines)))
    [message] = messages(broker_url, "intake")
    runtime = Runtime(read_settings(environ))
    taken = runtime.intake.take_in_many(*message["args"])
    runtime.close()
    assert (taken.new, taken.refused) == (2, 1)
    assert stored(engine, "refused_events") == 1


def test_no_broker_is_one_sentence(cli: Cli, environ: dict[str, str]) -> None:
    event = json.dumps(purchase()).encode()
    for url, told in (
        (None, "Error: PASSERELLE_BROKER_URL is not set"),
        (NOBODY, "Error: The broker does not answer: "),
    ):
        if url is not None:
            environ["PASSERELLE_BROKER_URL"] = url
        done = cli("submit", "-", stdin=event)
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr.startswith(told)
        assert done.stderr.count("\n") == 1


def test_a_direct_submit_rings_where_a_broker_answers_and_is_silent_where_none_does(
    cli: Cli, environ: dict[str, str], broker_url: str, loop: SimulatorHandle
) -> None:
    environ |= {"PASSERELLE_BROKER_URL": broker_url, "PASSERELLE_API_SECRET": "secret"}
    environ["PASSERELLE_LOOP_URL"] = loop.base_url
    keys = ("--api-key", "key", "--subscription-key", "subscription")
    parked = json.dumps(purchase(1)).encode()
    assert counts(cli("submit", "-", "--direct", "--json", stdin=parked))["new"] == 1
    assert messages(broker_url, "delivery") == []
    assert cli("firm", "add", "CABINET42", *keys).exit_code == 0
    assert [one["task"] for one in messages(broker_url, "delivery")] == ["delivery.deliver"]
    # Of another folder, since who brought what waits in the first has rung for it.
    received = json.dumps(purchase(2, folder="DEMO000002")).encode()
    assert counts(cli("submit", "-", "--direct", "--json", stdin=received))["new"] == 1
    assert len(messages(broker_url, "delivery")) == 2

    environ["PASSERELLE_BROKER_URL"] = NOBODY
    done = cli("submit", "-", "--direct", "--json", stdin=json.dumps(purchase(3)).encode())
    assert counts(done)["new"] == 1
    assert done.stderr == ""


@pytest.mark.parametrize("command", [("submit", "-", "--direct"), ("entry", "list"), ("status",)])
def test_no_database_and_no_schema_are_one_sentence_each(
    cli: Cli, environ: dict[str, str], servers: Servers, command: tuple[str, ...]
) -> None:
    def told() -> str:
        done = cli(*command, stdin=json.dumps(purchase()).encode())
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        return done.stderr

    environ["PASSERELLE_DATABASE_URL"] = "postgresql://passerelle:hidden@127.0.0.1:1/none"
    assert "The database does not answer" in told()
    assert "hidden" not in told()
    del environ["PASSERELLE_DATABASE_URL"]
    assert "PASSERELLE_DATABASE_URL is not set" in told()
    with servers.database() as url:
        environ["PASSERELLE_DATABASE_URL"] = url
        assert "run `passerelle db upgrade`" in told()
        assert cli("db", "upgrade").exit_code == 0
        assert "already" in cli("db", "upgrade").stdout
        assert cli(*command).exit_code == 0
