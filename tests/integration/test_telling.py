"""What is told to the hub and to people: all of it, once each in order, whatever the receiver does.

Contract section 8.
"""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from passerelle.domain.states import Reason
from passerelle.reconciliation import Reconciliation
from passerelle.remediation import Remediation
from passerelle.store.outbox_models import Audience
from passerelle.telling import AT_ONCE
from passerelle.webhook import Webhooks
from support.events import purchase, purchase_name
from support.raw_server import response
from support.receiver import LOOPBACK, SECRET, TAKEN, Office, Receiver, receiving
from support.simulator import until
from support.workshop import (
    ACCESS_DENIED,
    FIRM,
    FOLDER,
    REFUSED,
    DiedError,
    Workshop,
    accepted,
    all_at_once,
    background,
)

OUTCOME_KEYS = {
    *("sequence", "folder", "entry_id", "revision", "event_id", "state", "reason", "message"),
    *("remedy", "case_id", "cuts", "at"),
}
HOUR = 3600.0


@pytest.fixture
def hub() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def people() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def office(shop: Workshop) -> Office:
    return Office(shop)


@pytest.fixture
def told(office: Office, hub: Receiver) -> Office:
    """An office with a hub that listens."""
    office.subscribe(Audience.OUTCOME, hub.url)
    return office


def sync(shop: Workshop, *numbers: int) -> None:
    shop.submit(*map(purchase, numbers))
    shop.deliver_all()
    shop.follow_up()
    assert set(shop.states()) == {"synced"}


def come_and_go(shop: Workshop, count: int, firm: str = FIRM) -> None:
    """So many outcomes of entries that never came."""
    shop.execute(
        "INSERT INTO outcomes (firm_id, folder, entry_id, revision, state) "
        "SELECT f.id, 'F', 'e' || n, 1, 'missing' FROM firms f, generate_series(1, :count) n "
        "WHERE f.code = :firm ORDER BY n",
        count=count,
        firm=firm,
    )


def check_order(receiver: Receiver, count: int) -> None:
    """So many outcomes were told, in order, none twice and none left out."""
    assert [one["sequence"] for one in receiver.outcomes] == [*range(1, count + 1)]


def test_each_end_of_an_entry_is_told_with_its_remedy(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    sync(shop, 1)
    shop.told.answers = [REFUSED]
    shop.submit(purchase(2))
    shop.deliver_all()
    shop.submit(purchase(2, revision=2, event_id="2f0c1a4e-0000-0000-0000-000000000022"))
    shop.deliver_all()
    parked = shop.entry(2, 2)
    Remediation(shop.engine).discard(parked["id"], "somebody", "no more")
    shop.submit({**purchase(3), "type": "entry.of_another_kind"})
    Reconciliation(shop.engine).reconcile([purchase_name(9)])
    told.tell()
    [message] = hub.taken
    assert {**message.body, "outcomes": [], "sent_at": ""} == {
        "type": "entries.outcome",
        "sent_at": "",
        "firm": FIRM,
        "outcomes": [],
    }
    assert all(one.keys() == OUTCOME_KEYS for one in hub.outcomes)
    assert [
        (one["entry_id"], one["revision"], one["state"], one["reason"]) for one in hub.outcomes
    ] == [
        ("ach-2026-000001", 1, "synced", None),
        ("ach-2026-000002", 1, "parked", "refused_by_loop"),
        ("ach-2026-000002", 1, "superseded", None),
        ("ach-2026-000002", 2, "parked", "refused_by_loop"),
        ("ach-2026-000002", 2, "discarded", "refused_by_loop"),
        ("ach-2026-000003", 1, "refused", "invalid"),
        ("ach-2026-000009", 1, "missing", None),
    ]
    check_order(hub, 7)
    synced, refused_by_loop, _, again, discarded, refused, missing = hub.outcomes
    assert synced["event_id"] == purchase(1)["event_id"]
    assert synced["cuts"] == shop.entry(1)["cuts"]
    assert synced["remedy"] is None
    assert refused_by_loop["message"] == REFUSED.message
    assert refused_by_loop["remedy"].keys() == {"en", "fr"}
    assert refused_by_loop["case_id"] is not None
    assert again["case_id"] is not None
    assert "no more" in discarded["message"]
    assert (refused["folder"], refused["event_id"]) == (FOLDER, purchase(3)["event_id"])
    assert refused["message"].startswith("/type: ")
    assert "`passerelle intake retry`" in refused["remedy"]["en"]
    assert "Renvoyez-la" in missing["remedy"]["fr"]
    assert b"content-type: application/json" in hub.heads[0].lower()


def test_an_event_that_is_refused_again_is_told_once(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    wrong = purchase(1, lines=[])
    shop.submit(wrong)
    shop.submit(wrong)
    # Nobody can be told of what names no firm, or one that is not known, or what is no event.
    shop.submit({**wrong, "firm": "\x00"}, {**wrong, "firm": "OTHER"}, [], None, {"firm": [FIRM]})
    shop.submit({"firm": FIRM, "folder": "\ud800", "entry": {"id": 7, "revision": 2**70}})
    told.tell()
    first, second = hub.outcomes
    assert first["entry_id"] == "ach-2026-000001"
    assert (second["folder"], second["entry_id"], second["revision"]) == (None, None, None)


def test_outcomes_gather_until_a_message_is_full_or_nothing_comes(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    come_and_go(shop, 1)
    assert shop.sweep().endpoints == ()
    come_and_go(shop, 498)
    assert shop.sweep().endpoints == ()
    come_and_go(shop, 1)
    assert len(shop.sweep().endpoints) == 1
    told.tell()
    assert [len(one.sequences) for one in hub.taken] == [500]
    # What trickles in is told after half a minute at the latest.
    come_and_go(shop, 1)
    shop.execute("UPDATE outcomes SET at = now() - interval '31 s' WHERE sequence IS NULL")
    come_and_go(shop, 1)
    assert len(shop.sweep().endpoints) == 1


def test_ten_thousand_outcomes_are_twenty_messages(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    come_and_go(shop, 10_000)
    told.tell()
    assert len(hub.taken) == 20
    check_order(hub, 10_000)


FAULTS: dict[str, bytes | None] = {
    "500": response("500 Internal Server Error", b"<html>"),
    "410": response("410 Gone"),
    "garbage": b"\x00\xff garbage\r\n\r\n",
    "a redirect": response("302 Found", b"", "Location: http://127.0.0.1:1/"),
    "slow": None,
    "nothing": b" ",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_after_an_hour_of_faults_all_is_told_in_order_and_there_was_no_flood(
    shop: Workshop, told: Office, hub: Receiver, fault: str
) -> None:
    hub.answers(FAULTS[fault])
    hasty = Office(shop, Webhooks(LOOPBACK, lambda _: True, seconds=0.1))
    elapsed, minutes = 0.0, 0
    while elapsed < HOUR:
        come_and_go(shop, 10)
        minutes += 1
        (hasty if fault == "slow" else told).tell()
        elapsed += told.wait()
    assert hub.taken == []
    tried = len(hub.received)
    assert tried <= 100
    if fault == "410":
        assert tried == 1
    hub.answers(TAKEN)
    told.tell()
    check_order(hub, minutes * 10)
    # Two that were tried, and what gathered meanwhile.
    assert len(hub.taken) <= 3
    ids = {one.id for one in hub.received}
    assert len(ids) <= len(hub.taken)
    assert shop.row("SELECT down_since, failures, due_at FROM endpoints") == {
        "down_since": None,
        "failures": 0,
        "due_at": None,
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


def test_a_message_that_its_receiver_cannot_take_holds_up_no_other(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    broken = threading.Event()
    broken.set()

    def answer(message: dict[str, object]) -> bytes:
        bad = "poison" in str(message)
        return response("500 Internal Server Error") if bad and broken.is_set() else TAKEN

    hub.answer = answer
    shop.execute(
        "INSERT INTO outcomes (firm_id, entry_id, state) SELECT id, 'poison', 'missing' FROM firms"
    )
    for _ in range(6):
        told.tell()
        come_and_go(shop, 500)
        told.wait()
    told.tell()
    assert sorted(one["sequence"] for one in hub.outcomes) == [*range(2, 6 * 500 + 2)]
    # It goes on being tried, ever more seldom, and the others do not wait for it.
    before = len(hub.received)
    waits = []
    for _ in range(8):
        waits.append(told.wait())
        row = shop.row(
            "SELECT extract(epoch FROM due_at - now())::float AS s FROM messages "
            "WHERE told_at IS NULL"
        )
        told.tell()
        waits.append(row["s"])
    assert len(hub.received) - before == 8
    come_and_go(shop, 500)
    told.tell()
    broken.clear()
    told.subscribing.replay(shop.row("SELECT min(created_at) AS t FROM messages")["t"], FIRM)
    hub.received.clear()
    told.tell()
    assert sorted(one["sequence"] for one in hub.outcomes) == [*range(1, 7 * 500 + 2)]


@pytest.mark.parametrize("step", ["packed", "sent"])
def test_whoever_dies_on_the_way_it_is_told_under_the_same_name(
    shop: Workshop, told: Office, hub: Receiver, step: str
) -> None:
    def checkpoint(reached: str) -> None:
        if reached == step:
            raise DiedError

    come_and_go(shop, 3)
    with contextlib.suppress(DiedError):
        Office(shop, checkpoint=checkpoint).tell()
    assert len(hub.received) == (step == "sent")
    told.tell()
    assert len(hub.received) == (step == "sent"), "it is under a lease"
    shop.execute("UPDATE endpoints SET lease_until = now()")
    told.tell()
    assert len(hub.received) == 1 + (step == "sent")
    assert len({one.id for one in hub.received}) == 1
    assert {tuple(one.sequences) for one in hub.received} == {(1, 2, 3)}


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


def test_firms_have_numbers_of_their_own_and_one_s_hub_holds_up_no_other(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    shop.add_firm("OTHER")
    with receiving() as other:
        told.subscribe(Audience.OUTCOME, other.url, "OTHER")
        hub.answers(FAULTS["500"])
        come_and_go(shop, 2)
        come_and_go(shop, 3, "OTHER")
        told.tell()
        check_order(other, 3)
        assert {one.body["firm"] for one in other.received} == {"OTHER"}
    assert {one.body["firm"] for one in hub.received} == {FIRM}


def test_what_was_before_is_told_when_it_is_asked_for(
    shop: Workshop, office: Office, hub: Receiver
) -> None:
    sync(shop, 1)
    office.subscribe(Audience.OUTCOME, hub.url)
    shop.submit(purchase(2))
    shop.deliver_all()
    shop.follow_up()
    office.tell()
    assert [one["entry_id"] for one in hub.outcomes] == ["ach-2026-000002"]
    hub.received.clear()
    since = shop.row("SELECT now() - interval '1 day' AS t")["t"]
    done = office.subscribing.replay(since, FIRM)
    assert (done.messages, done.outcomes) == (1, 1)
    office.tell()
    again, first = hub.taken
    assert [one["entry_id"] for one in hub.outcomes] == ["ach-2026-000002", "ach-2026-000001"]
    assert [one["sequence"] for one in hub.outcomes] == [1, 2]
    done = office.subscribing.replay(since, None)
    assert (done.messages, done.outcomes) == (2, 0)
    office.tell()
    assert [one.id for one in hub.taken] == [again.id, first.id, again.id, first.id]
    assert office.subscribing.replay(shop.row("SELECT now() AS t")["t"], None).messages == 0


def test_an_address_that_is_taken_away_and_given_again_loses_nothing(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    come_and_go(shop, 1)
    told.subscribe(Audience.OUTCOME, "")
    told.tell()
    come_and_go(shop, 1)
    told.tell()
    assert hub.received == []
    told.subscribe(Audience.OUTCOME, hub.url)
    told.tell()
    check_order(hub, 2)


def test_a_database_that_went_back_gives_no_number_twice(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    sync(shop, 1)
    told.tell()
    shop.restoring.restore(shop.row("SELECT now() AS t")["t"], "somebody")
    come_and_go(shop, 1)
    told.tell()
    first, second = [one["sequence"] for one in hub.outcomes]
    assert (first, second > 1_000_000) == (1, True)


def test_nothing_is_told_from_a_database_that_went_back(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    sync(shop, 1)
    shop.execute("UPDATE database_identity SET timeline = '00000000'")
    told.tell()
    assert hub.received == []


def test_people_hear_once_of_a_case_however_many_entries_wait(
    shop: Workshop, office: Office, people: Receiver
) -> None:
    office.subscribe(Audience.ALERT, people.url)
    shop.told.answers = [ACCESS_DENIED]
    shop.submit(*map(purchase, range(1, 101)))
    shop.deliver_all()
    office.tell()
    [opened] = people.taken
    assert opened.body.keys() == {"type", "sent_at", "firm", "case"}
    case = opened.body["case"]
    assert case.keys() >= {
        *("id", "scope", "firm", "folder", "reason", "message", "remedy", "held", "state"),
        *("opened_at", "closed_at", "last_probe_at"),
    }
    assert (opened.body["type"], case["held"], case["state"]) == ("case.opened", 100, "open")
    assert case["remedy"].keys() == {"en", "fr"}
    # A day later once more, and then no more.
    for _ in range(2):
        shop.execute("UPDATE cases SET remind_at = remind_at - interval '1 day'")
        office.tell()
    assert people.types == ["case.opened", "case.reminder"]
    shop.told.answers = [accepted()]
    shop.prove()
    shop.execute("UPDATE cases SET probe_at = now()")
    shop.heal()
    office.tell()
    assert people.types == ["case.opened", "case.reminder", "case.healed"]
    assert people.taken[-1].body["case"]["state"] == "healed"
    assert Counter(one.body["case"]["id"] for one in people.taken) == {case["id"]: 3}


def test_a_case_that_a_person_ends_or_that_opens_again_is_told(
    shop: Workshop, office: Office, people: Receiver
) -> None:
    office.subscribe(Audience.ALERT, people.url)
    shop.submit(purchase(1))
    case_id = shop.hold()
    office.tell()
    shop.execute("UPDATE cases SET remind_at = NULL")
    Remediation(shop.engine).release(case_id, "somebody", None)
    office.tell()
    assert people.taken[-1].body["case"]["state"] == "released"
    shop.told.answers = [ACCESS_DENIED]
    shop.deliver_all()
    office.tell()
    assert people.types == ["case.opened", "case.healed", "case.opened"]
    assert {one.body["case"]["id"] for one in people.taken} == {case_id}
    assert shop.row("SELECT remind_at > now() AS again FROM cases")["again"]


def test_whoever_is_named_to_be_told_hears_of_what_is_open(
    shop: Workshop, office: Office, people: Receiver
) -> None:
    shop.submit(purchase(1))
    shop.release(shop.hold(Reason.UNKNOWN_FOLDER))
    shop.hold(Reason.ACCESS_DENIED)
    office.subscribe(Audience.ALERT, people.url)
    office.tell()
    [opened] = people.taken
    assert opened.body["case"]["reason"] == "access_denied"
    # To say it again tells nothing again.
    office.subscribe(Audience.ALERT, people.url)
    office.tell()
    assert len(people.taken) == 1


def test_the_hub_hears_which_folders_are_reached(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    shop.submit(purchase(1, folder="NEW"))
    shop.deliver("NEW")
    case_id = shop.hold()
    told.tell()
    shop.release(case_id)
    told.tell()
    states = [one.body for one in hub.taken if one.body["type"] == "folder.state"]
    assert [(one["folder"], one["state"]) for one in states] == [
        ("NEW", "reachable"),
        (FOLDER, "refused"),
        (FOLDER, "reachable"),
    ]
    refused = states[1]
    assert (refused["reason"], refused["message"]) == ("access_denied", "non")
    assert refused["remedy"].keys() == {"en", "fr"}
    assert all({"sent_at", "firm", "at"} <= one.keys() for one in states)


def test_what_waited_under_one_case_and_waits_under_another_is_told_anew(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    shop.submit(purchase(1))
    shop.hold(Reason.ACCESS_DENIED)
    shop.told.folder = ACCESS_DENIED.__class__(
        ACCESS_DENIED.sort, "Dossier inconnu", 200, reason=Reason.UNKNOWN_FOLDER
    )
    shop.execute("UPDATE cases SET probe_at = now()")
    shop.heal()
    told.tell()
    reasons = [one["reason"] for one in hub.outcomes]
    assert reasons[0] == "access_denied"
    assert len(reasons) == len(shop.rows("SELECT id FROM outcomes"))


class Rebound(Webhooks):
    """Of a name that led elsewhere when it was looked up than it does when it is connected to."""

    def check(self, url: str) -> None:
        pass


@pytest.mark.parametrize("rebound", [False, True])
def test_nothing_is_sent_to_an_address_that_is_not_allowed(
    shop: Workshop, told: Office, hub: Receiver, *, rebound: bool
) -> None:
    kind = Rebound if rebound else Webhooks
    strict = Office(shop, kind([], lambda _: True, seconds=5))
    come_and_go(shop, 1)
    strict.tell()
    assert hub.heads == []
    words = shop.row("SELECT message FROM endpoints")["message"]
    assert "PASSERELLE_WEBHOOK_NETWORKS" in words
    # It is not lost.
    told.wait()
    told.tell()
    check_order(hub, 1)


def test_a_redirect_is_not_followed(shop: Workshop, told: Office, hub: Receiver) -> None:
    with receiving() as elsewhere:
        hub.answers(response("307 Temporary Redirect", b"", f"Location: {elsewhere.url}"))
        come_and_go(shop, 1)
        told.tell()
        assert elsewhere.received == []
    assert len(hub.received) == 1


def test_keys_of_the_vault_are_replaced_with_the_secrets(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    before = shop.row("SELECT webhook_secrets FROM firms")["webhook_secrets"]
    shop.registration.reseal()
    after = shop.row("SELECT webhook_secrets FROM firms")["webhook_secrets"]
    assert before != after
    assert SECRET.encode() not in bytes(after)
    come_and_go(shop, 1)
    told.tell()
    check_order(hub, 1)
