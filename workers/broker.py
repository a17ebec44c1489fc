"""Messages from Redis, in an envelope that kombu can open; and to RabbitMQ, for a bounded time.

On Redis a message is JSON text in a list, and kombu relies on every key of it: an item that lacks
one ends the worker, and is lost because it has left the list by then. RabbitMQ knows no such text.
"""

import base64
import contextlib
import json
import uuid
from collections.abc import Iterator
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, pyamqp, redis
from kombu.transport.virtual import Channel as AnyChannel
from kombu.transport.virtual import Message
from kombu.transport.virtual import QoS as AnyQoS
from kombu.utils.encoding import bytes_to_str
from redis import RedisError

from passerelle.observe import log


def _flat(fields: dict[str, Any]) -> dict[str, Any]:
    """Without what has something in it: nothing that we read, and it may be of any depth."""
    return {name: value for name, value in fields.items() if not isinstance(value, (dict, list))}


def _sound(envelope: dict[str, Any], queue: str) -> dict[str, Any]:
    """An envelope with what we read, and with what makes putting it back possible.

    Raises: any Exception, for an envelope that is none.
    """
    return {
        **_flat(envelope),
        "body": envelope.get("body"),
        "headers": _flat(envelope.get("headers") or {}),
        "properties": {
            "body_encoding": envelope["properties"].get("body_encoding"),
            # Not the sender's, which may be used twice: one acknowledgement would drop two.
            "delivery_tag": str(uuid.uuid4()),
            # Not the sender's, or a message could be put back where nobody looks.
            "delivery_info": {"exchange": "", "routing_key": queue},
        },
    }


def enveloped(item: bytes, queue: str, channel: AnyChannel) -> bytes:
    """The item as found in a queue's list, mended; what is no envelope becomes the body of one."""
    try:
        sound = _sound(json.loads(item), queue)
        # kombu's own opening; a body is bytes by then, or absent.
        memoryview(Message(sound, channel=channel).body or b"")
    # Whatever is wrong with it, it is kept.
    except Exception:  # noqa: BLE001 idem
        properties = {"properties": {"body_encoding": "base64"}}
        sound = _sound(properties, queue) | {"body": base64.b64encode(item).decode("ascii")}
    return json.dumps(sound).encode("ascii")


class _QoS(redis.QoS):
    def append(self, message: Message, delivery_tag: str) -> None:
        try:
            super().append(message, delivery_tag)
        except (RedisError, OSError) as error:
            # A full broker refuses the note, having given the message away, and so on with every
            # other in the queue. Nobody else has it: it is worked on without.
            log.warning("the broker did not note a message", error=type(error).__name__)
            AnyQoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        with self._freeing(delivery_tag):
            super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 kombu's
        with self._freeing(delivery_tag):
            super().reject(delivery_tag, requeue)

    @contextlib.contextmanager
    def _freeing(self, delivery_tag: str) -> Iterator[None]:
        """A message that the broker does not let go of comes back. Its place is free all the same:
        a worker whose every place was held by such ones would take no message any more.
        """
        try:
            yield
        except (RedisError, OSError) as error:
            log.warning("the broker did not let go of a message", error=type(error).__name__)
            AnyQoS.ack(self, delivery_tag)


class _Mending(redis.Channel):
    """A channel of kombu's that never sees an item as it was found, and drops none."""

    QoS = _QoS
    _borrowing: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 kombu's
        if self.connection is None or self.connection.client is None:
            # Closed, since the broker is away; a task that has ended since acknowledges its message
            # here. A worker gets over a connection's error, and would die of an AttributeError.
            raise ConnectionError("The connection to the broker was closed.")
        if asynchronous:
            client = super()._create_client(asynchronous=True)
            client.set_response_callback("BRPOP", self._brpop_answer)
            return client
        # kombu makes one for each command, which takes longer than the command: it borrows its
        # connection from the pool each time anyway.
        if self._borrowing is None or self._borrowing.connection_pool is not self.pool:
            self._borrowing = super()._create_client()
        return self._borrowing

    def _brpop_answer(self, answer: list[bytes] | None, **_: Any) -> tuple[bytes, bytes] | None:
        if not answer:
            return None
        key, item = answer
        queue = bytes_to_str(key).removeprefix(self.global_keyprefix).split(self.sep)[0]
        return key, enveloped(item, queue, self)


class Channel(_Mending):
    pass


class Transport(redis.Transport):
    Channel = Channel


class SentinelChannel(_Mending, redis.SentinelChannel):
    pass


class SentinelTransport(redis.SentinelTransport):
    Channel = SentinelChannel


_CONFIRM_SECONDS = 10.0


class _ConfirmingChannel(pyamqp.Channel):
    def basic_publish_confirm(self, *args: Any, **kwargs: Any) -> Any:
        # A broker that hangs, or takes nothing for want of memory, would hold the sender for ever.
        kwargs["confirm_timeout"] = kwargs.get("confirm_timeout") or _CONFIRM_SECONDS
        connection = self.connection
        try:
            return super().basic_publish_confirm(*args, **kwargs)
        except TimeoutError:
            # Whoever closed it would wait for the answer to that.
            connection.collect()
            raise


class _ConfirmingConnection(pyamqp.Connection):
    Channel = _ConfirmingChannel


class AmqpTransport(pyamqp.Transport):
    Connection = _ConfirmingConnection


class AmqpsTransport(pyamqp.SSLTransport):
    Connection = _ConfirmingConnection


def install() -> None:
    """Have kombu use these wherever a broker's URL says so, in this process."""
    transports = {
        "redis": Transport,
        "rediss": Transport,
        "sentinel": SentinelTransport,
        "amqp": AmqpTransport,
        "pyamqp": AmqpTransport,
        "amqps": AmqpsTransport,
    }
    TRANSPORT_ALIASES.update(
        {scheme: f"{__name__}:{cls.__name__}" for scheme, cls in transports.items()}
    )
