"""`passerelle doctor` names what is wrong while it lasts, and says what to do."""

import datetime as dt
import email.utils
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from urllib.parse import urlsplit

import pytest
import time_machine
from redis import Redis
from sqlalchemy import Engine, text

from support.command import Cli
from support.raw_server import read_request, response, serving
from support.simulator import SimulatorHandle
from support.workshop import FIRM, SECRET_KEY

PAUSED = (
    "INSERT INTO firms (code, code_key, paused_until) VALUES ('A', 'a', now() + interval '1 h')"
)
ANOTHER = (
    "INSERT INTO database_identity (timeline) VALUES ('another') "
    "ON CONFLICT (one) DO UPDATE SET timeline = 'another'"
)
NOTES = {
    "firms",
    "holds",
    "broker writes down",
    "versions",
    "visibility timeout",
    "clock and Loop's",
}
Doctor = Callable[..., tuple[int, dict[str, str | None]]]


@pytest.fixture
def doctor(cli: Cli, broker_url: str, loop: SimulatorHandle) -> Doctor:
    """Runs the command; its exit code and what is wrong by name."""
    usual = {"PASSERELLE_BROKER_URL": broker_url, "PASSERELLE_LOOP_URL": loop.base_url}

    def run(**changes: str) -> tuple[int, dict[str, str | None]]:
        done = cli("doctor", "--json", **usual | changes)
        findings = json.loads(done.stdout)
        assert all(finding["remedy"] for finding in findings if not finding["ok"])
        # What concerns some firms only, or may be meant so, ends nothing with 1.
        notes = {finding["name"] for finding in findings if not finding["grave"]}
        assert notes - {"Loop's address"} <= NOTES
        return done.exit_code, {finding["name"]: finding["wrong"] for finding in findings}

    return run


def change(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def test_where_nobody_works_the_workers_are_what_is_wrong(doctor: Doctor) -> None:
    code, found = doctor()
    assert code == 1
    assert {name for name, wrong in found.items() if wrong} == {
        *(f"worker of {queue}" for queue in
          ("intake", "delivery", "remediation", "referentials", "upkeep")),
        "beat",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "name", "word"),
    [
        ("UPDATE outages SET since = now(), message = 'HTTP 503'", "Loop", "HTTP 503"),
        ("UPDATE alembic_version SET version_num = '0003'", "schema", "0003"),
        (PAUSED, "firms", "1 are left alone"),
        (
            ANOTHER,
            "database is the one it was",
            "went back",
        ),
    ],
)
def test_what_is_wrong_is_named(
    doctor: Doctor, engine: Engine, statement: str, name: str, word: str
) -> None:
    change(engine, statement)
    assert word in str(doctor()[1][name])


@pytest.mark.usefixtures("shop")
def test_firms_whose_keys_cannot_be_decrypted_are_named(doctor: Doctor) -> None:
    assert FIRM in str(doctor()[1]["secret keys"])
    assert doctor(PASSERELLE_SECRET_KEYS=SECRET_KEY)[1]["secret keys"] is None


def test_a_database_that_takes_no_writes_is_named(doctor: Doctor, engine: Engine) -> None:
    name = engine.url.database
    change(engine, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    assert "read-only" in str(doctor()[1]["database"])


def test_a_clock_that_is_off_is_named(doctor: Doctor) -> None:
    with time_machine.travel(dt.datetime.now(dt.UTC) + dt.timedelta(minutes=5), tick=True):
        assert "300 s away" in str(doctor()[1]["clock"])


@pytest.mark.parametrize(
    ("name", "part", "wrong", "words"),
    [
        ("database", "hostname", "no-such-host.invalid", "no-such-host.invalid"),
        ("database", "port", "9", "refused"),
        ("database", "password", "mistyped", "password authentication failed"),
        ("database", "path", "no_such_database", "does not exist"),
        ("broker", "hostname", "no-such-host.invalid", "no-such-host.invalid"),
        ("broker", "port", "9", "refused"),
        ("broker", "password", "mistyped", "username-password"),
        ("broker", "path", "9999", "out of range"),
        ("broker", "path", "mistyped", "cannot be understood"),
    ],
)
def test_what_is_wrong_of_a_url_is_named(
    doctor: Doctor, database_url: str, broker_url: str, name: str, part: str, wrong: str, words: str
) -> None:
    url = with_part({"database": database_url, "broker": broker_url}[name], part, wrong)
    code, found = doctor(**{f"PASSERELLE_{name.upper()}_URL": url})
    assert code == 1
    assert words in str(found[name])
    assert "mistyped" not in str(found)


def with_part(url: str, part: str, wrong: str) -> str:
    given = urlsplit(url)
    parts = {
        "username": given.username or "",
        "password": given.password,
        "hostname": given.hostname,
        "port": given.port,
        "path": given.path.strip("/"),
    } | {part: wrong}
    return "{}://{username}:{password}@{hostname}:{port}/{path}".format(given.scheme, **parts)


def test_a_broker_that_may_forget_is_named(doctor: Doctor, broker_url: str) -> None:
    assert doctor()[1]["broker forgets nothing"] is None
    with Redis.from_url(broker_url) as broker:
        broker.config_set("maxmemory-policy", "allkeys-lru")
        try:
            # Without a limit nothing is ever forgotten.
            assert doctor()[1]["broker forgets nothing"] is None
            broker.config_set("maxmemory", "1gb")
            assert "allkeys-lru" in str(doctor()[1]["broker forgets nothing"])
        finally:
            broker.config_set("maxmemory", "0")
            broker.config_set("maxmemory-policy", "noeviction")


def test_a_broker_that_writes_nothing_down_is_named(doctor: Doctor, broker_url: str) -> None:
    assert doctor()[1]["broker writes down"] is None
    with Redis.from_url(broker_url) as broker:
        broker.config_set("appendonly", "no")
        try:
            assert "started again" in str(doctor()[1]["broker writes down"])
        finally:
            broker.config_set("appendonly", "yes")


@contextmanager
def without(broker_url: str, command: str) -> Iterator[str]:
    """The broker's URL for a user who may do all but one thing."""
    with Redis.from_url(broker_url) as broker:
        broker.execute_command(f"ACL SETUSER shy on >pw ~* &* +@all -{command}")
        yield with_part(with_part(broker_url, "username", "shy"), "password", "pw")
        broker.execute_command("ACL DELUSER shy")


def test_a_broker_that_keeps_its_settings_to_itself_is_not_accused(
    doctor: Doctor, broker_url: str
) -> None:
    with without(broker_url, "info") as url:
        found = doctor(PASSERELLE_BROKER_URL=url)[1]
    assert found["broker"] is None
    assert "broker forgets nothing" not in found


def answering(body: bytes, status: str, *headers: str) -> AbstractContextManager[str]:
    """The URL of a server that answers each request so."""

    def answer(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(response(status, body, *headers))

    return serving(answer)


@pytest.mark.parametrize("command", ["llen", "info", "evalsha", "brpop", "publish", "lpush"])
def test_whatever_a_brokers_user_may_not_do_the_rest_is_told(
    doctor: Doctor, broker_url: str, command: str
) -> None:
    with without(broker_url, command) as url:
        code, found = doctor(PASSERELLE_BROKER_URL=url)
    assert (code, found["database"], found["Loop's address"]) == (1, None, None)


def test_a_broker_that_says_nothing_is_named_in_time(doctor: Doctor, loop: SimulatorHandle) -> None:
    """It takes connections, and answers none."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        began = time.monotonic()
        code, found = doctor(PASSERELLE_BROKER_URL=f"redis://127.0.0.1:{port}/0")
    assert time.monotonic() - began < 60
    assert (code, bool(found["broker"]), found["Loop's address"]) == (1, True, None)


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "200 OK"])
def test_who_answers_otherwise_than_loop_does_is_noted(doctor: Doctor, status: str) -> None:
    with answering(b'{"detail": "no"}', status) as url:
        done = doctor(PASSERELLE_LOOP_URL=url)[1]
    assert "does not ask for keys" in str(done["Loop's address"])


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        ("404 Not Found", b'{"statusCode":404,"message":"Resource not found"}', "no Loop API"),
        ("200 OK", b"<html>Bienvenue</html>", "A page came"),
        ("302 Found", b"", "leads elsewhere"),
        ("503 Service Unavailable", b"", "Loop is down (HTTP 503)"),
    ],
)
def test_what_is_no_loop_at_its_address_is_named(
    doctor: Doctor, status: str, body: bytes, words: str
) -> None:
    assert doctor()[1]["Loop's address"] is None
    with answering(body, status) as url:
        code, found = doctor(PASSERELLE_LOOP_URL=url)
    assert (code, words in str(found["Loop's address"])) == (1, True)
    assert "Nothing listens" in str(doctor(PASSERELLE_LOOP_URL=url)[1]["Loop's address"])


def test_a_clock_off_against_loops_is_named(doctor: Doctor) -> None:
    date = email.utils.format_datetime(dt.datetime.now(dt.UTC) - dt.timedelta(hours=1), usegmt=True)
    body = b'{"statusCode":401,"message":"Access denied due to missing subscription key."}'
    with answering(body, "401 Unauthorized", f"Date: {date}") as url:
        found = doctor(PASSERELLE_LOOP_URL=url)[1]
    assert found["Loop's address"] is None
    assert str(found["clock and Loop's"]).startswith("They are 360")


def test_a_broker_that_takes_no_writes_is_named(doctor: Doctor, broker_url: str) -> None:
    with Redis.from_url(broker_url) as broker:
        broker.config_set("maxmemory", "1")
        try:
            assert "maxmemory" in str(doctor()[1]["broker takes messages"])
        finally:
            broker.config_set("maxmemory", "0")


def test_what_does_not_answer_is_named_and_the_rest_is_tried(
    doctor: Doctor, broker_url: str
) -> None:
    code, found = doctor(PASSERELLE_DATABASE_URL="postgresql://nobody:pw@127.0.0.1:9/none")
    assert code == 1
    assert found["broker"] is None
    assert "does not answer" in str(found["database"])
    assert "pw" not in str(found)
    dead = broker_url.rpartition(":")[0] + ":9/0"
    code, found = doctor(PASSERELLE_BROKER_URL=dead)
    assert (code, found["database"], found["schema"]) == (1, None, None)
    assert found["broker"]
