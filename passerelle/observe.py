"""Logs: a constant sentence, values as fields; never a body, a label text or a secret."""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog


def links(error: BaseException) -> list[BaseException]:
    """An error and what went wrong before it, the last first."""
    found = [error]
    while (before := found[-1].__cause__ or found[-1].__context__) is not None:
        if before in found:
            break
        found.append(before)
    return found


def trace(error: BaseException) -> list[str]:
    """Where an error came from and of which kind it is, what went wrong first first.

    Without its text and without values: either may hold what an entry says, or a secret.
    """
    lines = []
    for link in reversed(links(error)):
        frames = traceback.extract_tb(link.__traceback__)
        lines += [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
        lines.append(f"{type(link).__module__}.{type(link).__qualname__}")
    return lines


def with_trace(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """In place of a traceback, which shows the error's text."""
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["trace"] = trace(error)
    return event


log: structlog.stdlib.BoundLogger = structlog.get_logger("passerelle")

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure_logs(*, as_text: bool = False) -> None:
    """A JSON object a line on standard output, or text, from us and from the libraries."""
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                with_trace,
                structlog.dev.ConsoleRenderer(colors=False)
                if as_text
                else structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # A sweep every second would drown the rest; Flower shows each task.
    for name in ("celery.app.trace", "celery.beat", "celery.worker.strategy"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Its warnings show whole addresses, of which some are secrets.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
