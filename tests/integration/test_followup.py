"""Following imports to their end: engine rules 14 and 15."""

import pytest
from sqlalchemy import Engine

from passerelle.domain.outcome import Answer, Sort
from passerelle.domain.states import Reason
from passerelle.loop_api.client import Status
from support.events import purchase
from support.workshop import (
    ACCESS_DENIED,
    AGAIN,
    KEYS_REFUSED,
    THROTTLED,
    UNKNOWN,
    Workshop,
    all_at_once,
)

WAITING, RUNNING, DONE, FAILED = (Status(status, "") for status in (1, 2, 3, 4))
UNREADABLE = Answer(Sort.UNKNOWN, "Loop's status cannot be read.", 200)
NOT_KNOWN = Status(None, "Loop does not know this import request.", known=False)
DENIED_AT_END = Status(4, "n'a pas accès au dossier", Reason.ACCESS_DENIED)


@pytest.fixture
def shop(engine: Engine) -> Workshop:
    """With one entry posted."""
    made = Workshop(engine)
    made.add_firm()
    made.submit(purchase(1))
    made.deliver()
    return made


def poll_in(shop: Workshop) -> float | None:
    """Seconds until the import is asked about."""
    row = shop.row("SELECT extract(epoch FROM poll_at - now())::float AS seconds FROM imports")
    found: float | None = row["seconds"]
    return found


def test_done_is_synced(shop: Workshop) -> None:
    shop.follow_up()
    assert shop.state(1) == "synced"
    assert shop.entry(1)["synced_at"] is not None
    assert shop.attempts() == ["ended"]
    assert shop.row("SELECT status, polls, poll_at FROM imports") == {
        "status": 3,
        "polls": 1,
        "poll_at": None,
    }


@pytest.mark.parametrize("status", [WAITING, RUNNING, Status(7, "")])
def test_what_has_not_ended_stays_posted_and_is_asked_about_ever_more_slowly(
    shop: Workshop, status: Status
) -> None:
    shop.told.statuses = [status]
    waits = [poll_in(shop)]
    for _ in range(14):
        shop.follow_up()
        waits.append(poll_in(shop))
    assert waits == pytest.approx([*(2.0**times for times in range(12)), 3600, 3600, 3600], abs=0.5)
    assert shop.state(1) == "posted"
    assert shop.attempts() == [None]


@pytest.mark.parametrize("said", [RUNNING, UNREADABLE])
def test_an_import_that_does_not_end_for_a_day_is_told_and_heals_with_its_end(
    shop: Workshop, said: Status | Answer
) -> None:
    shop.told.statuses = [said]
    shop.follow_up()
    assert shop.cases() == []
    shop.execute("UPDATE imports SET sent_at = sent_at - interval '25 hours'")
    for _ in range(2):
        shop.follow_up()
        assert shop.cases() == [("folder", "import_stuck", "open")]
        assert (shop.state(1), shop.attempts()) == ("posted", [None])
    shop.told.statuses = [DONE]
    shop.follow_up()
    assert shop.state(1) == "synced"
    assert shop.cases() == [("folder", "import_stuck", "healed")]
    # It held nobody.
    shop.submit(purchase(2))
    assert shop.state(2) == "received"


def test_a_poll_that_is_due_soon_is_rung_for_as_soon(shop: Workshop) -> None:
    """The bell for the poll before is not taken for its own."""
    shop.told.statuses = [WAITING]
    shop.execute("UPDATE imports SET poll_at = now()")
    [bell] = shop.sweep().imports
    shop.followup.follow_up(bell)
    shop.execute("UPDATE imports SET poll_at = now()")
    assert shop.sweep().imports == (bell,)


def test_an_import_that_failed_may_have_landed_in_part(shop: Workshop) -> None:
    shop.told.statuses = [FAILED]
    shop.follow_up()
    assert shop.state(1) == "uncertain"
    assert "history" in shop.entry(1)["message"]
    assert shop.attempts() == [None]
    assert poll_in(shop) is None
    # Read once, when that counts.
    wait = "SELECT extract(epoch FROM due_at - now())::float AS wait FROM entries"
    assert shop.row(wait)["wait"] == pytest.approx(60, abs=1)


def test_an_import_that_was_denied_access_has_not_landed(shop: Workshop) -> None:
    shop.submit(purchase(2))
    shop.told.statuses = [DENIED_AT_END]
    shop.follow_up()
    assert shop.attempts() == ["ended"]
    assert [shop.entry(number)["reason"] for number in (1, 2)] == ["access_denied"] * 2
    assert shop.cases() == [("folder", "access_denied", "open")]


def test_an_import_that_loop_does_not_know_is_uncertain(shop: Workshop) -> None:
    shop.told.statuses = [NOT_KNOWN]
    shop.follow_up()
    assert shop.state(1) == "uncertain"
    assert shop.attempts() == [None]
    assert poll_in(shop) is None


@pytest.mark.parametrize("answer", [AGAIN, THROTTLED, UNKNOWN, UNREADABLE])
def test_no_answer_about_an_import_is_no_end_of_it(shop: Workshop, answer: Answer) -> None:
    shop.told.statuses = [answer, DONE]
    shop.follow_up()
    assert shop.state(1) == "posted"
    assert poll_in(shop) is not None
    shop.time_passes()
    shop.follow_up()
    assert shop.state(1) == "synced"


def test_loop_is_left_alone_while_it_is_out_of_order(shop: Workshop) -> None:
    shop.told.statuses = [UNKNOWN, DONE]
    shop.follow_up()
    shop.follow_up()
    assert len(shop.told.asked) == 1
    shop.time_passes()
    shop.follow_up()
    assert len(shop.told.asked) == 2


def test_refused_keys_hold_the_firm_and_leave_what_is_on_its_way(shop: Workshop) -> None:
    shop.submit(purchase(2))
    shop.told.statuses = [KEYS_REFUSED, DONE]
    shop.follow_up()
    assert (shop.state(1), shop.state(2)) == ("posted", "parked")
    assert shop.cases() == [("firm", "credentials_refused", "open")]
    shop.follow_up()
    assert len(shop.told.asked) == 1
    shop.release(shop.entry(2)["case_id"])
    shop.follow_up()
    assert shop.state(1) == "synced"


def test_a_folder_refused_at_the_status_holds_that_folder_alone(shop: Workshop) -> None:
    shop.submit(purchase(2), purchase(3, folder="OTHER"))
    shop.told.statuses = [ACCESS_DENIED]
    shop.follow_up()
    assert [shop.state(number) for number in (1, 2, 3)] == ["posted", "parked", "received"]
    assert shop.cases() == [("folder", "access_denied", "open")]


def test_what_is_posted_is_followed_up_while_its_folder_is_held(shop: Workshop) -> None:
    shop.hold()
    assert shop.state(1) == "posted"
    shop.follow_up()
    assert shop.state(1) == "synced"


def test_without_a_turn_loop_is_not_asked_and_no_poll_is_counted(shop: Workshop) -> None:
    for _ in range(20):
        shop.execute("UPDATE firms SET next_turn_at = now() + interval '1 h'")
        shop.follow_up()
    assert shop.told.asked == []
    assert poll_in(shop) == pytest.approx(2, abs=0.5)
    assert shop.row("SELECT polls FROM imports")["polls"] == 0


def test_two_follow_ups_at_once_ask_once(shop: Workshop) -> None:
    shop.execute("UPDATE imports SET poll_at = now()")
    shop.told.statuses = [RUNNING]
    import_id = shop.row("SELECT id FROM imports")["id"]
    all_at_once([lambda: shop.followup.follow_up([import_id])] * 3)
    assert len(shop.told.asked) == 1


def test_a_poll_that_was_taken_by_who_then_died_is_taken_again(shop: Workshop) -> None:
    class DiedError(Exception):
        pass

    class DyingStatuses(list[Status | Answer]):
        def __len__(self) -> int:
            raise DiedError

    shop.told.statuses = DyingStatuses()
    with pytest.raises(DiedError):
        shop.follow_up()
    assert shop.state(1) == "posted"
    assert poll_in(shop) == pytest.approx(60, abs=1)
    shop.told.statuses = [DONE]
    shop.time_passes()
    assert [len(group) for group in shop.sweep().imports] == [1]
    shop.follow_up()
    assert shop.state(1) == "synced"


def test_an_import_that_is_not_due_or_has_ended_is_not_asked_about(shop: Workshop) -> None:
    import_id = shop.row("SELECT id FROM imports")["id"]
    shop.followup.follow_up([import_id])
    assert shop.told.asked == []
    shop.follow_up()
    shop.followup.follow_up([import_id, 999])
    assert len(shop.told.asked) == 1


def test_an_end_that_is_told_twice_counts_once(shop: Workshop) -> None:
    shop.follow_up()
    shop.execute("UPDATE imports SET poll_at = now()")
    shop.told.statuses = [FAILED]
    shop.follow_up()
    assert shop.state(1) == "synced"
    assert shop.attempts() == ["ended"]


def test_a_long_explanation_of_loop_is_kept_in_part(shop: Workshop) -> None:
    shop.told.statuses = [Status(4, "é" * 1000)]
    shop.follow_up()
    assert shop.entry(1)["message"] == "é" * 1000
