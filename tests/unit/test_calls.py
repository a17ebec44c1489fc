"""What is left of a message's wishes in the call that Celery gets to see."""

import json
import tracemalloc
from typing import Any

import pytest
from kombu import message

from passerelle.runtime import Runtime
from support.events import purchase, purchase_name
from tasks.delivery import Deliver
from tasks.intake import Submit
from workers.calls import NoCallError, StrangeBellError, read_call

# kombu's constructor has no types.
Message: Any = message.Message


def _no_runtime() -> Runtime:
    raise AssertionError("reading a message needs no use case")


TASKS = {task.name: task(_no_runtime) for task in (Submit, Deliver)}


def message_of(
    task: str = "entries.submit", args: object = (), queue: str = "intake", **wishes: object
) -> Any:
    return Message(
        body=json.dumps([args, {}, {}]),
        headers={"task": task, "id": "7"} | wishes,
        content_type="application/json",
        delivery_info={"routing_key": queue},
        accept={"application/json"},
    )


def headers(*args: Any, **wishes: Any) -> dict[str, Any]:
    return read_call(message_of(*args, **wishes), TASKS).headers


def test_a_message_that_waits_for_a_process_holds_its_body_alone() -> None:
    waiting = message_of(args=[[purchase(number) for number in range(100)]])
    tracemalloc.start()
    try:
        read_call(waiting, TASKS)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < len(waiting.body) / 2


def test_a_bell_expires_and_an_event_does_not() -> None:
    moment = "2026-11-20T16:42:07+01:00"
    assert headers("delivery.deliver", expires=moment)["expires"] == "2026-11-20T15:42:07+00:00"
    assert headers("entries.submit", expires=moment)["expires"] is None


@pytest.mark.parametrize("expires", ["soon", 7, ["x"], "9999-12-31T23:59:59-01:00", None, ""])
def test_an_expiry_that_is_no_moment_is_none(expires: object) -> None:
    assert headers("delivery.deliver", expires=expires)["expires"] is None


def test_what_an_event_says_is_not_shown_in_flower() -> None:
    shown = headers(args=["secret"], argsrepr="secret", kwargsrepr="secret", shadow="secret")
    assert "secret" not in json.dumps(shown)


@pytest.mark.parametrize(
    ("args", "shown"),
    [
        ([12], "folder 12"),
        ([[1, 2, 3]], "folder 1, 2, 3"),
        ([[*range(9)]], "folder 0, 1, 2, 3, 4 and 4 more"),
        ([], "folder"),
        ([{"label": "Mme Dupont"}], "folder ?"),
        ([["Mme Dupont", 7]], "folder ?, 7"),
    ],
)
def test_a_bell_shows_what_it_is_about(args: list[object], shown: str) -> None:
    assert headers("delivery.deliver", args=args)["argsrepr"] == shown


@pytest.mark.parametrize(
    ("args", "shown"),
    [
        ([purchase(1)], "1 of CABINET42/DEMO000001"),
        ([[purchase(1), purchase(2, folder="OTHER")]], "2 of CABINET42/DEMO000001 and 1 more"),
        ([purchase_name(1)], "1 of CABINET42/DEMO000001"),
        ([], "0 of nobody"),
        (["Mme Dupont"], "1 of nobody"),
        ([{"firm": "Salaire de Mme Dupont, qui est bien trop long", "folder": ["x"]}], "1 of ?/?"),
        ([[{"firm": "é", "folder": "a\nb"}], "more"], "1 of ?/?"),
    ],
)
def test_events_show_how_many_they_are_and_of_which_folder(args: list[object], shown: str) -> None:
    assert headers(args=args)["argsrepr"] == shown


@pytest.mark.parametrize(("sent", "read"), [(2, 2), (-1, 0), (10**9, 0), ("2", 0), (True, 0)])
def test_tries_are_counted_where_they_are_a_count(sent: object, read: int) -> None:
    assert headers(retries=sent)["retries"] == read


@pytest.mark.parametrize("given", [None, "", 7, ["x"], "a\nb", "é", "\0"])
def test_an_id_that_does_not_fit_a_log_line_is_replaced(given: object) -> None:
    made = headers(id=given)["id"]
    assert made != given
    assert made.isprintable()


def test_a_good_id_is_kept_so_that_the_sender_can_find_it() -> None:
    assert headers(id="hub-731")["id"] == "hub-731"


@pytest.mark.parametrize("name", ["celery.map", "nobody", "entries.submit\n", None, 7, ["x"]])
def test_only_tasks_of_ours_are_called(name: Any) -> None:
    with pytest.raises(NoCallError, match="No task has the name"):
        headers(name)


@pytest.mark.parametrize("queue", ["delivery", "remediation", "referentials", "upkeep"])
def test_a_bell_that_this_version_does_not_know_is_told_from_what_carries_data(queue: str) -> None:
    with pytest.raises(StrangeBellError, match="No task has the name"):
        headers(f"{queue}.later", [12], queue=queue)
    for name, where in (("intake.later", "intake"), (f"{queue}.x", "intake"), ("x.y", queue)):
        with pytest.raises(NoCallError) as caught:
            headers(name, queue=where)
        assert type(caught.value) is NoCallError
