"""Every kind of wrong event through a real broker and real workers, alone and in company."""

import json
import secrets
import uuid
from collections import Counter

from support.events import JsonObject, purchase
from support.refused import deliveries, listed, paths, process_ids, until_refused
from support.stack import Stack
from support.wrong_events import WRONG_EVENTS

FOLDER = "WRONG00001"


def event(firm: str) -> JsonObject:
    return purchase(secrets.randbits(60), firm=firm, folder=FOLDER)


def test_each_wrong_event_is_listed_with_its_faults_and_harms_nobody(stack: Stack) -> None:
    before, workers = deliveries(stack), process_ids(stack)
    firm = stack.add_firm(None, FOLDER)
    alone = [kind.spoil(event(firm)) for kind in WRONG_EVENTS]
    between = [kind.spoil(event(firm)) for kind in WRONG_EVENTS]
    for wrong in alone:
        stack.send("entries.submit", wrong)
    for wrong in between:
        stack.send("entries.submit_many", [event(firm), wrong, event(firm)])
    stack.until_states(firm, seconds=90, synced=2 * len(WRONG_EVENTS))
    bodies = [json.dumps(wrong).encode() for wrong in alone + between]
    until_refused(stack, before, bodies)
    told = [paths(row) for row in listed(stack, bodies)]
    for kind, one, other in zip(WRONG_EVENTS, told[: len(alone)], told[len(alone) :], strict=True):
        assert (kind.name, one, other) == (kind.name, kind.paths, kind.paths)
    assert process_ids(stack) == workers


def test_a_wrong_event_delivered_again_is_one_with_a_count(stack: Stack) -> None:
    wrong = {"event_id": str(uuid.uuid4())}
    for _ in range(3):
        stack.send("entries.submit", wrong)
    stack.send("entries.submit_many", [wrong, wrong])
    body = json.dumps(wrong).encode()
    until_refused(stack, Counter(), [body] * 5)
    [row] = listed(stack, [body])
    assert (row["event_id"], row["deliveries"]) == (wrong["event_id"], 5)
