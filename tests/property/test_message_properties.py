"""Whatever lies in a queue's list, the worker gets a message, and from it a call."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu import connection, message
from kombu.transport import virtual

from passerelle.runtime import Runtime
from tasks.delivery import Deliver
from tasks.intake import Keep, Submit, SubmitMany
from workers.broker import enveloped
from workers.calls import Call, NoCallError, keeping_call, read_call

# kombu's constructors have no types.
Message: Any = message.Message
BrokerMessage: Any = virtual.Message
Connection: Any = connection.Connection


def _no_runtime() -> Runtime:
    raise AssertionError("reading a message needs no use case")


_TASKS = {task.name: task(_no_runtime) for task in (Submit, SubmitMany, Keep, Deliver)}
_ACCEPT = {"application/json"}
_WORDS = st.sampled_from(
    [*_TASKS, "task", "id", "args", "kwargs", "eta", "expires", "retries", "callbacks", "chord"]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | _WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS, inner, max_size=4),
    max_leaves=8,
)
_BODIES = st.binary(max_size=30) | _VALUES.map(lambda value: json.dumps(value).encode())
_HEADERS = st.dictionaries(_WORDS, _VALUES, max_size=4)
_KEYS = ["body", "content-type", "content-encoding", "headers", "properties"]
_PROPERTIES = ["body_encoding", "delivery_tag", "delivery_info", "priority"]
_ENVELOPES = st.dictionaries(
    st.sampled_from(_KEYS),
    _VALUES
    | st.sampled_from(["application/json", "base64", "utf-8"])
    | st.dictionaries(st.sampled_from(_PROPERTIES), _VALUES | st.just("base64")),
)


@pytest.fixture(scope="module")
def channel() -> Iterator[virtual.Channel]:
    with Connection("memory://") as memory:
        yield memory.channel()


def opened(item: bytes, channel: virtual.Channel) -> Any:
    return BrokerMessage(json.loads(enveloped(item, "intake", channel)), channel=channel)


@given(item=_BODIES | _ENVELOPES.map(lambda value: json.dumps(value).encode()))
def test_any_item_opens_and_can_be_put_back_where_it_was(
    channel: virtual.Channel, item: bytes
) -> None:
    found = opened(item, channel)
    assert isinstance(found.body or b"", bytes)
    assert found.delivery_info == {"exchange": "", "routing_key": "intake"}
    assert not [value for value in found.headers.values() if isinstance(value, (dict, list))]
    assert opened(item, channel).delivery_tag != found.delivery_tag


@given(item=st.binary(max_size=30))
def test_what_is_no_envelope_is_the_body_of_one(channel: virtual.Channel, item: bytes) -> None:
    assert opened(item, channel).body == item


@given(body=st.binary())
def test_the_body_of_a_sound_message_is_left_alone(channel: virtual.Channel, body: bytes) -> None:
    sound = {
        "body": base64.b64encode(body).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": "entries.submit", "id": "7"},
        "properties": {"body_encoding": "base64"},
    }
    found = opened(json.dumps(sound).encode(), channel)
    assert (found.body or b"") == body
    assert found.headers == sound["headers"]
    assert found.content_type == "application/json"


def assert_sound(call: Call) -> None:
    args, kwargs, options = json.loads(call.body)
    assert (type(args), type(kwargs)) == (list, dict)
    assert not options or not any(options.values())
    assert call.headers["task"] in _TASKS
    assert all(isinstance(value, (str, int, type(None))) for value in call.headers.values())
    assert 0 <= call.headers.get("retries", 0) <= 100


@given(_BODIES, _HEADERS, st.sampled_from(["application/json", "application/x-yaml", None]))
def test_any_message_makes_a_sound_call_or_is_kept(
    body: bytes, headers: dict[str, Any], content_type: str | None
) -> None:
    sent = Message(body=body, headers=headers, content_type=content_type, accept=_ACCEPT)
    try:
        call = read_call(sent, _TASKS)
    except NoCallError as error:
        reason = str(error)
        call = keeping_call(sent, reason)
        text, why, task = json.loads(call.body)[0]
        assert call.headers["task"] == Keep.name
        assert (text.encode("latin-1"), task) == (body, str(headers.get("task")))
        assert reason in why
    assert_sound(call)


@given(st.lists(_VALUES, max_size=3), _HEADERS, st.data())
def test_arguments_reach_the_task_as_they_were_sent(
    args: list[Any], kwargs: dict[str, Any], data: st.DataObject
) -> None:
    headers = data.draw(_HEADERS) | {"task": "entries.submit", "id": "x"}
    body: Any = [args, kwargs, data.draw(_HEADERS | st.none())]
    if data.draw(st.booleans()):
        body = data.draw(_HEADERS) | headers | {"args": args, "kwargs": kwargs}
        headers = {}
    sent = Message(
        body=json.dumps(body), headers=headers, content_type="application/json", accept=_ACCEPT
    )
    call = read_call(sent, _TASKS)
    assert_sound(call)
    assert json.dumps(json.loads(call.body)[:2]) == json.dumps([args, kwargs])
