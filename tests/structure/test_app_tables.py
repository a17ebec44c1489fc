"""Queues, routes, beat's table and the TOML tables: names that must agree with one another."""

import re
from collections.abc import Iterator
from dataclasses import fields

import pytest
from celery import Celery
from kombu.entity import Queue

from config.settings import Settings, read_settings, read_table
from passerelle.domain.limits import Limits
from passerelle.runtime import Runtime
from support.simulator import ROOT
from tasks import names
from workers.app import make_app
from workers.queues import CONSUMERS

# As the contract has them.
QUEUES = ("intake", "delivery", "remediation", "referentials", "upkeep")
CONTRACT_TASKS = dict.fromkeys(
    ("entries.submit", "entries.submit_many", "entries.reconcile"), "intake"
)


@pytest.fixture
def settings() -> Settings:
    return read_settings({"PASSERELLE_BROKER_URL": "redis://127.0.0.1:1/0"}, env_file=False)


@pytest.fixture
def app(settings: Settings) -> Iterator[Celery]:
    with make_app(settings) as made:
        yield made


def registered(app: Celery) -> set[str]:
    return {name for name in app.tasks if not name.startswith("celery.")}


def queues(app: Celery) -> Iterator[Queue]:
    yield from app.amqp.queues.values()


def queue_of(app: Celery, name: str) -> str:
    return str(app.amqp.router.route({}, name)["queue"].name)


def test_the_queues_are_those_of_the_contract() -> None:
    assert names.QUEUES == QUEUES


def test_every_queue_is_declared_and_consumed_by_one_worker(app: Celery) -> None:
    assert set(app.amqp.queues) == set(QUEUES)
    assert sorted(consumer.queue for consumer in CONSUMERS) == sorted(QUEUES)


def test_what_is_published_for_one_queue_comes_out_of_no_other(app: Celery) -> None:
    bindings = {queue.name: (queue.exchange.name, queue.routing_key) for queue in queues(app)}
    assert bindings == {name: (name, name) for name in QUEUES}


def test_queues_are_declared_as_plain_hubs_declare_them_unless_otherwise_asked(app: Celery) -> None:
    assert {queue.queue_arguments for queue in queues(app)} == {None}


def test_quorum_queues_let_go_of_nothing_that_comes_back() -> None:
    environ = {"PASSERELLE_BROKER_URL": "amqp://h", "PASSERELLE_QUORUM_QUEUES": "true"}
    with make_app(read_settings(environ, env_file=False)) as app:
        for queue in queues(app):
            kind, limit = queue.queue_arguments.values()
            # Every two seconds, for ten years; RabbitMQ 3 takes -1 for none at all.
            assert (kind, limit > 10 * 365 * 86_400 / 2) == ("quorum", True)


def test_the_tasks_of_the_contract_are_there_and_go_where_it_says(app: Celery) -> None:
    assert {name: queue_of(app, name) for name in CONTRACT_TASKS} == CONTRACT_TASKS
    assert registered(app) >= CONTRACT_TASKS.keys()


def test_every_named_task_is_registered_and_every_registered_task_is_named(app: Celery) -> None:
    named = {value for key, value in vars(names).items() if key.isupper() and "." in value}
    assert registered(app) == named


def test_a_task_goes_to_the_queue_that_its_name_begins_with(app: Celery) -> None:
    for name in registered(app) - CONTRACT_TASKS.keys():
        assert queue_of(app, name) == name.partition(".")[0]


def test_only_json_is_accepted(app: Celery) -> None:
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_serializer == "json"


def test_beat_runs_tasks_that_exist_and_does_not_pile_them_up(app: Celery) -> None:
    schedule = app.conf.beat_schedule
    assert {entry["task"] for entry in schedule.values()} <= registered(app)
    assert all(entry["options"]["expires"] > 0 for entry in schedule.values())


def test_every_job_of_the_table_of_schedules_is_in_beats(app: Celery) -> None:
    table = read_table("schedules")
    assert table.keys() == {"jobs", "night"}
    assert {
        entry["task"]: entry["schedule"].seconds for entry in app.conf.beat_schedule.values()
    } == table["jobs"]


def test_every_limit_of_the_table_is_obeyed(settings: Settings) -> None:
    table = read_table("limits")
    assert table.keys() == {"fields"}
    obeyed = {field.name: getattr(Runtime(settings).limits, field.name) for field in fields(Limits)}
    assert table["fields"].items() <= obeyed.items()


def test_every_table_is_read() -> None:
    source = "".join(
        path.read_text(encoding="utf-8")
        for room in ("passerelle", "workers")
        for path in (ROOT / room).rglob("*.py")
    )
    read = set(re.findall(r"read_table\(\"(\w+)\"\)", source))
    assert read == {path.stem for path in (ROOT / "config").glob("*.toml")}


@pytest.mark.parametrize("told", [True, False])
def test_flower_is_told_of_tasks_unless_that_is_turned_off(*, told: bool) -> None:
    given = {
        "PASSERELLE_BROKER_URL": "redis://127.0.0.1:1/0",
        "PASSERELLE_TASK_EVENTS": str(told).lower(),
    }
    with make_app(read_settings(given, env_file=False)) as made:
        assert made.conf.worker_send_task_events is told
