"""Messages for intake while its processes die, or its database is away."""

import json
import secrets
from collections.abc import Iterator

import psutil
import pytest

from support.deadly import DEADLY
from support.events import JsonObject, purchase, put
from support.messages import Messages
from support.refused import deliveries, until_refused
from support.servers import Servers
from support.simulator import until
from support.stack import Stack, running_stack
from support.wrong_events import body_of

FOLDER = "DEMO000001"


@pytest.fixture(scope="module")
def deadly(servers: Servers, template: str) -> Iterator[Stack]:
    """An intake worker whose pool processes die on a marked event."""
    with running_stack(servers, template, broker_number=3) as stack:
        stack.start_worker("intake", app="support.deadly")
        stack.wait_for_worker("intake")
        yield stack


def event(firm: str) -> JsonObject:
    return purchase(secrets.randbits(60), firm=firm, folder=FOLDER)


def test_an_event_that_kills_its_process_is_kept_and_its_neighbours_are_taken_in(
    deadly: Stack,
) -> None:
    before = deliveries(deadly)
    firm = deadly.add_firm(None, FOLDER)
    killer = put(event(firm), "/entry/lines/0/description", DEADLY)
    worker = deadly.processes["intake"]
    for one in (event(firm), killer, event(firm), event(firm)):
        deadly.send("entries.submit", one)
    deadly.until_states(firm, received=3)
    until_refused(deadly, before, [body_of(killer)])
    assert worker.poll() is None
    until(lambda: len(psutil.Process(worker.pid).children()), lambda found: found == 2)


def test_what_is_wrong_with_one_of_a_group_harms_no_other_of_it(deadly: Stack) -> None:
    before = deliveries(deadly)
    firm = deadly.add_firm(None, FOLDER)
    killer = put(event(firm), "/entry/lines/0/description", DEADLY)
    wrong = put(event(firm), "/entry/date", "yesterday")
    twice = event(firm)
    sent = [*(event(firm) for _ in range(12)), killer, twice, wrong, twice]
    worker = psutil.Process(deadly.processes["intake"].pid)
    logged = deadly.log("intake").count("messages are taken in one by one")
    worker.suspend()
    for one in sent:
        deadly.send("entries.submit", one)
    worker.resume()
    deadly.until_states(firm, received=13)
    until_refused(deadly, before, [body_of(killer), json.dumps(wrong).encode()])
    assert deadly.log("intake").count("messages are taken in one by one") > logged
    broker = Messages(deadly.env["PASSERELLE_BROKER_URL"])
    until(lambda: (broker.waiting(["intake"]), broker.held()), lambda rest: not any(rest))


@pytest.mark.parametrize(
    ("away", "back"),
    [
        ("ALLOW_CONNECTIONS false", "ALLOW_CONNECTIONS true"),
        # As a standby.
        ("SET default_transaction_read_only = on", "RESET default_transaction_read_only"),
    ],
)
def test_while_the_database_is_away_messages_wait_and_none_is_lost(
    deadly: Stack, servers: Servers, away: str, back: str
) -> None:
    before = deliveries(deadly)
    firm = deadly.add_firm(None, FOLDER)
    database_url = deadly.env["PASSERELLE_DATABASE_URL"]
    bodies = [secrets.token_bytes(9) for _ in range(3)]

    broker = Messages(deadly.env["PASSERELLE_BROKER_URL"])
    deadly.engine.dispose()
    rejected = deadly.log("intake").count("Reject")
    servers.alter(database_url, away)
    for body in bodies:
        broker.put("intake", body)
        deadly.send("entries.submit", event(firm))
    until(lambda: deadly.log("intake").count("Reject"), lambda found: found > rejected, 60)
    servers.alter(database_url, back)
    until_refused(deadly, before, bodies)
    deadly.until_states(firm, received=3)
    until(lambda: (broker.waiting(["intake"]), broker.held()), lambda rest: not any(rest))
