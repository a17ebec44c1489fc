"""`passerelle doctor` names what is wrong while it lasts, and says what to do."""

import datetime as dt
import json
from collections.abc import Callable

import pytest
import time_machine
from redis import Redis
from sqlalchemy import Engine, text

from support.command import Cli

PAUSED = (
    "INSERT INTO firms (code, code_key, paused_until) VALUES ('A', 'a', now() + interval '1 h')"
)
ANOTHER = (
    "INSERT INTO database_identity (timeline) VALUES ('another') "
    "ON CONFLICT (one) DO UPDATE SET timeline = 'another'"
)
Doctor = Callable[..., tuple[int, dict[str, str | None]]]


@pytest.fixture
def doctor(cli: Cli, broker_url: str) -> Doctor:
    """Runs the command; its exit code and what is wrong by name."""

    def run(**changes: str) -> tuple[int, dict[str, str | None]]:
        done = cli("doctor", "--json", **{"PASSERELLE_BROKER_URL": broker_url} | changes)
        findings = json.loads(done.stdout)
        assert all(finding["remedy"] for finding in findings if not finding["ok"])
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


def test_a_database_that_takes_no_writes_is_named(doctor: Doctor, engine: Engine) -> None:
    name = engine.url.database
    change(engine, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    assert "read-only" in str(doctor()[1]["database"])


def test_a_clock_that_is_off_is_named(doctor: Doctor) -> None:
    with time_machine.travel(dt.datetime.now(dt.UTC) + dt.timedelta(minutes=5), tick=True):
        assert "300 s away" in str(doctor()[1]["clock"])


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
