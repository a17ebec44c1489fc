"""What is RabbitMQ's own: the kinds of queues, and hubs that declare them.

Run by `make test-brokers`, once with classic queues and once with quorum queues.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from amqp import Message
from amqp.exceptions import PreconditionFailed
from celery import Celery
from kombu import Connection, Queue

from config.settings import read_settings
from passerelle.cli.broker import Broker
from support.events import purchase
from support.gate import gate_to
from support.messages import Messages
from support.named import vhost_prefix
from support.refused import deliveries, process_ids, until_refused
from support.servers import Servers
from support.simulator import ROOT, until
from support.stack import Stack, running_stack
from support.vhosts import Vhosts, vhost_url
from support.wrong_events import body_of
from tasks.bells import ring_for_folders
from workers.app import make_app

FOLDER = "HUB0000001"
# RabbitMQ 4 drops what comes back more often, unless it is told otherwise.
_OFTEN = 30


@pytest.fixture(scope="module")
def stack(servers: Servers, template: str) -> Iterator[Stack]:
    """With the way from a message to a row alone."""
    with running_stack(servers, template, two_firms=False) as running:
        running.start_worker("intake")
        running.wait_for_worker("intake")
        yield running


@pytest.fixture
def url(servers: Servers) -> Iterator[str]:
    """A vhost in which nothing is declared."""
    with servers.broker(0) as made:
        yield made


def is_quorum(servers: Servers) -> bool:
    return bool(servers.settings)


def settings_for(servers: Servers, url: str) -> dict[str, str]:
    return servers.settings | {"PASSERELLE_BROKER_URL": url}


def of_the_other_kind(servers: Servers, url: str) -> dict[str, str]:
    other = "false" if is_quorum(servers) else "true"
    return {"PASSERELLE_BROKER_URL": url, "PASSERELLE_QUORUM_QUEUES": other}


def declare(settings: dict[str, str]) -> None:
    """All queues, as a worker or beat does when it sends."""
    Broker(read_settings(settings, env_file=False)).queues()


def kinds(url: str) -> set[str]:
    """Of the queues, as far as a client is told."""
    found = set()
    with Connection(url) as connection:
        try:
            with connection.channel() as channel:
                channel.queue_declare(
                    "intake",
                    durable=True,
                    auto_delete=False,
                    arguments={"x-queue-type": "quorum", "x-delivery-limit": 1_000_000_000},
                )
            found.add("quorum")
        except PreconditionFailed:
            found.add("classic")
    return found


def test_queues_are_of_the_kind_that_was_asked_for(servers: Servers, url: str) -> None:
    declare(settings_for(servers, url))
    assert kinds(url) == ({"quorum"} if is_quorum(servers) else {"classic"})


def test_a_hub_that_declares_nothing_is_heard_by_queues_of_either_kind(stack: Stack) -> None:
    """As the README says it."""
    firm = stack.add_firm(None, FOLDER)
    with Celery(broker=stack.env["PASSERELLE_BROKER_URL"], set_as_current=False) as app:
        app.conf.broker_transport_options = {"confirm_publish": True}
        app.send_task(
            "entries.submit",
            args=[purchase(1, firm=firm, folder=FOLDER)],
            queue=Queue("intake", no_declare=True),
        )
    stack.until_states(firm, received=1)


def test_a_hub_that_declares_as_it_is_used_to_is_heard_or_told(
    stack: Stack, servers: Servers
) -> None:
    firm = stack.add_firm(None, FOLDER)
    event = purchase(2, firm=firm, folder=FOLDER)
    with Celery(broker=stack.env["PASSERELLE_BROKER_URL"], set_as_current=False) as app:
        if is_quorum(servers):
            with pytest.raises(PreconditionFailed, match="x-queue-type"):
                app.send_task("entries.submit", args=[event], queue="intake")
            return
        app.send_task("entries.submit", args=[event], queue="intake")
    stack.until_states(firm, received=1)


def test_a_message_that_comes_back_often_is_not_dropped(servers: Servers, url: str) -> None:
    """As while the database is away, when intake puts it back every two seconds."""
    declare(settings_for(servers, url))
    broker = Messages(url)
    broker.put("intake", b"{}")
    with Connection(url) as connection:
        channel = connection.default_channel
        for _ in range(_OFTEN):
            message: Any = until(lambda: channel.basic_get("intake"), bool)
            channel.basic_reject(message.delivery_tag, requeue=True)
    until(broker.waiting, lambda count: count == 1)


def send_raw(url: str, body: bytes, headers: dict[str, Any], **properties: Any) -> None:
    """To the queue of intake, with these headers and properties and no others."""
    with Connection(url) as connection:
        message = Message(body, application_headers=headers, **properties)
        connection.default_channel.basic_publish(message, routing_key="intake")


def test_whatever_comes_is_taken_in_or_kept_and_the_worker_lives(stack: Stack) -> None:
    """RabbitMQ checks less of a message than Celery relies on."""
    url, before, workers = stack.env["PASSERELLE_BROKER_URL"], deliveries(stack), process_ids(stack)
    firm = stack.add_firm(None, FOLDER)
    call = {"task": "entries.submit", "id": "1"}
    json_type = {"content_type": "application/json", "content_encoding": "utf-8"}
    good: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (call, json_type),
        (call | {"eta": "2199-01-01T00:00:00Z", "expires": -7, "timelimit": ["x"]}, json_type),
        (call | {"compression": "no such thing", "id": ["x"]}, json_type),
        (call, {"content_type": "application/json"}),
        (call, {"content_type": "application/json", "content_encoding": "no such code"}),
        (call, json_type | {"priority": 9, "reply_to": "nobody", "expiration": "600000"}),
    ]
    for number, (headers, properties) in enumerate(good):
        event = purchase(100 + number, firm=firm, folder=FOLDER)
        send_raw(url, body_of(event), headers, **properties)
    wrong: list[tuple[bytes, dict[str, Any], dict[str, Any]]] = [
        (b"", {}, {}),
        (b"\xff\x00", call, json_type),
        (b"plain words", call, {}),
        (b"[[], {}, {}, 1]", call, json_type),
        (b"[[1], {}, {}]", {"task": "no.such"}, json_type),
        (b"[[2], {}, {}]", {"task": ["entries.submit"]}, json_type),
        (b"[[3], {}, {}]", call, {"content_type": "application/x-python-serialize"}),
    ]
    for body, headers, properties in wrong:
        send_raw(url, body, headers, **properties)
    stack.until_states(firm, received=len(good))
    until_refused(stack, before, [body for body, _, _ in wrong])
    assert process_ids(stack) == workers
    until(lambda: Messages(url).waiting(["intake"]), lambda count: count == 0)


def test_a_worker_that_finds_queues_of_the_other_kind_says_so_and_ends(
    stack: Stack, servers: Servers, url: str
) -> None:
    declare(of_the_other_kind(servers, url))
    stack.start_worker("intake", name="intake-other", PASSERELLE_BROKER_URL=url)
    assert stack.processes.pop("intake-other").wait(60) == 1
    log = stack.log("intake-other")
    [told] = [line for line in log.splitlines() if "of another kind" in line]
    assert "The queue intake is not as declared" in json.loads(told)["reason"]
    assert "Traceback" not in log


def test_doctor_says_of_queues_of_the_other_kind_what_to_do(
    stack: Stack, servers: Servers, url: str
) -> None:
    declare(of_the_other_kind(servers, url))
    done = subprocess.run(
        [sys.executable, "-m", "passerelle.cli.main", "doctor", "--json"],
        cwd=stack.scratch,
        env=stack.env | {"PASSERELLE_BROKER_URL": url, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    [found] = [one for one in json.loads(done.stdout) if one["name"] == "queues of the broker"]
    assert "The queue intake is not as declared" in found["wrong"]
    assert done.returncode == 1


def test_a_bell_for_a_queue_of_the_other_kind_is_a_bell_that_was_not_rung(
    servers: Servers, url: str
) -> None:
    """What was taken in is in its row: intake does not fail for that."""
    declare(of_the_other_kind(servers, url))
    with make_app(read_settings(settings_for(servers, url), env_file=False)) as app:
        ring_for_folders(app, [1])
    assert Messages(url).waiting() == 0


def test_a_broker_that_hangs_holds_a_sender_for_seconds(servers: Servers, url: str) -> None:
    declare(settings_for(servers, url))
    with gate_to(url) as (gate, through):
        settings = read_settings(settings_for(servers, through), env_file=False)
        with make_app(settings) as app:
            ring_for_folders(app, [1])
            gate.freeze()
            began = time.monotonic()
            ring_for_folders(app, [2])
            took = time.monotonic() - began
            gate.thaw()
            assert took < 30
            ring_for_folders(app, [3])
    # Whether the one that was not confirmed has come is not known.
    until(Messages(url).waiting, lambda count: count in {2, 3})


def test_quorum_queues_that_a_vhost_makes_unasked_are_not_used(
    stack: Stack, servers: Servers
) -> None:
    """RabbitMQ 4 would drop from them what is put back 20 times."""
    maker, name = Vhosts(servers.broker_url), f"{vhost_prefix(servers.run or '')}unasked"
    maker.make(name, kind="quorum")
    try:
        url = vhost_url(servers.broker_url, name)
        stack.start_worker("intake", name="intake-unasked", PASSERELLE_BROKER_URL=url)
        if is_quorum(servers):
            stack.wait_for_worker("intake-unasked")
            stack.stop("intake-unasked")
        else:
            assert stack.processes.pop("intake-unasked").wait(60) == 1
            assert "is a quorum queue, by its vhost's default" in stack.log("intake-unasked")
    finally:
        maker.drop(name)
