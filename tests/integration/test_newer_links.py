"""An entry that waits for a link to its document goes on with the one that comes (contract 1)."""

import json
import uuid
from typing import Any

import pytest

from passerelle.domain.states import Reason
from passerelle.intake import ANOTHER_LINK, TakenIn
from passerelle.store.cases import of_entry, open_case, park
from support.command import Cli
from support.events import JsonObject, drop, purchase
from support.workshop import UNKNOWN, Workshop, all_at_once, background

NEWER = {"url": "https://files.example.com/newer"}
EARLIER, LATER = "2026-11-19T00:00:00Z", "2026-11-21T00:00:00Z"


def expire(shop: Workshop, *numbers: int) -> None:
    """Park received entries because their links are over."""
    for number in numbers:
        row = shop.entry(number)
        place = (row["firm_id"], row["folder_id"], row["id"])
        cause = of_entry(*place, Reason.ATTACHMENT_EXPIRED, "The link to the document expired.")
        with shop.engine.begin() as connection:
            park(connection, [row["id"]], cause, open_case(connection, cause))


@pytest.fixture
def waiting(shop: Workshop) -> Workshop:
    """One entry, which waits for another link."""
    shop.submit(purchase())
    expire(shop, 1)
    return shop


def linked(attachment: JsonObject | None = NEWER, number: int = 1, **changes: Any) -> JsonObject:
    """The entry again with another link; without any for None."""
    event = purchase(number, event_id=str(uuid.uuid4()), **changes)
    if attachment is None:
        return drop(event, "/entry/attachment")
    event["entry"]["attachment"] = attachment
    return event


def sent_links(shop: Workshop) -> list[str]:
    lines = (line for body in shop.told.bodies for line in body["data"]["ecritures"])
    return [line["fichier"]["uri"] for line in lines if "fichier" in line]


def test_another_link_cures_and_is_sent(waiting: Workshop) -> None:
    rung = TakenIn(known=1, folders=frozenset({waiting.folder_id()}))
    assert waiting.submit(linked(occurred_at=LATER)) == rung
    row = waiting.entry()
    assert (row["state"], row["reason"], row["case_id"]) == ("received", None, None)
    [*_, told] = waiting.rows("SELECT from_state, to_state, message FROM transitions ORDER BY id")
    assert told == {"from_state": "parked", "to_state": "received", "message": ANOTHER_LINK}
    waiting.deliver_all()
    assert waiting.state() == "posted"
    assert sent_links(waiting) == [NEWER["url"]]


def test_the_entry_without_any_link_goes_without(waiting: Workshop) -> None:
    waiting.submit(linked(None))
    waiting.deliver_all()
    assert (waiting.state(), sent_links(waiting)) == ("posted", [])


@pytest.mark.parametrize(
    "event",
    [
        purchase(),
        linked(occurred_at=EARLIER),
        linked(purchase()["entry"]["attachment"], occurred_at=LATER),
    ],
    ids=["redelivered", "older", "the same link"],
)
def test_what_is_no_newer_link_cures_nothing(waiting: Workshop, event: JsonObject) -> None:
    before = waiting.rows("SELECT * FROM transitions")
    assert waiting.submit(event) == TakenIn(known=1)
    assert waiting.entry()["reason"] == "attachment_expired"
    assert waiting.entry()["entry"] == purchase()["entry"]
    assert waiting.rows("SELECT * FROM transitions") == before


def test_a_link_cures_only_what_waits_for_one(shop: Workshop) -> None:
    shop.submit(purchase())
    shop.hold()
    shop.submit(linked())
    assert shop.entry()["reason"] == "access_denied"
    assert shop.entry()["entry"]["attachment"] == NEWER


def test_under_a_hold_it_waits_for_the_hold_from_then_on(waiting: Workshop) -> None:
    case_id = waiting.hold()
    assert waiting.entry()["case_id"] != case_id
    waiting.submit(linked())
    row = waiting.entry()
    assert (row["state"], row["reason"], row["case_id"]) == ("parked", "access_denied", case_id)
    assert row["entry"]["attachment"] == NEWER
    waiting.release(case_id)
    waiting.deliver_all()
    assert sent_links(waiting) == [NEWER["url"]]


@pytest.mark.parametrize("sign", ["attempt", "doubt"])
def test_what_may_be_in_loop_is_not_sent_again_by_a_link(shop: Workshop, sign: str) -> None:
    """Even if it had come to wait for one."""
    shop.submit(linked({"url": "https://files.example.com/first"}))
    shop.told.answers = [UNKNOWN]
    shop.deliver()
    shop.execute("UPDATE entries SET state = 'received'")
    expire(shop, 1)
    if sign == "doubt":
        shop.execute("UPDATE attempts SET closed_at = now(), closed_as = 'settled'")
        shop.execute("UPDATE entries SET doubted = true")
    assert shop.submit(linked()) == TakenIn(known=1)
    assert shop.entry()["reason"] == "attachment_expired"


def test_a_busy_folder_is_not_rung_for(waiting: Workshop) -> None:
    waiting.execute("UPDATE folders SET gather_until = now() + interval '1 min'")
    assert waiting.submit(linked()) == TakenIn(known=1)
    assert waiting.state() == "received"


def test_two_links_at_once_cure_once_and_the_newer_is_sent(waiting: Workshop) -> None:
    newest = {"url": "https://files.example.com/newest"}
    both = [linked(), linked(newest, occurred_at=LATER)]
    all_at_once([lambda one=one: waiting.submit(one) for one in both])
    assert waiting.state() == "received"
    steps = waiting.rows("SELECT to_state FROM transitions ORDER BY id")
    assert [step["to_state"] for step in steps] == ["received", "parked", "received"]
    waiting.deliver_all()
    assert sent_links(waiting) == [newest["url"]]


def test_a_release_and_a_link_at_once_send_it_once(shop: Workshop) -> None:
    """Neither waits for the other in a circle."""
    shop.submit(purchase())
    expire(shop, 1)
    case_id = shop.entry()["case_id"]
    with shop.open_intake(linked()):
        releasing = background(lambda: shop.release(case_id))
        shop.wait_for_lock(2)
    releasing.result(30)
    assert shop.state() == "received"
    shop.deliver_all()
    assert sent_links(shop) == [NEWER["url"]]
    assert len(shop.told.bodies) == 1


# And the other way: without the document.


def test_an_entry_is_sent_without_its_document(waiting: Workshop, cli: Cli) -> None:
    done = cli("entry", "retry", "1", "--without-attachment")
    assert done.exit_code == 0
    assert done.stdout.endswith("revision 1, received\n")
    assert "sends it without its attachment." in cli("entry", "show", "1").stdout
    assert waiting.cases() == [("entry", "attachment_expired", "released")]
    waiting.deliver_all()
    assert (waiting.state(), sent_links(waiting)) == ("posted", [])
    [sent] = json.loads(cli("entry", "show", "1", "--json").stdout)["sent"]
    assert not any("fichier" in line for line in sent["lines"])


def test_a_link_that_comes_in_time_brings_the_document_back(waiting: Workshop, cli: Cli) -> None:
    cli("entry", "retry", "1", "--without-attachment")
    waiting.submit(purchase())
    assert "attachment" not in waiting.entry()["entry"]
    waiting.submit(linked())
    waiting.deliver_all()
    assert sent_links(waiting) == [NEWER["url"]]


def test_an_entry_without_a_document_is_not_sent_without_it(shop: Workshop, cli: Cli) -> None:
    shop.submit(linked(None))
    expire(shop, 1)
    done = cli("entry", "retry", "1", "--without-attachment")
    assert done.exit_code == 1
    assert "has no attachment" in done.stderr
    assert shop.state() == "parked"
    assert cli("entry", "retry", "1").exit_code == 0


def test_a_refused_retry_leaves_the_document(waiting: Workshop, cli: Cli) -> None:
    waiting.execute("UPDATE entries SET doubted = true")
    assert "may be in Loop" in cli("entry", "retry", "1", "--without-attachment").stderr
    assert waiting.entry()["entry"] == purchase()["entry"]
