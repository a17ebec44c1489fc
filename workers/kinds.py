"""Of which kind the queues are on RabbitMQ: classic ones, or quorum queues of copies that agree."""

from collections.abc import Iterable
from typing import Any

from amqp.exceptions import PreconditionFailed

from config.settings import Settings

_QUORUM = {"x-queue-type": "quorum"}
# Intake puts a message back every two seconds while the database is away, and RabbitMQ 4 drops what
# was put back 20 times. As high as makes it endless: -1 would, but RabbitMQ 3 takes it for none.
_PATIENT = {"x-delivery-limit": 1_000_000_000}

REMEDY = "Drain the queue, delete it and start again: docs/install.md, RabbitMQ."


class KindError(Exception):
    """A queue is of another kind than the settings say; the text names it."""


def arguments(settings: Settings) -> dict[str, Any] | None:
    """With which a queue is declared; None for what every client declares that says nothing."""
    return _QUORUM | _PATIENT if settings.quorum_queues else None


def check(connection: Any, queues: Iterable[Any]) -> None:
    """Declare kombu's `queues` where they are not there yet, and see that they are as declared.

    A vhost may make quorum queues of what is declared without a kind. Such a queue would drop what
    is put back too often.

    Raises:
        KindError
    """
    if not _is_rabbitmq(connection):
        return
    for queue in queues:
        try:
            with connection.channel() as channel:
                queue(channel).declare()
        except PreconditionFailed as error:
            raise KindError(f"The queue {queue.name} is not as declared: {error}") from error
        if not queue.queue_arguments and _is_quorum(connection, queue.name):
            raise KindError(
                f"The queue {queue.name} is a quorum queue, by its vhost's default, and "
                "PASSERELLE_QUORUM_QUEUES is not set: it would drop what is put back often."
            )


def _is_rabbitmq(connection: Any) -> bool:
    """Not another broker of its protocol, which may not know of kinds."""
    return bool(
        connection.transport.driver_type == "amqp"
        and connection.connection.server_properties.get("product") == "RabbitMQ"
    )


def _is_quorum(connection: Any, name: str) -> bool:
    """Whether it agrees to be one, which is all that a client is told of a queue's kind."""
    try:
        with connection.channel() as channel:
            channel.queue_declare(name, durable=True, auto_delete=False, arguments=_QUORUM)
    except PreconditionFailed:
        return False
    return True
