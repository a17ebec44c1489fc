"""Finding an entry in the stand-in for Loop, over the wire: engine rule 10."""

import json
from typing import Any

import pytest
from sqlalchemy import Engine

from passerelle.domain.verdict import Strategy, Verdict
from passerelle.loop_api.client import Loop
from passerelle.store.questions import Question, Seen, take_second_look
from support.events import JsonObject, purchase
from support.simulator import SimulatorHandle
from support.workshop import Workshop

PIECE = 'F "7" && é'


@pytest.fixture
def shop(engine: Engine, loop: SimulatorHandle) -> Workshop:
    made = Workshop(engine, Loop(loop.base_url, send_seconds=10, call_seconds=20))
    made.add_firm()
    return made


def book(shop: Workshop, loop: SimulatorHandle, event: JsonObject) -> Question:
    """A question about the entry once it is in the books."""
    shop.submit(event)
    shop.deliver()
    [row] = shop.rows("SELECT request_id FROM imports")
    loop.ended(row["request_id"])
    shop.execute("UPDATE entries SET read_again_at = now()")
    with shop.engine.begin() as connection:
        question = take_second_look(connection, shop.entry(7)["id"], 60.0)
    assert question is not None
    return question


def lettered(number: int) -> JsonObject:
    event = purchase(number, piece_ref=PIECE)
    entry: dict[str, Any] = json.loads(json.dumps(event["entry"]))
    for line in entry["lines"]:
        line["lettering"] = {"code": "AA", "date": "2026-11-19"}
    return {**event, "entry": entry}


def verdict(seen: object) -> Verdict:
    assert isinstance(seen, Seen)
    return seen.verdict


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize("event", [purchase(7, piece_ref=PIECE), lettered(7)])
@pytest.mark.parametrize("fault", [None, "filter_ignored"])
def test_an_entry_is_found_whatever_of_it_is_lettered(
    shop: Workshop, loop: SimulatorHandle, event: JsonObject, strategy: Strategy, fault: str | None
) -> None:
    if fault is not None:
        loop.set_faults({"fault": fault, "route": "EcritureComptable"})
    question = book(shop, loop, event)
    found = shop.lookup(shop.loop).look(question, question.sent, strategy)
    assert verdict(found) is Verdict.PRESENT


@pytest.mark.parametrize("event", [purchase(7, piece_ref=PIECE), lettered(7)])
@pytest.mark.parametrize("fault", [None, "origin_dropped", "failed_half_of_each_landed", "failed"])
def test_a_trace_is_what_has_landed_in_whatever_way(
    shop: Workshop, loop: SimulatorHandle, event: JsonObject, fault: str | None
) -> None:
    if fault is not None:
        loop.set_faults({"fault": fault})
    question = book(shop, loop, event)
    found = shop.lookup(shop.loop).look_for_trace(question, question.sent)
    assert (verdict(found) is Verdict.ABSENT) == (fault == "failed")
