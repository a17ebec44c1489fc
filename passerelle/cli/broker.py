"""The broker as the command line uses it: events in, bells, a look at queues and workers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from celery import Celery
from redis import ResponseError

from config.settings import Settings
from tasks.bells import failures, ring_for_folders
from tasks.names import INTAKE, QUEUES, SUBMIT_MANY
from workers import kinds
from workers.about import ABOUT
from workers.app import make_app

_ANSWER_SECONDS = 0.5
"""How long workers have to answer a ping; each answer starts it anew."""


_ABOUT_SECONDS = 5.0
"""How long those who have answered a ping have to say more; mostly they all do so at once."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Messages that no worker has taken yet, by queue; names of the workers that answer.

    `refuses`: why the broker takes no messages, so that no worker could be asked.
    """

    queues: dict[str, int]
    workers: list[str]
    refuses: str | None = None


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a Redis or Valkey keeps what it was given."""

    policy: str
    max_bytes: int
    log_of_changes: bool

    @property
    def may_forget(self) -> bool:
        return self.max_bytes > 0 and self.policy != "noeviction"


class Broker:
    """Where it does not answer, methods raise kombu's OperationalError after seconds."""

    def __init__(self, settings: Settings) -> None:
        """Raises: SettingsError, where no broker is set."""
        self._app: Celery = make_app(settings)
        self._app.conf.broker_transport_options |= {
            # Somebody waits: a worker tries for longer.
            "max_retries": 1,
            "interval_start": 0,
        }

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What methods may raise besides, where the broker is there and refuses or is cut off."""
        return failures(self._app)

    def submit(self, events: Sequence[object]) -> None:
        """One `entries.submit_many`; the broker has it when this returns."""
        # Else the events would be written out once more, in the header.
        shown = f"[{len(events)} events]"
        self._app.send_task(SUBMIT_MANY, args=[list(events)], queue=INTAKE, argsrepr=shown)

    def ring(self, folders: Collection[int]) -> None:
        """Bells for folders with something to do; where none can be rung, upkeep finds them."""
        ring_for_folders(self._app, folders)

    def queues(self) -> dict[str, int]:
        """How many messages wait in each queue."""
        with self._app.connection_for_write() as connection:
            return self._queues(connection)

    def _queues(self, connection: Any) -> dict[str, int]:
        connection.ensure_connection(max_retries=1, timeout=5)
        with connection.channel() as channel:
            return {
                name: self._app.amqp.queues[name](channel).queue_declare().message_count
                for name in QUEUES
            }

    def check_kinds(self) -> None:
        """See that the queues are of the kind that the settings say. Raises: KindError."""
        with self._app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=5)
            kinds.check(connection, self._app.amqp.queues.values())

    def look(self) -> Traffic:
        with self._app.connection_for_write() as connection:
            queues = self._queues(connection)
            try:
                pongs = self._app.control.ping(timeout=_ANSWER_SECONDS, connection=connection)
            # Redis reads on where its memory is full, or a replica is not there.
            except ResponseError as error:
                return Traffic(queues, [], str(error))
        return Traffic(queues, sorted(name for pong in pongs for name in pong))

    def about(self, workers: Collection[str]) -> dict[str, dict[str, Any]]:
        """What these say of themselves (`workers/about.py`); of a version before, an error."""
        replies = self._app.control.broadcast(
            ABOUT, destination=[*workers], reply=True, timeout=_ABOUT_SECONDS, limit=len(workers)
        )
        return {name: said for reply in replies for name, said in reply.items()}

    def keeping(self) -> Keeping | None:
        """None of RabbitMQ, which writes down what it has, and where INFO is not allowed."""
        with self._app.connection_for_write() as connection:
            if connection.transport.driver_type != "redis":
                return None
            try:
                info = connection.default_channel.client.info()
            except ResponseError:
                return None
        return Keeping(
            info.get("maxmemory_policy", "noeviction"),
            int(info.get("maxmemory", 0)),
            bool(info.get("aof_enabled", 1)),
        )


def ring(settings: Settings, folders: Collection[int]) -> None:
    """Ring where a broker is set."""
    if settings.broker_url is not None and folders:
        Broker(settings).ring(folders)


def look(settings: Settings) -> Traffic | None:
    """None where no broker is in reach."""
    if settings.broker_url is None:
        return None
    broker = Broker(settings)
    try:
        return broker.look()
    except broker.failures:
        return None
