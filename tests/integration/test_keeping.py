"""Messages that no task can run on, or that one failed on, and what becomes of them."""

import base64
import json
import os
from collections.abc import Iterator

import pytest
from celery import Celery
from redis import Redis
from sqlalchemy import Engine, select

from config.settings import read_settings
from passerelle.runtime import Runtime
from passerelle.store.deployment import refused_events
from tasks.intake import Keep
from tasks.names import KEEP, SUBMIT, SUBMIT_MANY
from workers.app import make_app

DEEP = b'{"a":' * 9000 + b"1" + b"}" * 9000


@pytest.fixture
def app(database_url: str, broker_url: str) -> Iterator[Celery]:
    environment = {
        "PASSERELLE_DATABASE_URL": database_url,
        "PASSERELLE_BROKER_URL": broker_url,
    }
    settings = read_settings(os.environ | environment)
    runtime = Runtime(settings)
    app = make_app(settings, runtime)
    yield app
    app.close()
    runtime.close()


def keep(app: Celery, body: bytes | str, task: str) -> None:
    app.tasks[KEEP].run(*Keep.arguments(body, "The reason.", task))


def kept(engine: Engine) -> list[bytes]:
    with engine.connect() as connection:
        rows = connection.execute(select(refused_events.c.body, refused_events.c.errors)).all()
    assert all(row.errors == [{"path": "", "message": "The reason."}] for row in rows)
    return [row.body for row in rows]


def sent(broker_url: str) -> list[tuple[str, bytes]]:
    """The task and the text of the one argument of each message on intake's queue, in order."""
    with Redis.from_url(broker_url) as redis:
        messages = [json.loads(item) for item in reversed(redis.lrange("intake", 0, -1))]
    found = []
    for message in messages:
        body = base64.b64decode(message["body"])
        found.append(
            (message["headers"]["task"], body.removeprefix(b"[[").removesuffix(b"], {}, {}]"))
        )
    return found


def test_a_body_that_rabbitmqs_client_has_decoded_is_kept_as_it_was(
    app: Celery, engine: Engine
) -> None:
    keep(app, '{"été": 1}', SUBMIT)
    assert kept(engine) == ['{"été": 1}'.encode()]


def test_a_list_is_sent_again_event_by_event(app: Celery, engine: Engine, broker_url: str) -> None:
    events = [b'{"event_id": 1}', DEEP, b"\xff", b"[]"]
    keep(app, b"[[[%b]], {}, {}]" % b" , ".join(events), SUBMIT_MANY)
    assert sent(broker_url) == [(SUBMIT, event) for event in events]
    assert kept(engine) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[[[]], {}, {}]",
        b"[[[1], [2]], {}, {}]",
        b'[[[1]], {"a": 1}, {}]',
        b"[[[1]], {}]",
        b"[[[1]], {}, {}",
        b"[[%b], {}, {}]" % json.dumps(list(range(1001))).encode(),
        bytes(range(256)),
    ],
)
def test_what_is_no_list_of_events_is_kept_byte_by_byte(
    app: Celery, engine: Engine, broker_url: str, body: bytes
) -> None:
    keep(app, body, SUBMIT_MANY)
    assert kept(engine) == [body]
    assert sent(broker_url) == []


@pytest.mark.parametrize("task", [SUBMIT, "delivery.deliver", "x"])
def test_a_call_of_another_task_is_kept_whole(
    app: Celery, engine: Engine, broker_url: str, task: str
) -> None:
    body = b"[[[%b]], {}, {}]" % DEEP
    keep(app, body, task)
    assert kept(engine) == [body]
    assert sent(broker_url) == []


@pytest.mark.parametrize(
    "arguments", [[], [7], ["\ud800"], ["x", "\0\ud800"], [None] * 4, [[], {}]]
)
def test_whatever_it_is_given_by_hand_it_keeps(
    app: Celery, engine: Engine, arguments: list[object]
) -> None:
    app.tasks[KEEP].run(*arguments, named=1)
    with engine.connect() as connection:
        assert len(connection.execute(select(refused_events)).all()) == 1
