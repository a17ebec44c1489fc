"""Messages in a broker's queues as a hand at the broker sees them, on Redis and on RabbitMQ."""

import contextlib
from collections.abc import Sequence
from urllib.parse import urlsplit

from kombu import Connection
from redis import Redis

from tasks.names import QUEUES


class Messages:
    def __init__(self, url: str) -> None:
        self._url = url
        self._redis = urlsplit(url).scheme == "redis"

    def put(self, queue: str, body: bytes) -> None:
        """What is no call, nor, on Redis, a message."""
        if self._redis:
            with Redis.from_url(self._url) as redis:
                redis.lpush(queue, body)
            return
        with Connection(self._url) as connection:
            # In the default exchange a queue's name leads to it.
            connection.Producer().publish(body, routing_key=queue, exchange="")

    def purge(self, *queues: str) -> None:
        """Of what waits; a queue that nobody has declared yet has nothing."""
        if self._redis:
            with Redis.from_url(self._url) as redis:
                redis.delete(*queues)
            return
        with Connection(self._url) as connection:
            for queue in queues:
                with contextlib.suppress(*connection.channel_errors), connection.channel() as one:
                    one.queue_purge(queue)

    def waiting(self, queues: Sequence[str] = QUEUES) -> int:
        if self._redis:
            with Redis.from_url(self._url) as redis:
                return sum(redis.llen(queue) for queue in queues)
        with Connection(self._url) as connection:
            return sum(self._count(connection, queue) for queue in queues)

    def held(self) -> int:
        """What a worker has. RabbitMQ does not tell, and has it back at once from one that ends."""
        if not self._redis:
            return 0
        with Redis.from_url(self._url) as redis:
            return redis.hlen("unacked")

    def _count(self, connection: Connection, queue: str) -> int:
        """None where nobody has declared it yet."""
        with connection.channel() as channel:
            try:
                return int(channel.queue_declare(queue, passive=True).message_count)
            except connection.channel_errors:
                return 0
