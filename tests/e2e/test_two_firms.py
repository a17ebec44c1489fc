"""Two firms with the same folder codes and the same entries, at work at the same time.

`make test-firms` runs the other e2e tests with such a twin for each of their firms.
"""

import json

import pytest
from sqlalchemy import text

from support.events import JsonObject, purchase
from support.mirror import DOMAIN, Name, twin_of
from support.servers import Servers
from support.simulator import until
from support.simulator_calls import body
from support.stack import QUICK, Stack, running_stack

PLAIN, LOST, SHUT = FOLDERS = ("PLAIN", "LOST", "SHUT")
ENTRIES = 5


def events(firm: str) -> list[JsonObject]:
    return [
        purchase(number, firm=firm, folder=FOLDERS[number % len(FOLDERS)])
        for number in range(len(FOLDERS) * ENTRIES)
    ]


def test_neither_shows_in_the_other_and_what_stops_one_stops_only_it(
    servers: Servers, template: str
) -> None:
    """Both lose an answer in the same folder; one alone has no access to another."""
    with running_stack(
        servers, template, {"import_ms": 20}, broker_number=4, two_firms=True, **QUICK
    ) as stack:
        assert stack.mirror is not None
        lost = {"fault": "dropped_stored", "route": "importJson", "folder": LOST, "count": 1}
        stack.loop.set_faults(
            lost, lost | {"domain": DOMAIN}, {"fault": "access_refused", "folder": SHUT}
        )
        firm = stack.add_firm(None, *FOLDERS)
        stack.start("beat", "-A", "workers.main", "beat", "-s", str(stack.scratch / "beat"))
        for queue in ("intake", "delivery", "upkeep"):
            stack.start_worker(queue)
        stack.send("entries.submit_many", events(firm))
        stack.until_states(firm, synced=2 * ENTRIES, parked=ENTRIES)
        stack.until_states(twin_of(firm), synced=3 * ENTRIES)
        assert all(rule["fired"] for rule in stack.loop.faults())
        held = stack.rows(
            "SELECT f.code AS firm, d.code AS folder, c.reason FROM cases c "
            "JOIN firms f ON f.id = c.firm_id JOIN folders d ON d.id = c.folder_id"
        )
        assert held == [{"firm": firm, "folder": SHUT, "reason": "access_denied"}]
        # At full speed: nothing was sent twice, or asked about that was answered.
        for folder in (PLAIN, SHUT):
            assert stack.mirror.loop.count("importJson", folder=folder) == 1
            assert stack.mirror.loop.count("EcritureComptable", folder=folder) <= 3
        listed = stack.cli("entry", "list", "--firm", firm, "--json").stdout.splitlines()
        assert [json.loads(line)["firm"] for line in listed] == [firm] * len(FOLDERS) * ENTRIES
        until(lambda: stack.loop.totals()["entries"], lambda found: found == 2 * ENTRIES)
    # The rest is seen at the stack's end, as of every stack with twins.


def leak(servers: Servers, template: str) -> None:
    """Rows that name the twin are found out, and at the end of the stack an entry of the twin's."""
    with running_stack(
        servers, template, {"import_ms": 0}, broker_number=4, two_firms=True
    ) as stack:
        assert stack.mirror is not None
        firm = stack.add_firm(None, PLAIN)
        event = purchase(1, firm=firm, folder=PLAIN)
        stack.take_in([event])
        stack.mirror.check()
        say(stack, firm, twin_of(firm))
        with pytest.raises(AssertionError, match=f"transitions.*{twin_of(firm)}"):
            stack.mirror.check()
        say(stack, firm, "nothing of the twin's")
        stack.mirror.check()
        request = body(folder=PLAIN)
        for line in request["data"]["ecritures"]:
            name = Name(firm, PLAIN, event["entry"]["id"], 1)
            line["ecritureOrigine"] = name.origin(twin_of(firm))
        stack.loop.post(request)
        until(stack.loop.ledger, bool)


def say(stack: Stack, firm: str, message: str) -> None:
    statement = (
        "UPDATE transitions t SET message = :message FROM firms f "
        "WHERE f.id = t.firm_id AND f.code = :firm"
    )
    with stack.engine.begin() as connection:
        connection.execute(text(statement), {"firm": firm, "message": message})


def test_what_shows_in_the_other_is_found_out(servers: Servers, template: str) -> None:
    with pytest.raises(AssertionError, match="in the other's books"):
        leak(servers, template)
