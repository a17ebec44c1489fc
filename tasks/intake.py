"""Events from the hub, and lists of them: the only messages that carry data."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from celery import Celery
from celery.exceptions import Reject
from sqlalchemy.exc import SQLAlchemyError

from passerelle.domain.json_array import elements
from passerelle.intake import MANY, TakenIn
from passerelle.reconciliation import Reconciled
from passerelle.store.arrivals import encode
from tasks.base import UseCaseTask
from tasks.bells import failures, ring_for_folders
from tasks.names import INTAKE, KEEP, RECONCILE, SUBMIT, SUBMIT_MANY

_AWAY_SECONDS = 2.0


@contextmanager
def requeued_at(*errors: type[Exception]) -> Iterator[None]:
    """Put the message back: the database is away, or not migrated yet, or the broker is away."""
    try:
        yield
    except errors as error:
        # The pause keeps the message from going round and round.
        time.sleep(_AWAY_SECONDS)
        raise Reject(type(error).__name__, requeue=True) from error


def ring_and_tell(app: Celery, done: TakenIn) -> dict[str, int]:
    """Ring for what was taken in; what became of it, for Flower."""
    ring_for_folders(app, done.folders)
    return {"new": done.new, "known": done.known, "refused": done.refused}


class _IntakeTask(UseCaseTask):
    abstract = True
    carries_data = True
    # What fails for good is kept as a refused event, by this class.
    Request = "tasks.request:Request"
    acks_on_failure = False
    # Three processes that died under a message are enough.
    max_retries = 2

    def shown(self, args: list[Any]) -> str:
        """How many, and of which folder: nothing that an event holds besides."""
        events = args[0] if args and isinstance(args[0], list) else args
        places = {
            f"{_code(one.get('firm'))}/{_code(one.get('folder'))}"
            for one in events
            if isinstance(one, dict)
        }
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        return f"{len(events)} of {min(places, default='nobody')}{more}"

    def run(self, *args: Any, **kwargs: Any) -> dict[str, int]:
        """Take in what came; acknowledged after the commit (late acknowledgement)."""
        with requeued_at(SQLAlchemyError):
            done = self.take_in(args, kwargs)
        if isinstance(done, Reconciled):
            return asdict(done)
        return ring_and_tell(self.app, done)

    def take_in(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> TakenIn | Reconciled:
        intake = self.runtime().intake
        if len(args) != 1 or kwargs:
            return intake.refuse(
                encode([args, kwargs]), f"{self.name} takes one argument, and no named ones."
            )
        return self.take_in_one(args[0])

    def take_in_one(self, argument: Any) -> TakenIn | Reconciled:
        raise NotImplementedError


_CODE_SHOWN = 40


def _code(value: object) -> str:
    """A code of the hub's; anything else may be a payload."""
    is_code = isinstance(value, str) and len(value) <= _CODE_SHOWN and value.isascii()
    return str(value) if is_code and str(value).isprintable() else "?"


class Submit(_IntakeTask):
    name = SUBMIT

    def take_in_one(self, argument: Any) -> TakenIn:
        return self.runtime().intake.take_in([argument])


class SubmitMany(_IntakeTask):
    name = SUBMIT_MANY

    def take_in_one(self, argument: Any) -> TakenIn:
        return self.runtime().intake.take_in_many(argument)


class Reconcile(_IntakeTask):
    name = RECONCILE

    def take_in_one(self, argument: Any) -> Reconciled:
        return self.runtime().reconciliation.reconcile(argument)


class Keep(UseCaseTask):
    """Keeps a message that no task can run on, or that one failed on, as a refused event.

    A list of events is sent again one by one instead: what is wrong with one is its own affair.
    """

    name = KEEP
    carries_data = True

    def shown(self, args: list[Any]) -> str:  # noqa: ARG002 the base's
        return "a message"

    # There is nobody else to keep it: never given up.
    max_retries = None

    @staticmethod
    def arguments(body: bytes | str, reason: str, task: object) -> list[str]:
        """What `run` takes. The body as one character a byte, since JSON has no bytes."""
        # RabbitMQ's client decodes what tells its encoding.
        raw = body if isinstance(body, bytes) else str(body).encode()
        return [raw.decode("latin-1"), reason, str(task)]

    def run(self, *args: Any, **_: Any) -> None:
        # Whatever a hand at the broker gives it: it has nobody to turn to.
        text, reason, task = map(str, (*args, "", "", "")[:3])
        body = text.encode("latin-1", "backslashreplace")
        events = _events(body) if task == SUBMIT_MANY else None
        with requeued_at(SQLAlchemyError, *failures(self.app)):
            if events:
                self._submit(events)
            else:
                # PostgreSQL's jsonb does not take every character.
                self.runtime().intake.refuse(body, "".join(filter(str.isprintable, reason)))

    def _submit(self, events: list[bytes]) -> None:
        with self.app.producer_or_acquire() as producer:
            for event in events:
                producer.publish(
                    b"[[%b], {}, {}]" % event,
                    routing_key=INTAKE,
                    headers={"task": SUBMIT, "id": str(uuid.uuid4())},
                    content_type="application/json",
                    content_encoding="utf-8",
                )


def _events(body: bytes) -> list[bytes] | None:
    """The texts of the events in the body of a call of `entries.submit_many`, if it is one."""
    match elements(body):
        case [arguments, b"{}", _]:
            match elements(arguments):
                case [events]:
                    found = elements(events)
                    return found if found and len(found) <= MANY else None
    return None
