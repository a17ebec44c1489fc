"""Receivers that are down, slow, wrong, gone or forged: nothing is lost, in order, and no flood."""

import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Engine, text

from config.settings import read_table
from passerelle.domain.states import Reason
from passerelle.store import endpoints, sweep
from passerelle.store.outbox_models import Audience
from passerelle.store.vault import Vault
from passerelle.telling import AT_ONCE, Telling
from passerelle.webhook import Webhooks
from support.events import purchase
from support.raw_server import response, serving
from support.receiver import (
    LOOPBACK,
    TAKEN,
    Office,
    Receiver,
    check_order,
    come_and_go,
    receiving,
)
from support.simulator import until
from support.workshop import DiedError, Workshop, all_at_once, background

HOUR = 3600.0


FAULTS: dict[str, bytes | None] = {
    "500": response("500 Internal Server Error", b"<html>"),
    "410": response("410 Gone"),
    "garbage": b"\x00\xff garbage\r\n\r\n",
    "a redirect": response("302 Found", b"", "Location: http://127.0.0.1:1/"),
    "slow": None,
    "nothing": b" ",
}


def test_a_receiver_is_left_alone_for_as_long_as_it_asks(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    hub.answers(response("503 Service Unavailable", b"", "Retry-After: 120"), TAKEN)
    come_and_go(shop, 1)
    told.tell()
    assert 119 <= told.wait() <= 122
    told.tell()
    check_order(hub, 1)


def test_a_receiver_that_is_not_there_is_held(shop: Workshop, office: Office) -> None:
    with receiving() as gone:
        office.subscribe(Audience.OUTCOME, gone.url)
    come_and_go(shop, 1)
    office.tell()
    row = shop.row("SELECT down_since IS NOT NULL AS down, message FROM endpoints")
    assert row == {"down": True, "message": "It refuses connections."}


REFUSALS = {"an error": response("500 Internal Server Error"), "no answer": b" "}


def pack(shop: Workshop) -> None:
    """What waits is a message, whatever its receiver takes."""
    shop.execute("UPDATE outcomes SET at = at - interval '1 minute'")
    [endpoint] = shop.rows("SELECT id FROM endpoints")
    with shop.engine.begin() as connection:
        values = {"id": endpoint["id"], "type": "entries.outcome"}
        connection.execute(endpoints._PACK, values)  # noqa: SLF001 nothing else packs alone


def poison(shop: Workshop) -> None:
    """An outcome that its receiver cannot take, in a message of its own."""
    shop.execute(
        "INSERT INTO outcomes (firm_id, entry_id, state) SELECT id, 'poison', 'missing' FROM firms"
    )
    pack(shop)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_messages_that_their_receiver_cannot_take_hold_up_no_other(
    shop: Workshop, told: Office, hub: Receiver, refusal: str
) -> None:
    broken = threading.Event()
    broken.set()

    def answer(message: dict[str, object]) -> bytes:
        bad = "poison" in str(message)
        return REFUSALS[refusal] if bad and broken.is_set() else TAKEN

    hub.answer = answer
    poison(shop)
    poison(shop)
    come_and_go(shop, 3 * 500)
    for _ in range(12):
        told.tell()
        told.wait()
    assert sorted(one["sequence"] for one in hub.outcomes) == [*range(3, 3 * 500 + 3)]
    # They go on being tried, ever more seldom, and nobody waits for them.
    waits = []
    for _ in range(8):
        told.tell()
        row = shop.row(
            "SELECT extract(epoch FROM min(due_at) - now())::float AS s FROM messages "
            "WHERE told_at IS NULL"
        )
        waits.append(row["s"])
        told.wait()
    assert waits[0] < waits[-1]
    assert waits[-1] > 80_000
    come_and_go(shop, 500)
    told.tell()
    assert len(hub.outcomes) == 4 * 500
    broken.clear()
    # The same address again has them tried at once.
    told.subscribe(Audience.OUTCOME, hub.url)
    told.tell()
    assert sorted(one["sequence"] for one in hub.outcomes) == [*range(1, 4 * 500 + 3)]


def test_a_message_is_not_blamed_for_its_receiver_s_outage(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    hub.answers(response("502 Bad Gateway"))
    for _ in range(20):
        come_and_go(shop, 500)
        told.tell()
        told.wait()
    # Back, but for half of what stands behind one address.
    hub.answers(response("502 Bad Gateway"), TAKEN)
    told.tell()
    assert told.wait() == 0
    told.tell()
    assert sorted(one["sequence"] for one in hub.outcomes) == [*range(1, 20 * 500 + 1)]
    aside = [one for one in hub.received if not one.taken][-1]
    assert aside.id in {one.id for one in hub.taken}


def test_what_asks_to_be_left_alone_is_not_tried_with_another(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    hub.answers(response("429 Too Many Requests", b"", "Retry-After: 999999999"))
    for _ in range(6):
        come_and_go(shop, 500)
        told.tell()
        assert told.wait() <= HOUR + 2
    assert len({one.id for one in hub.received}) == 1
    assert len(hub.received) == 6


def test_a_receiver_that_calls_a_message_too_large_gets_smaller_ones(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    def answer(message: dict[str, list[object]]) -> bytes:
        large = len(message["outcomes"]) > 100
        return response("413 Content Too Large") if large else TAKEN

    hub.answer = answer
    come_and_go(shop, 1_000)
    told.tell()
    check_order(hub, 1_000)
    # It was asked so often to find that out, and no more.
    refused = [len(one.sequences) for one in hub.received if not one.taken]
    assert refused == [500, 250, 125, 125, 250, 125, 125]
    assert hub.received[-1].sequences[-1] == 1_000
    # Of a moment it leaves nothing behind.
    hub.answers(TAKEN)
    come_and_go(shop, 3_000)
    told.tell()
    first, *_, last = [len(one.sequences) for one in hub.taken][-30:]
    assert first < last
    told.subscribe(Audience.OUTCOME, hub.url)
    come_and_go(shop, 500)
    told.tell()
    assert len(hub.taken[-1].sequences) == 500


def test_what_is_too_large_is_halved_wherever_it_stands(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    """Behind others that were packed while the receiver was down, told before, or with numbers that
    were left out since.
    """
    hub.answers(response("500 Internal Server Error"))
    for _ in range(5):
        come_and_go(shop, 20)
        told.tell()
        told.wait()
    hub.answer = lambda message: (
        response("413 Content Too Large") if len(message["outcomes"]) > 5 else TAKEN
    )
    shop.execute("UPDATE endpoints SET last_sequence = last_sequence + 1000")
    for _ in range(5):
        told.tell()
        told.wait()
    before = [one["sequence"] for one in hub.outcomes]
    assert len(before) == 100
    assert before == sorted(before)
    # Told again, the numbers mean what they meant.
    meant = {one["sequence"]: one["entry_id"] for one in hub.outcomes}
    hub.received.clear()
    hub.answer = lambda message: (
        response("413 Content Too Large") if len(message["outcomes"]) > 2 else TAKEN
    )
    told.subscribing.replay(shop.row("SELECT now() - interval '1 day' AS t")["t"], None)
    for _ in range(5):
        told.tell()
        told.wait()
    assert {one["sequence"]: one["entry_id"] for one in hub.outcomes} == meant


def test_a_message_that_is_always_answered_busy_holds_up_the_others_for_a_while_only(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    busy = response("503 Service Unavailable", b"", "Retry-After: 1")
    hub.answer = lambda message: busy if "poison" in str(message) else TAKEN
    poison(shop)
    come_and_go(shop, 500)
    for _ in range(20):
        told.tell()
        told.wait()
    assert [one["sequence"] for one in hub.outcomes] == [*range(2, 502)]


def test_a_message_that_we_cannot_write_holds_up_no_other(
    shop: Workshop, office: Office, people: Receiver
) -> None:
    office.subscribe(Audience.ALERT, people.url)
    shop.submit(purchase(1), purchase(2, folder="OTHER"))
    shop.hold()
    shop.hold(Reason.UNKNOWN_FOLDER, "OTHER")
    # As for a worker that does not know a newer one's reason yet.
    catalogue = {k: v for k, v in read_table("remedies").items() if k != "access_denied"}
    chance = lambda: 0.5  # noqa: E731
    arguments = (office.webhooks, shop.vault, catalogue, chance, shop.stop)
    [endpoint] = shop.rows("SELECT id FROM endpoints")
    Telling(shop.engine, *arguments).tell(endpoint["id"])
    assert [one.body["case"]["reason"] for one in people.taken] == ["unknown_folder"]
    office.wait()
    office.tell()
    assert len(people.taken) == 2


def test_secrets_that_cannot_be_decrypted_are_told_to_operators(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    come_and_go(shop, 500)
    other = Vault([Fernet.generate_key().decode()])
    chance = lambda: 0.5  # noqa: E731
    arguments = (told.webhooks, other, read_table("remedies"), chance, shop.stop)
    [endpoint] = shop.rows("SELECT id FROM endpoints")
    Telling(shop.engine, *arguments).tell(endpoint["id"])
    assert "PASSERELLE_SECRET_KEYS" in shop.row("SELECT message FROM endpoints")["message"]
    told.wait()
    told.tell()
    check_order(hub, 500)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno chunk",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_a_status_is_a_receipt_however_the_answer_ends(
    shop: Workshop, told: Office, hub: Receiver, answer: bytes
) -> None:
    hub.answers(answer)
    come_and_go(shop, 1)
    # The third does not end: it is heard out to the end of its time.
    Office(shop, Webhooks(LOOPBACK, lambda _: True, seconds=5)).tell()
    assert shop.row("SELECT told_at IS NOT NULL AS told FROM messages")["told"]


def test_an_answer_of_the_address_before_does_not_hold_the_new_one(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    with receiving() as new:

        def answer(_: object) -> bytes:
            told.subscribe(Audience.OUTCOME, new.url)
            return response("410 Gone")

        hub.answer = answer
        come_and_go(shop, 1)
        told.tell()
        check_order(new, 1)


@pytest.mark.parametrize("step", ["packed", "sent"])
def test_whoever_dies_on_the_way_it_is_told_under_the_same_name(
    shop: Workshop, told: Office, hub: Receiver, step: str
) -> None:
    def checkpoint(reached: str) -> None:
        if reached == step:
            raise DiedError

    come_and_go(shop, 3)
    with pytest.raises(DiedError):
        Office(shop, checkpoint=checkpoint).tell()
    assert len(hub.received) == (step == "sent")
    told.tell()
    assert len(hub.received) == 1 + (step == "sent")
    assert len({one.id for one in hub.received}) == 1
    assert {tuple(one.sequences) for one in hub.received} == {(1, 2, 3)}


def test_nobody_else_tells_what_is_under_a_lease(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    come_and_go(shop, 3)
    [endpoint] = shop.rows("SELECT id FROM endpoints")
    with shop.engine.begin() as connection:
        assert endpoints.claim(connection, endpoint["id"], uuid.uuid4(), 60)
    told.tell()
    told.telling.tell(endpoint["id"])
    assert hub.received == []
    shop.execute("UPDATE endpoints SET lease_until = now()")
    told.tell()
    check_order(hub, 3)


def test_two_at_once_tell_each_thing_once(shop: Workshop, told: Office, hub: Receiver) -> None:
    come_and_go(shop, 3_000)
    [endpoint] = shop.rows("SELECT id FROM endpoints")
    offices = [Office(shop) for _ in range(4)]
    all_at_once([lambda one=one: one.telling.tell(endpoint["id"]) for one in offices])
    told.tell()
    check_order(hub, 3_000)


def test_slow_receivers_take_a_part_of_the_threads_only(engine: Engine, hub: Receiver) -> None:
    shop = Workshop(engine)
    codes = [f"FIRM{number}" for number in range(AT_ONCE + 1)]
    office = Office(shop, Webhooks(LOOPBACK, lambda _: True, seconds=30))
    for code in codes:
        shop.add_firm(code)
        office.subscribe(Audience.OUTCOME, hub.url, code)
        come_and_go(shop, 500, code)
    hub.answers(None)
    *others, last = [row["id"] for row in shop.rows("SELECT id FROM endpoints ORDER BY id")]
    telling = [background(lambda one=one: office.telling.tell(one)) for one in others]
    until(lambda: len(hub.received), lambda count: count == AT_ONCE)
    start = time.monotonic()
    office.telling.tell(last)
    assert time.monotonic() - start < 10
    assert len(hub.received) == AT_ONCE
    hub.over.set()
    for one in telling:
        one.result(30)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_not_a_byte_goes_to_an_address_that_is_not_allowed(
    shop: Workshop, told: Office, hub: Receiver, scheme: str
) -> None:
    """Whatever was looked up when it was configured: what is connected to is looked up and judged
    together.
    """
    connections: list[object] = []
    with serving(connections.append) as url:
        told.subscribe(Audience.OUTCOME, url.replace("http:", f"{scheme}:"))
        strict = Office(shop, Webhooks([], lambda _: True, seconds=5))
        come_and_go(shop, 1)
        strict.tell()
    assert connections == []
    words = shop.row("SELECT message FROM endpoints")["message"]
    assert "PASSERELLE_WEBHOOK_NETWORKS" in words
    # It is not lost.
    told.subscribe(Audience.OUTCOME, hub.url)
    told.tell()
    check_order(hub, 1)


def test_a_redirect_is_not_followed(shop: Workshop, told: Office, hub: Receiver) -> None:
    with receiving() as elsewhere:
        hub.answers(response("307 Temporary Redirect", b"", f"Location: {elsewhere.url}"))
        come_and_go(shop, 1)
        told.tell()
        assert elsewhere.received == []
    assert len(hub.received) == 1


def test_who_is_told_is_found_without_reading_all_that_was_ever_told(
    shop: Workshop, told: Office
) -> None:
    """A sweep runs every second, over endpoints by the hundred."""
    shop.execute(
        "INSERT INTO firms (code, code_key, webhook_secrets) "
        "SELECT 'F' || n, 'f' || n, '' FROM generate_series(1, 100) n"
    )
    shop.execute(
        "INSERT INTO endpoints (firm_id, audience, url) "
        "SELECT id, audience, '' FROM firms, unnest(ARRAY['outcome', 'alert']) audience "
        "WHERE code LIKE 'F%'"
    )
    told.subscribe(Audience.OUTCOME, "")
    come_and_go(shop, 30_000)
    shop.execute(
        "INSERT INTO messages (firm_id, endpoint_id, type, first_sequence, last_sequence) "
        "SELECT ep.firm_id, ep.id, 'entries.outcome', n, n FROM endpoints ep "
        "JOIN firms f ON f.id = ep.firm_id, generate_series(1, 10000) n "
        "WHERE f.code = 'CABINET42' AND audience = 'outcome'"
    )
    shop.execute("ANALYZE")
    with shop.engine.begin() as connection:
        connection.execute(text("SET LOCAL jit = off"))
        statement = sweep._TELL.text  # noqa: SLF001 how it is planned is what is looked at
        plan = connection.execute(
            text(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"), {"apart": 5, "most": 50}
        ).scalar_one()
    rows = [*rows_read(plan[0]["Plan"])]
    assert sum(rows) < 5_000, rows


def rows_read(plan: dict[str, Any]) -> Iterator[float]:
    """Of each step of a plan that reads a table: rows that it read, kept or not."""
    if "Relation Name" in plan:
        removed = plan.get("Rows Removed by Filter", 0)
        yield (plan["Actual Rows"] + removed) * plan["Actual Loops"]
    for step in plan.get("Plans", ()):
        yield from rows_read(step)
