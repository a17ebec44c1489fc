"""Loop cannot fetch a document: what becomes of its entry, with the stand-in over the wire."""

import uuid
from collections import Counter

import pytest
from sqlalchemy import Engine

from passerelle.loop_api.client import Loop
from passerelle.remediation import Remediation
from support.events import JsonObject, drop, purchase
from support.simulator import SimulatorHandle
from support.simulator_calls import landed
from support.workshop import Workshop

WITH, WITHOUT = 1, 2
WORDS = "le fichier joint n'a pas pu être récupéré"


@pytest.fixture
def shop(engine: Engine, loop: SimulatorHandle) -> Workshop:
    """An entry is in Loop already: without a control absence is not believed."""
    made = Workshop(engine, Loop(loop.base_url, send_seconds=10, call_seconds=20))
    made.add_firm()
    made.submit(linked(9))
    rounds(made, loop)
    assert made.states() == {"synced": 1}
    return made


def linked(number: int) -> JsonObject:
    """An entry with a link that does not say when it expires."""
    event = purchase(number, event_id=str(uuid.uuid4()))
    event["entry"]["attachment"] = {"url": f"https://files.example.com/{number}.pdf"}
    return event


def rounds(shop: Workshop, loop: SimulatorHandle) -> None:
    """Until nothing moves any more; every gap is over at once."""
    before = None
    while shop.states() != before:
        before = shop.states()
        shop.time_passes()
        shop.deliver_all()
        landed(loop)
        shop.follow_up()
        shop.execute("UPDATE imports SET ended_at = ended_at - interval '61 s' WHERE status = 4")
        shop.ask()


def refuse(shop: Workshop, loop: SimulatorHandle, fault: str, **rule: int) -> None:
    """What becomes of an entry with a document and one without, sent together."""
    loop.set_faults({"fault": fault, **rule})
    shop.submit(linked(WITH), drop(linked(WITHOUT), "/entry/attachment"))
    rounds(shop, loop)


def assert_booked_once(loop: SimulatorHandle, entries: int) -> None:
    origins = Counter(entry["origin"] for entry in loop.ledger())
    assert (len(origins), set(origins.values())) == (entries, {1})


def test_what_landed_before_its_document_was_refused_is_found_and_synced(
    shop: Workshop, loop: SimulatorHandle
) -> None:
    refuse(shop, loop, "attachment_refused_after")
    assert shop.states() == {"synced": 3}
    assert_booked_once(loop, 3)
    assert loop.count("importJson") == 2
    assert loop.count("EcritureComptable") >= 2


def test_what_did_not_land_is_sent_again_in_halves(shop: Workshop, loop: SimulatorHandle) -> None:
    refuse(shop, loop, "attachment_refused", count=1)
    assert shop.states() == {"synced": 3}
    assert_booked_once(loop, 3)
    # Of both it was seen before that they are not there.
    assert loop.count("importJson") == 4
    absent = shop.rows("SELECT entry FROM questions WHERE verdict = 'absent'")
    assert len(absent) == 2


def test_what_stays_refused_is_parked_with_loops_words_and_goes_without(
    shop: Workshop, loop: SimulatorHandle
) -> None:
    refuse(shop, loop, "attachment_refused")
    assert shop.states() == {"synced": 2, "parked": 1}
    row = shop.entry(WITH)
    assert row["reason"] == "refused_by_loop"
    assert WORDS in row["message"]
    Remediation(shop.engine).retry(row["id"], "somebody", without_attachment=True)
    rounds(shop, loop)
    assert shop.states() == {"synced": 3}
    assert_booked_once(loop, 3)
    [booked] = [entry for entry in loop.ledger() if entry["piece_ref"] == f"FA-2026-{WITH}"]
    assert not any("fichier" in line for line in booked["lines"])
