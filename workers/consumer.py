"""The part of a worker that takes messages from the broker."""

from collections.abc import Callable
from typing import Any

from celery.exceptions import WorkerShutdown
from celery.worker import consumer
from celery.worker.request import Request
from kombu.message import Message

from passerelle.observe import log
from tasks.base import UseCaseTask
from tasks.names import INTAKE
from workers import kinds
from workers.calls import Call, NoCallError, StrangeBellError, keeping_call, read_call
from workers.together import GROUP, Together


class Consumer(consumer.Consumer):
    """Hands every message on as a sound call; one that is no call is kept by a task of our own.

    So the database is asked in the pool only, and a message that cannot be kept yet goes back to
    its queue as any other.
    """

    class Blueprint(consumer.Consumer.Blueprint):
        # Nothing of ours is sent for later, and Celery would make 28 queues for that.
        default_steps = tuple(
            step
            for step in consumer.Consumer.Blueprint.default_steps
            if not step.endswith(":DelayedDelivery")
        )

    def __init__(self, on_task_request: Callable[[Request], None], **kwargs: Any) -> None:
        super().__init__(on_task_request, **kwargs)
        # A pool of threads has no such thing, and no queue of ours that carries data.
        acquire = getattr(self.controller, "_quick_acquire", None)
        if acquire is not None and INTAKE in self.app.amqp.queues.consume_from:
            release = self.controller._quick_release  # noqa: SLF001 Celery's own way to the pool
            self.on_task_request = Together(self.pool, acquire, release, on_task_request)
            self.initial_prefetch_count *= GROUP

    def on_close(self) -> None:
        """Called by Celery when the connection is lost. It lets go of all that waits, which the
        broker would give out anew once the visibility timeout is over, if it has it still.
        """
        super().on_close()
        if isinstance(self.on_task_request, Together):
            self.on_task_request.wait_again()

    def update_strategies(self) -> None:
        """Called by Celery before it asks for messages, whenever it has a connection."""
        super().update_strategies()
        try:
            kinds.check(self.connection, self.app.amqp.queues.consume_from.values())
        except kinds.KindError as error:
            log.error("a queue is of another kind", reason=str(error), remedy=kinds.REMEDY)
            raise WorkerShutdown(1) from error

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Message], None]:
        received = super().create_task_handler(*args, **kwargs)
        tasks = {
            name: task for name, task in self.app.tasks.items() if isinstance(task, UseCaseTask)
        }

        def receive(message: Message) -> None:
            try:
                call = read_call(message, tasks)
            except StrangeBellError as error:
                # Its row is there: upkeep rings until somebody hears it who knows it.
                log.warning("a bell is let go", reason=str(error))
                message.ack()
                return
            except NoCallError as error:
                log.warning("a message is no task call; it is kept", reason=str(error))
                call = keeping_call(message, str(error))
            received(_with(message, call))

        return receive

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """For a message whose compression cannot be undone: it is read as it is."""
        log.warning("a message cannot be decompressed", error=type(exc).__name__)
        self.task_consumer.on_message(message)


def _with(message: Message, call: Call) -> Message:
    """The same delivery, to be acknowledged as such, with another content."""
    return Message(
        body=call.body,
        headers=call.headers,
        content_type="application/json",
        content_encoding="utf-8",
        channel=message.channel,
        delivery_tag=message.delivery_tag,
        delivery_info=message.delivery_info,
        accept=message.accept,
    )
