"""What is told to the hub and to people: all of it, once each in order, whatever the receiver does.

Contract section 8.
"""

from collections import Counter

import pytest

from passerelle.domain.states import Reason
from passerelle.reconciliation import Reconciliation
from passerelle.remediation import Remediation
from passerelle.restoring import RestoringError
from passerelle.store.outbox_models import Audience
from support.events import purchase, purchase_name
from support.raw_server import response
from support.receiver import (
    TAKEN,
    Office,
    Receiver,
    check_order,
    come_and_go,
    receiving,
)
from support.workshop import (
    ACCESS_DENIED,
    FIRM,
    FOLDER,
    REFUSED,
    Workshop,
    accepted,
)

OUTCOME_KEYS = {
    *("sequence", "folder", "entry_id", "revision", "event_id", "state", "reason", "message"),
    *("remedy", "case_id", "cuts", "at"),
}


def sync(shop: Workshop, *numbers: int) -> None:
    shop.submit(*map(purchase, numbers))
    shop.deliver_all()
    shop.follow_up()
    assert set(shop.states()) == {"synced"}


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
    assert "renvoyez-la" in missing["remedy"]["fr"]
    assert b"content-type: application/json" in hub.heads[0].lower()


def test_an_event_that_is_refused_is_told_to_whose_it_is(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    wrong = purchase(1, lines=[])
    # Each time: whoever sends it again waits for an answer again.
    shop.submit(wrong)
    shop.submit(wrong)
    # Nobody can be told of what names no firm, or one that is not known, or what is no event.
    shop.submit({**wrong, "firm": "\x00"}, {**wrong, "firm": "OTHER"}, [], None, {"firm": [FIRM]})
    shop.submit({"firm": FIRM, "folder": "\ud800", "entry": {"id": 7, "revision": 2**70}})
    # The firm's own hub has written its code otherwise.
    shop.submit({**purchase(2), "firm": f" {FIRM.lower()}"})
    told.tell()
    first, second, third, fourth = hub.outcomes
    assert first["entry_id"] == second["entry_id"] == "ach-2026-000001"
    assert (third["folder"], third["entry_id"], third["revision"]) == (None, None, None)
    assert fourth["message"].startswith("/firm: ")


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


def test_firms_have_numbers_of_their_own_and_one_s_hub_holds_up_no_other(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    shop.add_firm("OTHER")
    with receiving() as other:
        told.subscribe(Audience.OUTCOME, other.url, "OTHER")
        hub.answers(response("500 Internal Server Error"))
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


def test_what_waited_and_was_told_since_is_told_again(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    hub.answers(response("500 Internal Server Error"), TAKEN)
    come_and_go(shop, 1)
    told.tell()
    # The receiver's backup is of now.
    since = shop.row("SELECT clock_timestamp() AS t")["t"]
    told.wait()
    told.tell()
    assert told.subscribing.replay(since, None).messages == 1


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
    # A bell that was rung before, too.
    [endpoint] = shop.rows("SELECT id FROM endpoints")
    told.telling.tell(endpoint["id"])
    assert hub.received == []


def test_who_says_wrongly_that_a_database_went_back_leaves_no_gap(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    sync(shop, 1)
    with pytest.raises(RestoringError):
        shop.restoring.restore(shop.row("SELECT now() + interval '1 day' AS t")["t"], "somebody")
    told.tell()
    check_order(hub, 1)


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
    # Nobody was there to be reminded.
    shop.execute("UPDATE cases SET remind_at = now()")
    office.tell()
    office.subscribe(Audience.ALERT, people.url)
    office.tell()
    [opened] = people.taken
    assert opened.body["case"]["reason"] == "access_denied"
    # To say it again tells nothing again.
    office.subscribe(Audience.ALERT, people.url)
    office.tell()
    assert len(people.taken) == 1
    shop.execute("UPDATE cases SET remind_at = remind_at - interval '1 day'")
    office.tell()
    assert people.types == ["case.opened", "case.reminder"]


def test_while_nobody_was_told_cases_went_on(
    shop: Workshop, office: Office, people: Receiver
) -> None:
    office.subscribe(Audience.ALERT, people.url)
    shop.submit(purchase(1), purchase(2, folder="OTHER"))
    healed = shop.hold()
    office.tell()
    still_open = shop.hold(folder="OTHER")
    office.subscribe(Audience.ALERT, "")
    shop.release(healed)
    office.subscribe(Audience.ALERT, people.url)
    office.tell()
    told = [(one.body["type"], one.body["case"]["id"]) for one in people.taken]
    assert sorted(told) == [
        ("case.healed", healed),
        ("case.opened", healed),
        ("case.opened", still_open),
    ]


def test_a_case_is_told_in_the_state_that_it_was_in(
    shop: Workshop, office: Office, people: Receiver
) -> None:
    office.subscribe(Audience.ALERT, people.url)
    shop.submit(purchase(1))
    shop.release(shop.hold())
    shop.hold()
    office.tell()
    assert [(one.body["type"], one.body["case"]["state"]) for one in people.taken] == [
        ("case.opened", "open"),
        ("case.healed", "released"),
        ("case.opened", "open"),
    ]


def test_a_case_of_one_entry_says_which(shop: Workshop, office: Office, people: Receiver) -> None:
    office.subscribe(Audience.ALERT, people.url)
    sync(shop, 1)
    shop.submit(purchase(1, revision=2, event_id="2f0c1a4e-0000-0000-0000-000000000022"))
    office.tell()
    [opened] = people.taken
    case = opened.body["case"]
    assert (case["scope"], case["reason"]) == ("entry", "already_synced")
    assert (case["entry_id"], case["revision"]) == ("ach-2026-000001", 2)
    assert case["entry"] == shop.entry(1, 2)["id"]


def test_the_hub_hears_which_folders_are_reached(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    shop.submit(purchase(1, folder="NEW"))
    shop.deliver("NEW")
    shop.submit(purchase(2))
    shop.hold()
    told.tell()
    shop.prove()
    shop.execute("UPDATE cases SET probe_at = now()")
    shop.heal()
    # A person's word is not Loop's.
    shop.release(shop.hold())
    told.tell()
    states = [one.body for one in hub.taken if one.body["type"] == "folder.state"]
    assert [(one["folder"], one["state"]) for one in states] == [
        ("NEW", "reachable"),
        (FOLDER, "refused"),
        (FOLDER, "reachable"),
        (FOLDER, "refused"),
    ]
    refused = states[1]
    assert (refused["reason"], refused["message"]) == ("access_denied", "non")
    assert refused["remedy"].keys() == {"en", "fr"}
    assert all({"sent_at", "firm", "at"} <= one.keys() for one in states)


def test_what_is_told_already_is_not_told_again(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    shop.told.answers = [ACCESS_DENIED]
    shop.submit(purchase(1), purchase(2))
    shop.deliver_all()
    for _ in range(3):
        # One is sent to see, and refused again.
        shop.execute("UPDATE cases SET probe_at = now()")
        shop.heal()
    told.tell()
    assert shop.states() == {"parked": 2}
    assert len(shop.rows("SELECT id FROM transitions WHERE to_state = 'parked'")) > 2
    assert sorted(one["entry_id"] for one in hub.outcomes) == [
        *("ach-2026-000001", "ach-2026-000002"),
    ]
    assert hub.types.count("folder.state") == 1


def test_what_was_never_told_or_asks_the_hub_for_something_is_told(
    shop: Workshop, office: Office, hub: Receiver
) -> None:
    shop.submit(purchase(1))
    shop.release(shop.hold())
    # Nobody listened when it was parked.
    office.subscribe(Audience.OUTCOME, hub.url)
    shop.hold()
    expired = purchase(2)
    expired["entry"]["attachment"]["url"] = "https://x.blob.core.windows.net/d?se=2020-01-01&sig=a"
    shop.submit(expired)
    shop.deliver_all()
    shop.release(shop.row("SELECT id FROM cases WHERE reason = 'access_denied'")["id"])
    shop.deliver_all()
    again = {**expired, "event_id": "2f0c1a4e-0000-0000-0000-000000000099",
             "occurred_at": "2026-11-21T16:42:07+01:00"}  # fmt: skip
    again["entry"] = {**expired["entry"], "attachment": {
        **expired["entry"]["attachment"],
        "url": "https://x.blob.core.windows.net/d?se=2020-01-01&sig=b"}}  # fmt: skip
    shop.submit(again)
    shop.deliver_all()
    office.tell()
    reasons = [one["reason"] for one in hub.outcomes]
    assert reasons.count("access_denied") >= 1
    # Each link that does not do asks for another.
    assert reasons.count("attachment_expired") == 2


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


def test_keys_of_the_vault_are_replaced_with_what_they_seal(
    shop: Workshop, told: Office, hub: Receiver
) -> None:
    sealed = "SELECT webhook_secrets, url FROM firms f JOIN endpoints ep ON ep.firm_id = f.id"
    before = shop.row(sealed)
    shop.registration.reseal()
    after = shop.row(sealed)
    assert all(before[key] != after[key] for key in after)
    come_and_go(shop, 1)
    told.tell()
    check_order(hub, 1)
