"""Messages on the queues that are no task calls: kept whole, acknowledged, and nobody dies."""

import base64
import contextlib
import json
import secrets
import uuid
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from support.events import JsonObject, purchase
from support.refused import deliveries, listed, paths, process_ids, until_refused
from support.simulator import until
from support.stack import Stack
from support.wrong_events import WRONG_BODIES, body_of
from tasks.names import QUEUES

FOLDER = "CALLS00001"


@pytest.fixture
def broker(stack: Stack) -> Iterator[Redis]:
    with Redis.from_url(stack.env["PASSERELLE_BROKER_URL"]) as redis:
        yield redis


@pytest.fixture(autouse=True)
def _same_processes(stack: Stack) -> Iterator[None]:
    before = process_ids(stack)
    yield
    assert process_ids(stack) == before


def call_headers(task: object = "entries.submit", **changes: object) -> JsonObject:
    return {"lang": "js", "task": task, "id": str(uuid.uuid4())} | changes


def envelope(body: bytes, headers: object, **changes: object) -> JsonObject:
    """A message as it stands in a list on Redis."""
    return {
        "body": base64.b64encode(body).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": headers,
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": "intake"},
        },
    } | changes


def event(firm: str) -> JsonObject:
    return purchase(secrets.randbits(60), firm=firm, folder=FOLDER)


def until_empty(broker: Redis) -> None:
    """Until nothing waits, and nothing is held without being acknowledged."""
    with contextlib.suppress(TimeoutError):
        until(lambda: [broker.llen(name) for name in (*QUEUES,)], lambda found: not any(found), 20)
    until(lambda: broker.hlen("unacked"), lambda found: found == 0)
    assert not any(broker.llen(name) for name in QUEUES)


def test_a_body_that_is_no_call_is_kept_under_headers_of_one_and_without(
    stack: Stack, broker: Redis
) -> None:
    before = deliveries(stack)
    bodies = list(WRONG_BODIES.values())
    for body in bodies:
        broker.lpush("intake", json.dumps(envelope(body, call_headers())))
        broker.lpush("intake", json.dumps(envelope(body, {})))
        broker.lpush("intake", body)
    until_refused(stack, before, bodies * 3)
    assert [paths(row) for row in listed(stack, bodies)] == [{""}] * len(bodies)
    until_empty(broker)


def _spoilt(firm: str) -> list[JsonObject]:
    """Messages whose body alone would be a good event."""

    def body() -> bytes:
        return body_of(event(firm))

    v1 = {"task": "entries.submit", "id": "1", "args": [event(firm)], "kwargs": {}}
    return [
        envelope(body(), call_headers("entries.unknown")),
        envelope(body(), call_headers("celery.backend_cleanup")),
        envelope(body(), call_headers(["entries.submit"])),
        envelope(body(), call_headers(None)),
        envelope(body(), call_headers("nul\0 and surrogate \ud800")),
        envelope(body(), {"id": str(uuid.uuid4())}),
        *[
            envelope(body(), call_headers(), **{"content-type": kind})
            for kind in ("application/x-python-serialize", "application/x-yaml", "text/plain")
        ],
        envelope(body(), call_headers(), **{"content-type": None}),
        envelope(body(), call_headers(), **{"content-type": 7}),
        envelope(json.dumps([event(firm), {}, {}]).encode(), call_headers()),
        envelope(json.dumps([[event(firm)], [], {}]).encode(), call_headers()),
        envelope(json.dumps([[event(firm)], {}, "x"]).encode(), call_headers()),
        envelope(json.dumps([[event(firm)], {}]).encode(), call_headers()),
        envelope(json.dumps(v1 | {"task": "x"}).encode(), {}),
        envelope(json.dumps(v1 | {"args": "x"}).encode(), {}),
        envelope(json.dumps(v1 | {"kwargs": 7}).encode(), {}),
    ]


def test_a_call_that_cannot_be_made_is_kept(stack: Stack, broker: Redis) -> None:
    before = deliveries(stack)
    messages = _spoilt(stack.add_firm(None, FOLDER))
    bodies = [base64.b64decode(message["body"]) for message in messages]
    for message in messages:
        broker.lpush("intake", json.dumps(message))
    until_refused(stack, before, bodies)
    assert [paths(row) for row in listed(stack, bodies)] == [{""}] * len(bodies)
    until_empty(broker)


def _no_envelopes() -> list[bytes]:
    good = envelope(b"[[], {}, {}]", call_headers())
    spoilt: list[object] = [
        {key: value for key, value in good.items() if key != "properties"},
        good | {"properties": []},
        good | {"headers": ["task"]},
        good | {"headers": "task"},
        good | {"body": 7},
        good | {"body": ["x"]},
        good | {"body": "x"},
        good | {"properties": good["properties"] | {"body_encoding": "rot13"}},
        good | {"properties": good["properties"] | {"body_encoding": ["base64"]}},
        good | {"properties": {}, "body": "\ud800"},
        [good],
        None,
    ]
    return [
        *[json.dumps(one).encode() for one in spoilt],
        json.dumps(good).encode().replace(b'"js"', b'["x"' + b"[" * 5000 + b"]" * 5000 + b"]"),
        b"plain words",
        b"\xff\x00",
    ]


def test_what_is_not_even_a_message_is_kept_from_every_queue(stack: Stack, broker: Redis) -> None:
    before = deliveries(stack)
    bodies = []
    for queue in QUEUES:
        items = _no_envelopes()
        broker.lpush(queue, *items)
        broker.lpush(queue, json.dumps(envelope(b"null", call_headers("delivery.deliver"))))
        broker.lpush(queue, json.dumps(envelope(b"7", call_headers("nothing.known"))))
        bodies += [*items, b"null", b"7"]
    until_refused(stack, before, bodies)
    assert [paths(row) for row in listed(stack, bodies)] == [{""}] * len(bodies)
    until_empty(broker)


def test_a_bell_of_another_version_is_let_go(stack: Stack, broker: Redis) -> None:
    before = deliveries(stack)
    for queue in QUEUES[1:]:
        call = envelope(b"[[7], {}, {}]", call_headers(f"{queue}.later"))
        broker.lpush(queue, json.dumps(call))
    until_empty(broker)
    assert deliveries(stack) == before


def _odd(firm: str) -> list[tuple[str, JsonObject]]:
    """Queue's list and message, each with a good event: what is wrong is not the event's fault."""

    def odd(headers: object = None, **changes: Any) -> JsonObject:
        return envelope(body_of(event(firm)), headers or call_headers(), **changes)

    def with_options(options: object) -> JsonObject:
        return envelope(json.dumps([[event(firm)], {}, options]).encode(), call_headers())

    def version_1(**changes: object) -> JsonObject:
        call = {"task": "entries.submit", "id": "1", "args": [event(firm)], "kwargs": {}}
        return envelope(json.dumps(call | changes).encode(), {})

    place = {"exchange": "celery", "routing_key": "celery", "redelivered": [1]}
    far = {"eta": "2199-01-01T00:00:00Z", "expires": "2001-01-01T00:00:00Z", "retries": 7}
    messages = [
        odd(call_headers(id=None)),
        odd(call_headers(id=["x"])),
        odd({"task": "entries.submit"}),
        *[
            odd(call_headers(**{name: value}))
            for name in ("eta", "expires", "retries", "timelimit", "shadow", "group", "root_id")
            for value in ("x", -7, 1e300, ["x"], {"a": 1})
        ],
        odd(call_headers(**far)),
        odd(call_headers(timelimit=[0.001, 0.001])),
        odd(call_headers(compression="no such thing")),
        envelope(
            zlib.compress(body_of(event(firm))), call_headers(compression="application/x-gzip")
        ),
        odd(call_headers(stamped_headers=["x"], stamps=7)),
        odd(call_headers(ignore_result=False, reply_to={"a": 1})),
        odd(properties={"body_encoding": "base64"}),
        odd(properties={"body_encoding": "base64", "delivery_tag": 7, "delivery_info": place}),
        odd(properties={"body_encoding": "base64", "priority": float("inf"), "reply_to": [[]]}),
        *[odd(**{"content-encoding": one}) for one in ("binary", "no such code", ["x"], None)],
        envelope(b"", call_headers())
        | {"body": body_of(event(firm)).decode(), "properties": {"delivery_info": None}},
        with_options(None),
        with_options({}),
        with_options({"callbacks": 7, "errbacks": "x", "chord": {"task": "x"}, "chain": [7]}),
        with_options({"callbacks": [{"task": "no.such", "args": [], "options": {}}]}),
        with_options({"args": [], "id": 7, "delivery_info": 7, "retries": "x", "is_eager": True}),
        version_1(),
        version_1(**far, taskset=7, timelimit="x", callbacks=[7], utc="x"),
        # A hybrid: all in the body, and headers besides.
        envelope(
            json.dumps({"args": [event(firm)], "kwargs": {}}).encode(),
            call_headers(),
        ),
    ]
    return [
        *[("intake", message) for message in messages],
        # Where kombu puts a message that has a priority.
        *[(f"intake\x06\x16{priority}", odd()) for priority in (3, 6, 9)],
        # An event is an event, wherever it arrives.
        ("delivery", odd()),
    ]


def test_a_good_event_is_taken_in_whatever_its_message_asks_of_celery(
    stack: Stack, broker: Redis
) -> None:
    before = deliveries(stack)
    firm = stack.add_firm(None, FOLDER)
    messages = _odd(firm)
    for queue, message in messages:
        broker.lpush(queue, json.dumps(message))
    stack.until_states(firm, synced=len(messages))
    assert deliveries(stack) == before
    until_empty(broker)


def test_nesting_of_any_depth_is_kept_and_harms_no_neighbour(stack: Stack, broker: Redis) -> None:
    """Around the depths at which decoders, encoders and picklers give up, each at its own."""
    firm = stack.add_firm(None, FOLDER)
    rows = len(deliveries(stack))
    depths = [300, 600, *range(880, 1040, 10), 10_000, 100_000]

    def deep(depth: int) -> bytes:
        return b'{"%s": %s}' % (secrets.token_hex().encode(), b"[" * depth + b"]" * depth)

    def good() -> bytes:
        return json.dumps(event(firm)).encode()

    for depth in depths:
        many = b", ".join([good(), deep(depth), good()])
        for task, body in (
            ("entries.submit", b"[[%b], {}, {}]" % deep(depth)),
            ("entries.submit_many", b"[[[%b]], {}, {}]" % many),
        ):
            broker.lpush("intake", json.dumps(envelope(body, call_headers(task))))
    stack.until_states(firm, synced=2 * len(depths))
    until(lambda: len(deliveries(stack)), lambda found: found == rows + 2 * len(depths))
    until_empty(broker)
