"""How the worker's broker connection is made."""

from typing import Any

import pytest
from kombu.transport import redis, resolve_transport

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
