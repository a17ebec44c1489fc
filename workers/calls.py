"""What a message asks for, read before Celery reads it.

Celery takes a message apart in many places, and most mistakes that a foreign client, or a hand at
the broker, can make end the worker in one of them. So it only sees calls that were made anew.
"""

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kombu.exceptions import ContentDisallowed
from kombu.message import Message
from kombu.serialization import loads
from kombu.utils.json import dumps

from tasks.base import UseCaseTask
from tasks.intake import Keep
from tasks.names import INTAKE, KEEP, QUEUES

_MOST_RETRIES = 100
_SHOWN = 100
_UNSHOWN = "…"
_NAME = re.compile(r"[a-z_]{1,40}(\.[a-z_]{1,40}){1,2}")
_OPTIONS = {"callbacks", "errbacks", "chain", "chord"}


class NoCallError(Exception):
    """The message is no task call; the text says why, and shows nothing of its body."""


class StrangeBellError(NoCallError):
    """It rings for a task of another version of the workers; it carries nothing to be kept."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call in version 2 of Celery's message protocol; `body` is JSON text in UTF-8."""

    headers: dict[str, Any]
    body: bytes | str


def read_call(message: Message, tasks: Mapping[str, UseCaseTask]) -> Call:
    """The call that a message of either protocol makes. What else it asks of Celery is left out:

    `eta`, since it would hold a place in the worker until then, and on Redis be delivered again
    and again; callbacks, chords and time limits, since a message says what has come and not what
    the worker is to do; where it carries data, its expiry too, since it would be lost by it.

    Raises:
        NoCallError, StrangeBellError
    """
    payload, body = _decoded(message), message.body
    headers = dict(message.headers or {})
    if isinstance(payload, dict) and "args" in payload:
        # Version 1: all in the body. Where there are headers besides, they win.
        headers = payload | headers
        payload, body = [payload["args"], payload.get("kwargs", {}), None], None
    match payload:
        case [list(args), dict(kwargs), (dict() | None) as options]:
            pass
        case _:
            raise NoCallError("Its body is not arguments, named arguments and options.")
    name = headers.get("task")
    task = tasks.get(name) if isinstance(name, str) else None
    if task is None:
        error = StrangeBellError if _is_bell(name, message) else NoCallError
        # In logs, too: a name, and not whatever stands in its place.
        shown = repr(name) if isinstance(name, str) and _NAME.fullmatch(name) else "that it gives"
        raise error(f"No task has the name {shown}.")
    retries = headers.get("retries")
    try:
        return Call(
            {
                "task": name,
                "id": _id(headers.get("id")),
                "retries": retries if type(retries) is int and 0 <= retries < _MOST_RETRIES else 0,
                "expires": None if task.carries_data else _moment(headers.get("expires")),
                # What Flower shows; what the sender says there may be the payload.
                "argsrepr": task.shown(args),
                "kwargsrepr": _UNSHOWN if kwargs else "",
            },
            _body(args, kwargs) if body is None or _asks(options) else body,
        )
    except RecursionError as error:
        raise NoCallError("Its arguments are nested too deep.") from error


def keeping_call(message: Message, reason: str) -> Call:
    """The call that keeps a message which is none itself."""
    task = dict(message.headers or {}).get("task")
    return Call(
        {
            "task": KEEP,
            "id": str(uuid.uuid4()),
            "argsrepr": _UNSHOWN,
            "kwargsrepr": _UNSHOWN,
        },
        _body(Keep.arguments(message.body or "", f"This is no task call. {reason}", task), {}),
    )


def _is_bell(task: object, message: Message) -> bool:
    """Whether it came from a queue of bells, for a task that belongs there."""
    queue = (message.delivery_info or {}).get("routing_key")
    return queue in {*QUEUES} - {INTAKE} and str(task).startswith(f"{queue}.")


def _asks(options: dict[str, object] | None) -> bool:
    """Whether these are other options than those of a producer that wants none."""
    return options is not None and bool(options.keys() - _OPTIONS or any(options.values()))


def _body(args: list[Any], kwargs: dict[str, Any]) -> bytes:
    return bytes(dumps([args, kwargs, {}]), "ascii")


def _decoded(message: Message) -> Any:
    try:
        # Not the message's own way, which keeps what it has read: a worker of intake holds dozens
        # of lists of events until it has a process free.
        return loads(
            message.body, message.content_type, message.content_encoding, accept=message.accept
        )
    except ContentDisallowed as error:
        raise NoCallError("Its content type is not application/json.") from error
    # Every decoder raises what it likes.
    except Exception as error:
        raise NoCallError("Its body cannot be decoded.") from error


def _id(given: object) -> str:
    """The sender's, where it is fit for logs; it serves nothing but finding the task there."""
    if isinstance(given, str) and given and given.isascii() and given.isprintable():
        return given[:_SHOWN]
    return str(uuid.uuid4())


def _moment(given: object) -> str | None:
    try:
        return dt.datetime.fromisoformat(str(given)).astimezone(dt.UTC).isoformat()
    except (ValueError, OverflowError):
        return None
