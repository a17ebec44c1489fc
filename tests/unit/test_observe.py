"""What an error says may be what an entry says, or a secret: logs, events and Flower do without."""

import io
import json
import logging
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from celery import Celery

from passerelle.observe import configure_logs, log
from passerelle.runtime import Runtime
from tasks.base import TaskFailedError, UseCaseTask

WORDS = "Salaire de Mme Dupont"


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What a worker would write on standard output."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    configure_logs()
    out = io.StringIO()
    [handler] = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(out)
    yield out
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()
    # What was set up then is kept by the logger from its first use on; others capture it.
    vars(log).pop("bind", None)


def fail() -> None:
    try:
        int(WORDS)
    except ValueError as error:
        raise KeyError(WORDS) from error


def test_a_trace_has_where_and_what_kind_and_no_text(logged: io.StringIO) -> None:
    try:
        fail()
    except KeyError:
        log.exception("something failed", entry=7)
    line: dict[str, Any] = json.loads(logged.getvalue())
    assert (line["event"], line["entry"], line["level"]) == ("something failed", 7, "error")
    first, *_, last = line["trace"]
    assert first.endswith("in fail")
    assert "builtins.ValueError" in line["trace"]
    assert last == "builtins.KeyError"
    assert WORDS not in logged.getvalue()


def test_logs_can_be_text_for_people(logged: io.StringIO) -> None:
    configure_logs(as_text=True)
    [handler] = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(logged)
    try:
        fail()
    except KeyError:
        log.exception("something failed", entry=7)
    text = logged.getvalue()
    assert "something failed" in text
    assert "entry=7" in text
    assert "builtins.KeyError" in text
    assert WORDS not in text


def test_so_it_is_with_what_libraries_log(logged: io.StringIO) -> None:
    try:
        fail()
    except KeyError:
        logging.getLogger("celery.worker").exception("it failed")
    assert json.loads(logged.getvalue())["trace"][-1] == "builtins.KeyError"
    assert WORDS not in logged.getvalue()


class Failing(UseCaseTask):
    name = "upkeep.failing"

    def run(self) -> None:
        fail()


def _no_runtime() -> Runtime:
    raise AssertionError("it does not come to that")


def test_a_task_that_fails_tells_celery_its_kind_alone(logged: io.StringIO) -> None:
    app = Celery(set_as_current=False)
    with pytest.raises(TaskFailedError) as failed:
        app.register_task(Failing(_no_runtime))()
    assert repr(failed.value) == "TaskFailedError('KeyError')"
    assert WORDS not in "".join(traceback.format_exception(failed.value))
    assert WORDS not in logged.getvalue()
    line = json.loads(logged.getvalue())
    assert (line["event"], line["task"]) == ("a task failed", "upkeep.failing")
    assert any(step.endswith("in fail") for step in line["trace"])
