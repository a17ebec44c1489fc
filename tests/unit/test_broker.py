"""How the worker's broker connection is made."""

from typing import Any

import pytest
from kombu.transport import pyamqp, redis, resolve_transport

from workers import broker


@pytest.mark.parametrize(
    ("scheme", "base"),
    [
        ("redis", redis.Channel),
        ("rediss", redis.Channel),
        ("sentinel", redis.SentinelChannel),
    ],
)
def test_every_kind_of_redis_url_is_read_through_mended_envelopes(scheme: str, base: type) -> None:
    broker.install()
    transport: Any = resolve_transport(scheme)
    channel = transport.Channel
    assert issubclass(channel, base)
    assert channel.__module__ == "workers.broker"


@pytest.mark.parametrize(
    ("scheme", "base"),
    [
        ("amqp", pyamqp.Transport),
        ("pyamqp", pyamqp.Transport),
        ("amqps", pyamqp.SSLTransport),
    ],
)
def test_what_is_sent_to_any_rabbitmq_is_waited_for_a_bounded_time(scheme: str, base: type) -> None:
    broker.install()
    transport: Any = resolve_transport(scheme)
    assert issubclass(transport, base)
    assert transport.Connection.Channel.__module__ == "workers.broker"
