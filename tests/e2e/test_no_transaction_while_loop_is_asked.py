"""Loop is asked by threads that hold nothing in the database.

Every stack of the e2e tests is watched for this, and fails at its end where it was not so. Here it
is shown that the watch sees all requests, and sees a violation; a twin's would be counted too.
"""

import uuid

import pytest
from sqlalchemy import text

from support.events import JsonObject, purchase
from support.servers import Servers
from support.simulator import until
from support.stack import QUICK, running_stack
from support.watch import Violation

FOLDER = "WATCHED"
SCENARIO = {"import_ms": 20}


def event(firm: str, number: int = 1) -> JsonObject:
    return purchase(number, firm=firm, folder=FOLDER, event_id=str(uuid.uuid4()))


def post_inside_a_transaction(servers: Servers, template: str, found: list[Violation]) -> None:
    # A call may take as long as it does in production: none ends before it was looked at.
    with running_stack(servers, template, SCENARIO, broker_number=8, two_firms=False) as stack:
        firm = stack.add_firm(None, FOLDER)
        [folder_id] = stack.take_in([event(firm)]).folders
        stack.app.send_task("delivery.deliver", args=[folder_id], queue="delivery")
        stack.start_worker("delivery", "e2e.violating_worker")
        # What was held goes on, so that one run shows all that is wrong.
        until(lambda: stack.states(firm)["posted"], bool, 120)
        found += stack.watch.violations


def test_a_worker_that_asks_inside_a_transaction_makes_its_stack_fail(
    servers: Servers, template: str
) -> None:
    found: list[Violation] = []
    with pytest.raises(AssertionError, match="asked while a transaction was open") as failure:
        post_inside_a_transaction(servers, template, found)
    [violation] = found
    assert violation.request.startswith("POST /loop-api-publiques/importJson ")
    assert violation.query == "UPDATE firms SET code = code"
    assert "firms RowExclusiveLock" in violation.locks
    assert str(violation) in str(failure.value)


def test_whatever_is_asked_of_loop_is_watched(servers: Servers, template: str) -> None:
    with running_stack(
        servers, template, SCENARIO, broker_number=8, two_firms=False, **QUICK
    ) as stack:
        firm = stack.add_firm(None, FOLDER)
        stack.start("beat", "-A", "workers.main", "beat", "-s", str(stack.scratch / "beat"))
        for queue in ("upkeep", "delivery"):
            stack.start_worker(queue)
        for queue in ("upkeep", "delivery"):
            stack.wait_for_worker(queue)
        # Another process may wait in a transaction for as long as it likes.
        with stack.engine.connect() as connection:
            connection.execute(text("SELECT FROM firms FOR KEY SHARE"))
            stack.take_in([event(firm, 1)])
            stack.until_states(firm, synced=1)
        stack.loop.set_faults({"fault": "dropped_stored", "route": "importJson", "count": 1})
        stack.take_in([event(firm, 2)])
        stack.until_states(firm, 120, synced=2)
        watched = stack.watch.requests
        for route in ("importJson", "getImportStatus", "EcritureComptable"):
            assert watched[route] > 0
            # Loop counts a request when it has answered.
            until(lambda route=route: stack.loop.count(route), watched[route].__eq__)
        assert stack.watch.violations == []
