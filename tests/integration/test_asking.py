"""Promises of asking: what is in Loop is found, and nothing is ever sent again from here."""

import threading
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from passerelle.domain.outcome import Answer, Sort
from passerelle.domain.states import Reason
from passerelle.domain.verdict import Row
from passerelle.loop_api.client import Credentials, EntryFilter
from passerelle.registration import FolderTerms
from passerelle.settling import SettlingError
from support.events import purchase
from support.workshop import (
    ACCESS_DENIED,
    FIRM,
    FOLDER,
    THROTTLED,
    UNKNOWN,
    ToldLoop,
    Workshop,
    accepted,
    background,
    shown,
)

DOWN = Answer(Sort.UNKNOWN, "HTTP 503", 503, down=True)
UNREADABLE = Answer(Sort.UNKNOWN, "Loop's entries cannot be read.", 200)


@pytest.fixture
def shop(engine: Engine) -> Workshop:
    """One entry that was sent and whose answer was lost."""
    made = Workshop(engine)
    made.add_firm()
    made.submit(purchase(1))
    made.told.answers = [UNKNOWN]
    made.deliver()
    made.time_passes()
    assert made.state() == "uncertain"
    made.told.answers = [accepted()]
    return made


def booked(shop: Workshop, number: int = 1, *, third_party: str | None = None) -> list[Row]:
    """The lines of an entry as Loop shows them once it has them."""
    [attempt] = shop.rows(
        "SELECT lines FROM attempts WHERE entry = :entry AND closed_at IS NULL",
        entry=shop.entry(number)["id"],
    )
    changes = {} if third_party is None else {"tiers": third_party}
    return shown(attempt["lines"], **changes)


def verdicts(shop: Workshop) -> list[str | None]:
    return [row["verdict"] for row in shop.rows("SELECT verdict FROM questions ORDER BY id")]


def test_what_is_in_loop_is_synced(shop: Workshop) -> None:
    shop.told.found = [booked(shop)]
    shop.ask()
    assert shop.state() == "synced"
    assert shop.attempts() == ["ended"]
    assert verdicts(shop) == ["present"]
    assert len(shop.told.bodies) == 1


def test_loop_is_asked_by_the_origin_that_was_sent(shop: Workshop) -> None:
    shop.ask()
    [attempt] = shop.rows("SELECT lines FROM attempts")
    assert shop.told.asked == [attempt["lines"][0]["ecritureOrigine"]]


def wait_of(shop: Workshop, number: int = 1) -> float:
    """Seconds until Loop is asked again."""
    seconds = shop.row(
        "SELECT extract(epoch FROM due_at - now())::float AS wait FROM entries WHERE id = :id",
        id=shop.entry(number)["id"],
    )["wait"]
    return float(seconds)


def test_what_is_not_there_is_asked_about_more_slowly_and_not_sent_before_loop_had_its_time(
    shop: Workshop,
) -> None:
    waits = []
    for _ in range(9):
        shop.ask()
        assert shop.state() == "uncertain"
        waits.append(wait_of(shop))
    assert waits == pytest.approx([20, 40, 80, 160, 320, 640, 900, 900, 900], abs=1)
    shop.time_passes()
    assert not shop.deliver()
    assert (len(shop.told.bodies), shop.attempts()) == (1, [None])


def test_an_import_that_is_worked_off_late_is_found(shop: Workshop) -> None:
    rows = booked(shop)
    shop.told.found = [[], [], rows]
    for state in ("uncertain", "uncertain", "synced"):
        shop.ask()
        assert shop.state() == state


def test_found_twice_it_is_synced_and_told(shop: Workshop) -> None:
    shop.told.found = [booked(shop) * 2]
    shop.ask()
    assert shop.state() == "synced"
    assert shop.cases() == [("entry", "landed_twice", "open")]


@pytest.mark.parametrize(
    ("seen", "reason", "scope"),
    [("partial", "undecided", "entry"), ("different", "landed_differently", "folder")],
)
def test_what_landed_otherwise_is_believed_when_it_was_seen_twice(
    shop: Workshop, seen: str, reason: str, scope: str
) -> None:
    rows = booked(shop, third_party="ATTENTE")
    shop.told.found = [rows if seen == "different" else booked(shop)[:-1]]
    shop.ask()
    assert shop.state() == "uncertain"
    assert wait_of(shop) == pytest.approx(60, abs=1)
    shop.ask()
    assert (shop.state(), shop.entry()["reason"]) == ("parked", reason)
    assert shop.cases() == [(scope, reason, "open")]
    assert shop.attempts() == [None]


def test_what_landed_differently_holds_its_folder_until_it_is_settled(shop: Workshop) -> None:
    shop.told.found = [booked(shop, third_party="ATTENTE")]
    shop.ask()
    shop.ask()
    shop.submit(purchase(2))
    assert shop.state(2) == "parked"
    entry = shop.entry()["id"]
    shop.settling.settle(entry, in_loop=True, who="Ada", why="corrected in Loop")
    assert (shop.state(1), shop.state(2)) == ("synced", "received")
    assert shop.cases() == [("folder", "landed_differently", "released")]


def test_seen_half_way_it_is_no_part(shop: Workshop) -> None:
    whole = booked(shop)
    shop.told.found = [whole[:1], whole]
    shop.ask()
    shop.ask()
    assert (shop.state(), verdicts(shop)) == ("synced", ["partial", "present"])


@pytest.mark.parametrize("answer", [DOWN, UNREADABLE, THROTTLED])
def test_no_answer_says_nothing(shop: Workshop, answer: Answer) -> None:
    shop.told.found = [answer, booked(shop)]
    shop.ask()
    assert (shop.state(), verdicts(shop)) == ("uncertain", [None])
    shop.time_passes()
    shop.ask()
    assert shop.state() == "synced"


def test_while_loop_is_left_alone_nobody_asks(shop: Workshop) -> None:
    shop.told.found = [THROTTLED]
    shop.ask()
    shop.ask()
    assert len(shop.told.asked) == 1
    assert shop.sweep().entries == ()


def test_a_refused_read_holds_the_folder_and_the_entry_stays_what_it_is(shop: Workshop) -> None:
    shop.told.found = [ACCESS_DENIED]
    shop.ask()
    assert shop.state() == "uncertain"
    assert shop.cases() == [("folder", "access_denied", "open")]
    shop.ask()
    assert len(shop.told.asked) == 1


def test_upkeep_rings_for_what_is_due_and_not_at_once(shop: Workshop) -> None:
    entry = shop.entry()["id"]
    assert shop.sweep().entries == ((entry,),)
    # The bell is on its way.
    assert shop.sweep().entries == ()
    shop.time_passes()
    assert shop.sweep().entries == ((entry,),)


def test_a_fresh_lost_answer_is_not_asked_about_at_once(engine: Engine) -> None:
    shop = Workshop(engine, ToldLoop(UNKNOWN))
    shop.add_firm()
    shop.submit(purchase(1))
    shop.deliver()
    shop.execute("UPDATE firms SET paused_until = NULL")
    assert shop.sweep().entries == ()


def test_two_who_ask_at_once_conclude_once(shop: Workshop) -> None:
    rows = booked(shop)
    entry = shop.entry()["id"]

    class Slow(ToldLoop):
        def find_entries(self, *_: object) -> list[Row]:
            # The other has come and gone meanwhile.
            shop.told.found = [rows]
            shop.execute("UPDATE entries SET due_at = now()")
            shop.ask()
            return rows

    slow = shop.another_asking(Slow())
    slow.ask([entry])
    assert shop.state() == "synced"
    states = [row["to_state"] for row in shop.rows("SELECT to_state FROM transitions ORDER BY id")]
    assert states.count("synced") == 1


def test_an_answer_that_comes_while_it_is_found_changes_nothing(engine: Engine) -> None:
    """The POST is still out when upkeep gives the delivery up and the entry is found."""
    shop = Workshop(engine)
    shop.add_firm()
    shop.submit(purchase(1))

    def meanwhile() -> None:
        shop.lose_lease()
        assert shop.state() == "uncertain"
        shop.told.found = [booked(shop)]
        shop.ask()
        assert shop.state() == "synced"

    shop.told.during = meanwhile
    shop.deliver()
    assert shop.state() == "synced"
    shop.follow_up()
    assert (shop.state(), shop.cases()) == ("synced", [])


# Absence.


def long_ago(shop: Workshop, age: str) -> None:
    shop.execute(
        "UPDATE imports SET sent_at = sent_at - CAST(CAST(:age AS text) AS interval)", age=age
    )


def has_settled(shop: Workshop) -> None:
    shop.execute("UPDATE imports SET settled_seconds = 1e6 WHERE answer = 'unknown'")


def gap_passes(shop: Workshop) -> None:
    shop.execute("UPDATE attempts SET absent_at = absent_at - interval '61 s'")


def ask_twice(shop: Workshop) -> None:
    shop.ask()
    gap_passes(shop)
    shop.ask()


def has_control(shop: Workshop, number: int = 900, folder: str = FOLDER) -> None:
    """An entry of the folder that Loop said it has, and shows when it is asked."""
    answers, shop.told.answers = shop.told.answers, [accepted()]
    shop.submit(purchase(number, folder=folder))
    shop.deliver(folder)
    entry = shop.entry(number)["id"]
    [attempt] = shop.rows("SELECT lines FROM attempts WHERE entry = :entry", entry=entry)
    lines = attempt["lines"]
    origin = lines[0]["ecritureOrigine"]
    shop.told.books[origin] = shown(lines)
    shop.follow_up()
    assert shop.state(number) == "synced"
    shop.told.answers = answers


def settled_seconds(shop: Workshop) -> float:
    return float(
        shop.row("SELECT settled_seconds FROM imports WHERE answer = 'unknown'")["settled_seconds"]
    )


def test_what_is_absent_twice_beside_a_control_after_settling_is_sent_again(shop: Workshop) -> None:
    has_control(shop)
    has_settled(shop)
    shop.ask()
    assert (shop.state(), wait_of(shop)) == ("uncertain", pytest.approx(60, abs=1))
    gap_passes(shop)
    shop.ask()
    assert (shop.state(), shop.attempts()[0]) == ("waiting", "proven_absent")
    shop.deliver()
    shop.follow_up()
    assert (shop.state(), len(shop.told.bodies)) == ("synced", 3)
    # Twice its origin, once the control's, and in the end its piece.
    assert len(shop.told.asked) - shop.told.asked.count(accepted().request_id or "") == 5


def test_a_second_look_that_comes_too_soon_confirms_nothing(shop: Workshop) -> None:
    has_control(shop)
    has_settled(shop)
    for _ in range(3):
        shop.ask()
        assert shop.state() == "uncertain"


def test_the_first_look_that_counts_stays_the_first(shop: Workshop) -> None:
    has_control(shop)
    has_settled(shop)
    for _ in range(2):
        shop.ask()
        shop.execute("UPDATE attempts SET absent_at = absent_at - interval '31 s'")
    shop.ask()
    assert shop.state() == "waiting"


def test_without_a_control_absence_is_never_believed(shop: Workshop) -> None:
    has_settled(shop)
    for _ in range(3):
        shop.ask()
        gap_passes(shop)
        assert shop.state() == "uncertain"
    long_ago(shop, "25 hours")
    shop.ask()
    assert (shop.state(), shop.entry()["reason"]) == ("parked", "undecided")
    assert shop.cases() == [("entry", "undecided", "open")]
    # It may still be in Loop.
    assert shop.attempts() == [None]


def test_a_control_that_is_not_found_is_none(shop: Workshop) -> None:
    """Loop does not keep the origin, or filters by another."""
    has_control(shop)
    shop.told.books.clear()
    has_settled(shop)
    for _ in range(3):
        shop.ask()
        gap_passes(shop)
    assert shop.state() == "uncertain"


def test_one_control_that_is_found_is_enough(shop: Workshop) -> None:
    """Loop may have lost one entry's origin."""
    has_control(shop, 900)
    kept = dict(shop.told.books)
    has_control(shop, 901)
    shop.told.books = kept
    has_settled(shop)
    ask_twice(shop)
    assert shop.state() == "waiting"


def test_an_entry_of_another_folder_of_the_firm_serves_as_a_control(shop: Workshop) -> None:
    shop.registration.add_folder(FIRM, "DEMO000002", FolderTerms())
    has_control(shop, folder="DEMO000002")
    has_settled(shop)
    ask_twice(shop)
    assert shop.state() == "waiting"


def test_while_it_may_still_come_absence_is_not_even_noted(shop: Workshop) -> None:
    has_control(shop)
    shop.ask()
    assert shop.rows("SELECT FROM attempts WHERE absent_at IS NOT NULL") == []


def test_settling_counts_from_when_the_gateway_may_hold_it_no_longer(shop: Workshop) -> None:
    long_ago(shop, "319 seconds")
    shop.ask()
    assert settled_seconds(shop) == pytest.approx(0, abs=1)
    long_ago(shop, "100 seconds")
    shop.execute("UPDATE imports SET settled_at = settled_at - interval '100 seconds'")
    shop.ask()
    assert settled_seconds(shop) == pytest.approx(100, abs=2)


def test_settling_takes_as_long_as_it_was_seen_to_take(shop: Workshop) -> None:
    has_control(shop)
    shop.execute(
        "UPDATE imports SET sent_at = ended_at - interval '1 hour' WHERE status = 3; "
        "UPDATE imports SET settled_seconds = 7100 WHERE answer = 'unknown'"
    )
    shop.ask()
    assert shop.rows("SELECT FROM attempts WHERE absent_at IS NOT NULL") == []
    shop.execute("UPDATE imports SET settled_seconds = 7300 WHERE answer = 'unknown'")
    shop.ask()
    assert len(shop.rows("SELECT FROM attempts WHERE absent_at IS NOT NULL")) == 1


def time_between_questions(shop: Workshop, seconds: int) -> None:
    long_ago(shop, f"{seconds} seconds")
    shop.execute(
        "UPDATE imports SET settled_at = settled_at - make_interval(secs => :seconds)",
        seconds=seconds,
    )


def test_while_loop_does_not_answer_nothing_settles(shop: Workshop) -> None:
    long_ago(shop, "1 hour")
    shop.ask()
    counted = settled_seconds(shop)
    shop.told.found = [DOWN, []]
    time_between_questions(shop, 600)
    shop.ask()
    shop.time_passes()
    time_between_questions(shop, 1)
    shop.ask()
    assert settled_seconds(shop) == pytest.approx(counted + 1, abs=1)


def test_long_between_two_answers_counts_for_little(shop: Workshop) -> None:
    """Nobody saw whether Loop was up."""
    shop.ask()
    time_between_questions(shop, 7 * 86_400)
    shop.ask()
    assert settled_seconds(shop) == pytest.approx(900, abs=1)


def test_while_an_import_of_the_folder_runs_nothing_settles(shop: Workshop) -> None:
    long_ago(shop, "1 hour")
    shop.ask()
    counted = settled_seconds(shop)
    shop.submit(purchase(2))
    shop.deliver()
    assert shop.state(2) == "posted"
    time_between_questions(shop, 600)
    shop.ask()
    assert settled_seconds(shop) == counted
    shop.follow_up()
    time_between_questions(shop, 600)
    shop.ask()
    assert settled_seconds(shop) == pytest.approx(counted + 600, abs=1)


def test_lines_like_it_under_its_piece_are_left_to_a_person(shop: Workshop) -> None:
    """Loop lost the origin of this entry alone: sent again, it would be there twice."""
    has_control(shop)
    has_settled(shop)
    shop.told.by_piece = [replace(row, origin=None) for row in booked(shop)]
    ask_twice(shop)
    assert (shop.state(), shop.entry()["reason"]) == ("parked", "undecided")
    assert shop.attempts()[0] is None


def test_more_lines_under_its_piece_than_loop_shows_are_left_to_a_person_after_a_day(
    shop: Workshop,
) -> None:
    has_control(shop)
    has_settled(shop)
    [line, *_] = booked(shop)
    shop.told.by_piece = [line] * 100
    for _ in range(3):
        shop.ask()
        gap_passes(shop)
        assert shop.state() == "uncertain"
    long_ago(shop, "25 hours")
    shop.ask()
    assert (shop.state(), shop.entry()["reason"]) == ("parked", "undecided")


def test_one_answer_that_was_not_asked_for_decides_nothing(shop: Workshop) -> None:
    """Loop ignored the filter once, when it was asked by piece in the end."""
    has_control(shop)
    has_settled(shop)
    [line, *_] = booked(shop)
    shop.ask()
    gap_passes(shop)
    shop.told.by_piece = [line] * 100
    shop.ask()
    shop.told.by_piece = []
    shop.ask()
    assert (shop.state(), shop.attempts()[0]) == ("waiting", "proven_absent")


def test_an_answer_that_comes_while_absence_is_concluded_decides(engine: Engine) -> None:
    """The worker had slept over its lease; what it heard was recorded between read and verdict."""
    shop = Workshop(engine)
    shop.add_firm()
    has_control(shop)
    shop.submit(purchase(1))
    out, back = threading.Event(), threading.Event()

    def sleeps() -> None:
        out.set()
        assert back.wait(30)

    shop.told.during = sleeps
    posting = background(shop.deliver)
    assert out.wait(30)
    shop.lose_lease()
    shop.execute("UPDATE imports SET settled_seconds = 1e6 WHERE answered_at IS NULL")
    shop.ask()
    gap_passes(shop)

    class Meanwhile(ToldLoop):
        def find_entries(
            self, credentials: Credentials, folder: str, wanted: EntryFilter
        ) -> list[Row] | Answer:
            if wanted.lettered:
                back.set()
                posting.result(30)
            return super().find_entries(credentials, folder, wanted)

    loop = Meanwhile()
    loop.books = shop.told.books
    shop.execute("UPDATE entries SET due_at = now() WHERE state = 'uncertain'")
    shop.another_asking(loop).ask([shop.entry()["id"]])
    assert (shop.state(), shop.attempts()[-1]) == ("posted", None)
    shop.follow_up()
    assert (shop.state(), len(shop.told.bodies)) == ("synced", 2)


def test_a_control_in_a_folder_that_is_refused_holds_that_folder(shop: Workshop) -> None:
    shop.registration.add_folder(FIRM, "DEMO000002", FolderTerms())
    has_control(shop, folder="DEMO000002")
    shop.told.books.clear()
    has_settled(shop)
    shop.told.found = [[], ACCESS_DENIED]
    shop.ask()
    assert shop.state() == "uncertain"
    held = shop.rows("SELECT code FROM folders WHERE held_by IS NOT NULL")
    assert [row["code"] for row in held] == ["DEMO000002"]


def test_without_a_control_the_others_wait_for_one_too(several: Workshop) -> None:
    has_settled(several)
    several.execute("UPDATE entries SET due_at = now()")
    ask_due(several)
    # By origin, then by piece: without a control nobody knows whether Loop keeps origins.
    assert (len(several.told.asked), due(several)) == (2, [])


@pytest.fixture
def several(engine: Engine) -> Workshop:
    """Four entries of one request whose answer was lost."""
    made = Workshop(engine)
    made.add_firm()
    made.submit(*(purchase(number) for number in range(1, 5)))
    made.told.answers = [UNKNOWN]
    made.deliver()
    made.time_passes()
    made.told.answers = [accepted()]
    return made


def due(shop: Workshop) -> list[int]:
    """The entries that upkeep would ring for now."""
    rows = shop.rows(
        "SELECT entry_id FROM entries WHERE state = 'uncertain' "
        "AND due_at <= now() + interval '5 s' ORDER BY id"
    )
    return [int(row["entry_id"][-6:]) for row in rows]


def ask_due(shop: Workshop) -> None:
    """What a bell for all of them does."""
    rows = shop.rows("SELECT id FROM entries WHERE state = 'uncertain' ORDER BY id")
    shop.asking.ask([row["id"] for row in rows])


def test_of_a_request_one_entry_is_asked_for_to_learn_whether_to_wait(several: Workshop) -> None:
    several.execute("UPDATE entries SET due_at = now()")
    ask_due(several)
    assert (len(several.told.asked), due(several)) == (1, [])


def test_if_one_is_found_the_others_are_asked_for_at_once_each_by_itself(
    several: Workshop,
) -> None:
    several.told.found = [[], *(booked(several, number) for number in range(1, 5))]
    several.execute("UPDATE entries SET due_at = now()")
    ask_due(several)
    several.execute("UPDATE entries SET due_at = now() WHERE id = :id", id=several.entry(1)["id"])
    ask_due(several)
    assert several.states() == {"synced": 4}
    assert len(several.told.asked) == 5


def test_if_one_is_there_settling_starts_anew_for_the_rest(several: Workshop) -> None:
    has_control(several)
    has_settled(several)
    several.told.found = [booked(several, 1), []]
    several.ask()
    assert several.states() == {"synced": 2, "uncertain": 3}
    assert settled_seconds(several) == pytest.approx(0, abs=1)
    assert several.rows("SELECT FROM attempts WHERE absent_at IS NOT NULL") == []


def test_absent_entries_go_again_in_halves_each_after_a_look_of_its_own(several: Workshop) -> None:
    has_control(several)
    has_settled(several)
    several.ask()
    gap_passes(several)
    several.ask()
    assert several.states() == {"synced": 1, "waiting": 4}
    several.told.bodies.clear()
    several.deliver_all()
    assert [len(pieces) for pieces in several.told.pieces()] == [2, 2]


def test_what_is_sent_alone_and_never_heard_of_is_exhausted_in_the_end(shop: Workshop) -> None:
    has_control(shop)
    shop.told.answers = [UNKNOWN]
    for _ in range(3):
        assert shop.state() == "uncertain"
        has_settled(shop)
        shop.ask()
        gap_passes(shop)
        shop.ask()
        shop.time_passes()
        shop.deliver()
        shop.time_passes()
    assert (shop.state(), shop.entry()["reason"]) == ("parked", "exhausted")
    # The control's request, and three of its own.
    assert len(shop.told.bodies) == 4
    assert None not in shop.attempts()


def read_again(shop: Workshop) -> None:
    """An hour later."""
    shop.execute("UPDATE entries SET read_again_at = now() WHERE read_again_at IS NOT NULL")
    for group in shop.sweep().entries:
        shop.asking.ask(group)


@pytest.fixture
def sent_twice(shop: Workshop) -> Workshop:
    """Proven absent, sent again, and synced by Loop's word."""
    has_control(shop)
    has_settled(shop)
    ask_twice(shop)
    shop.time_passes()
    shop.deliver()
    shop.follow_up()
    assert shop.state() == "synced"
    return shop


@pytest.mark.parametrize("times", [1, 2])
def test_what_was_sent_twice_is_read_again_and_told_if_it_is_there_twice(
    sent_twice: Workshop, times: int
) -> None:
    """The first import came later than anybody would have thought."""
    [attempt] = sent_twice.rows(
        "SELECT lines FROM attempts WHERE entry = :entry ORDER BY id DESC LIMIT 1",
        entry=sent_twice.entry()["id"],
    )
    there = shown(attempt["lines"])
    sent_twice.told.found = [DOWN, there * times]
    assert sent_twice.sweep().entries == ()
    read_again(sent_twice)
    sent_twice.time_passes()
    read_again(sent_twice)
    twice = [("entry", "landed_twice", "open")]
    assert sent_twice.cases() == (twice if times == 2 else [])
    assert sent_twice.state() == "synced"
    asked = len(sent_twice.told.asked)
    read_again(sent_twice)
    assert len(sent_twice.told.asked) == asked


def test_what_was_sent_once_is_not_read_again(shop: Workshop) -> None:
    shop.told.found = [booked(shop)]
    shop.ask()
    assert shop.rows("SELECT FROM entries WHERE read_again_at IS NOT NULL") == []


# Settling.


def settle(shop: Workshop, *, in_loop: bool) -> None:
    entry = shop.entry()["id"]
    shop.settling.settle(entry, in_loop=in_loop, who="Ada", why="looked it up")


def parked(shop: Workshop) -> None:
    long_ago(shop, "25 hours")
    has_settled(shop)
    shop.ask()
    assert (shop.state(), shop.entry()["reason"]) == ("parked", "undecided")


def test_a_person_says_that_it_is_in_loop(shop: Workshop) -> None:
    parked(shop)
    settle(shop, in_loop=True)
    assert (shop.state(), shop.attempts()) == ("synced", ["settled"])
    assert shop.cases() == [("entry", "undecided", "released")]
    [told] = shop.rows("SELECT message FROM transitions WHERE to_state = 'synced'")
    assert told["message"] == "Ada says that it is in Loop: looked it up"


def test_a_person_says_that_it_is_not_there_and_it_is_sent_again(shop: Workshop) -> None:
    parked(shop)
    settle(shop, in_loop=False)
    assert shop.state() == "received"
    shop.deliver()
    shop.follow_up()
    assert (shop.state(), len(shop.told.bodies)) == ("synced", 2)
    assert shop.attempts() == ["settled", "ended"]


def test_what_is_uncertain_can_be_settled_before_it_is_parked(shop: Workshop) -> None:
    settle(shop, in_loop=False)
    assert shop.state() == "waiting"


def test_what_has_an_end_cannot_be_settled(shop: Workshop) -> None:
    settle(shop, in_loop=True)
    with pytest.raises(SettlingError, match="no open attempt"):
        settle(shop, in_loop=False)
    assert shop.state() == "synced"


def test_a_late_answer_after_a_person_gave_it_up_is_told(engine: Engine) -> None:
    """Rule 4: it may be in Loop twice now."""
    shop = Workshop(engine)
    shop.add_firm()
    shop.submit(purchase(1))

    def meanwhile() -> None:
        shop.told.during = lambda: None
        shop.lose_lease()
        settle(shop, in_loop=False)
        shop.time_passes()
        shop.deliver()

    shop.told.during = meanwhile
    shop.deliver()
    assert len(shop.told.bodies) == 2
    assert shop.cases() == [("entry", Reason.LANDED_TWICE, "open")]


def test_a_hold_that_is_being_opened_and_a_settlement_do_not_wait_for_each_other(
    shop: Workshop,
) -> None:
    shop.told.found = [booked(shop, third_party="ATTENTE")]
    shop.ask()
    shop.ask()
    with shop.opening_hold():
        settling = background(lambda: settle(shop, in_loop=True))
        shop.wait_for_lock()
    settling.result(30)
    assert shop.state() == "synced"
