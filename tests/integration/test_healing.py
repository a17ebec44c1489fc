"""A refusal that is over heals by itself: a cheap read, one entry, then all (engine rule 18)."""

import itertools
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from passerelle.domain.outcome import Answer, Sort
from passerelle.domain.states import Reason
from passerelle.healing import HealingError, Progress
from passerelle.loop_api.client import Status
from passerelle.store.acts import CaseError
from passerelle.store.cases import hold
from passerelle.store.engine import make_engine
from support.events import purchase
from support.workshop import (
    ACCESS_DENIED,
    FIRM,
    FOLDER,
    KEYS_REFUSED,
    REFUSED,
    THROTTLED,
    UNKNOWN,
    Workshop,
    accepted,
    all_at_once,
    background,
    shown,
)

NOBODY = Answer(
    Sort.PERSON, "le dossier X n'existe pas sur le domaine", 200, reason=Reason.UNKNOWN_FOLDER
)
AT_END = Status(4, "n'a pas accès au dossier", Reason.ACCESS_DENIED)


def refused_folder(engine: Engine, entries: int = 3, refusal: Answer = ACCESS_DENIED) -> Workshop:
    """Loop has refused the first request for so many entries; now it refuses nothing any more."""
    shop = Workshop(engine)
    shop.add_firm()
    shop.told.answers = [refusal]
    shop.submit(*(purchase(number) for number in range(1, entries + 1)))
    shop.deliver_all()
    assert shop.states() == {"parked": entries}
    shop.told.answers = [accepted()]
    shop.told.bodies.clear()
    shop.told.asked.clear()
    return shop


@pytest.fixture
def shop(engine: Engine) -> Workshop:
    return refused_folder(engine)


def sent(shop: Workshop) -> list[list[str]]:
    """The numbers of the entries of each POST."""
    return [[piece[-1] for piece in pieces] for pieces in shop.told.pieces()]


def probe_seconds(shop: Workshop) -> float:
    """From now until the next probe of the one case."""
    row = shop.row("SELECT extract(epoch FROM probe_at - now())::float AS wait FROM cases")
    return float(row["wait"])


def acts(shop: Workshop, case_id: int = 1) -> list[str]:
    rows = shop.rows("SELECT act FROM case_acts WHERE case_id = :id ORDER BY id", id=case_id)
    return [row["act"] for row in rows]


# Heals by itself.


def test_a_refusal_is_left_alone_for_a_minute(shop: Workshop) -> None:
    shop.heal()
    shop.execute("UPDATE cases SET opened_at = now() - interval '59 s'")
    shop.heal()
    assert shop.told.asked == []
    shop.execute("UPDATE cases SET opened_at = now() - interval '70 s'")
    assert shop.sweep().cases.to_probe == (1,)


def test_a_read_then_one_entry_then_all_in_order_and_at_once(shop: Workshop) -> None:
    shop.submit(purchase(4))
    shop.time_passes()
    shop.heal()
    assert shop.told.asked[0] == FOLDER
    assert sent(shop) == [["1"], ["2", "3", "4"]]
    assert shop.states() == {"synced": 4}
    assert shop.cases() == [("folder", "access_denied", "healed")]
    assert acts(shop) == ["healed"]
    assert shop.row("SELECT held_by FROM folders")["held_by"] is None


def test_as_long_as_the_read_is_refused_nothing_is_sent_and_it_is_asked_ever_more_seldom(
    shop: Workshop,
) -> None:
    shop.told.folder = ACCESS_DENIED
    waits = []
    for _ in range(8):
        shop.time_passes()
        shop.heal()
        waits.append(probe_seconds(shop))
    assert sent(shop) == []
    assert shop.told.asked == [FOLDER] * 8
    assert waits == pytest.approx([120, 240, 480, 960, 1920, 3600, 3600, 3600], abs=5)
    assert shop.cases() == [("folder", "access_denied", "open")]
    assert shop.row("SELECT last_probe_at > opened_at AS later FROM cases")["later"]


def test_that_loop_takes_the_entry_is_not_enough(shop: Workshop) -> None:
    shop.told.statuses = [Status(1, ""), AT_END, Status(3, "")]
    shop.time_passes()
    [case_id] = shop.sweep().cases.to_probe
    assert shop.healing.probe(case_id).progress is Progress.SENT
    shop.deliver_all()
    shop.follow_up()
    assert [shop.state(number) for number in (1, 2, 3)] == ["posted", "parked", "parked"]
    assert shop.sweep().cases.over == ()
    shop.follow_up()
    assert shop.states() == {"parked": 3}
    assert shop.cases() == [("folder", "access_denied", "open")]
    # It is not asked again at once, and then it heals.
    shop.heal()
    assert sent(shop) == [["1"]]
    assert probe_seconds(shop) > 100
    shop.time_passes()
    shop.heal()
    assert shop.states() == {"synced": 3}
    assert len(shop.cases()) == 1


def test_an_entry_that_is_refused_again_waits_again_under_the_same_case(shop: Workshop) -> None:
    shop.told.answers = [ACCESS_DENIED]
    for _ in range(3):
        shop.time_passes()
        shop.heal()
    assert sent(shop) == [["1"]] * 3
    assert shop.states() == {"parked": 3}
    assert shop.cases() == [("folder", "access_denied", "open")]
    assert shop.row("SELECT probes, probe_entry FROM cases") == {"probes": 3, "probe_entry": None}


def test_what_arrives_while_one_is_sent_to_see_waits(shop: Workshop) -> None:
    shop.told.statuses = [Status(1, ""), Status(3, "")]
    shop.time_passes()
    shop.heal()
    shop.submit(purchase(4))
    assert shop.state(4) == "parked"
    shop.deliver_all()
    assert sent(shop) == [["1"]]
    shop.follow_up()
    shop.heal()
    assert shop.states() == {"synced": 4}


def test_an_entry_that_loop_would_not_have_for_itself_is_followed_by_the_next(
    shop: Workshop,
) -> None:
    shop.told.answers = [REFUSED, accepted()]
    shop.time_passes()
    shop.heal()
    assert sent(shop) == [["1"], ["2"], ["3"]]
    assert [shop.state(number) for number in (1, 2, 3)] == ["parked", "synced", "synced"]
    assert shop.cases() == [
        ("folder", "access_denied", "healed"),
        ("folder", "refused_by_loop", "open"),
    ]


def test_an_answer_that_was_lost_is_asked_about_though_the_folder_is_held(shop: Workshop) -> None:
    shop.told.answers = [UNKNOWN, accepted()]
    shop.time_passes()
    shop.heal()
    assert [shop.state(number) for number in (1, 2, 3)] == ["uncertain", "parked", "parked"]
    shop.execute("UPDATE outages SET failures = 0")
    shop.time_passes()
    lines = shop.row("SELECT lines FROM attempts ORDER BY id DESC LIMIT 1")["lines"]
    shop.told.found = [shown(lines)]
    shop.ask()
    assert shop.state(1) == "synced"
    shop.execute("UPDATE cases SET probe_at = now() + interval '1 h'")
    shop.heal()
    assert shop.states() == {"synced": 3}
    assert sent(shop) == [["1"], ["2", "3"]]


def test_what_takes_too_long_to_see_is_followed_by_another(shop: Workshop) -> None:
    shop.told.answers = [UNKNOWN, accepted()]
    shop.time_passes()
    shop.heal()
    assert probe_seconds(shop) > 100
    shop.time_passes()
    shop.heal()
    assert [shop.state(number) for number in (1, 2, 3)] == ["uncertain", "synced", "synced"]


def test_an_entry_that_loop_throttles_tries_again_and_is_still_the_only_one(
    shop: Workshop,
) -> None:
    shop.told.answers = [THROTTLED, accepted()]
    shop.time_passes()
    shop.heal()
    assert [shop.state(number) for number in (1, 2, 3)] == ["waiting", "parked", "parked"]
    assert shop.sweep().cases.to_probe == ()
    shop.execute("UPDATE firms SET paused_until = NULL")
    shop.execute("UPDATE entries SET due_at = now()")
    shop.deliver_all()
    assert sent(shop) == [["1"], ["1"]]
    shop.follow_up()
    shop.heal()
    assert shop.states() == {"synced": 3}


def test_a_case_on_which_nothing_waits_heals_with_the_read(shop: Workshop) -> None:
    shop.execute("UPDATE entries SET state = 'discarded', case_id = NULL")
    shop.time_passes()
    shop.heal()
    assert shop.cases() == [("folder", "access_denied", "healed")]
    assert sent(shop) == []


@pytest.mark.parametrize(
    "stop",
    [
        "UPDATE firms SET paused_until = now() + interval '1 h'",
        "UPDATE outages SET since = now()",
        "UPDATE database_identity SET entries_oid = 1, database_oid = 1",
    ],
)
def test_where_nothing_may_be_sent_nothing_is_probed(shop: Workshop, stop: str) -> None:
    shop.time_passes()
    shop.execute(stop)
    assert shop.sweep().cases.to_probe == ()


def test_a_read_that_does_not_say_is_made_again_and_counts_for_nothing(shop: Workshop) -> None:
    shop.told.folder = THROTTLED
    shop.time_passes()
    shop.heal()
    assert shop.row("SELECT probes FROM cases")["probes"] == 0
    assert shop.row("SELECT paused_until > now() AS paused FROM firms")["paused"]
    shop.told.folder = accepted()
    shop.time_passes()
    shop.heal()
    assert shop.states() == {"synced": 3}


def test_a_case_in_place_of_another(shop: Workshop) -> None:
    """The folder is gone meanwhile: what to do is another thing."""
    shop.told.folder = NOBODY
    shop.time_passes()
    shop.heal()
    assert shop.cases() == [
        ("folder", "access_denied", "healed"),
        ("folder", "unknown_folder", "open"),
    ]
    assert {row["case_id"] for row in shop.rows("SELECT case_id FROM entries")} == {2}
    assert sent(shop) == []
    shop.told.folder = accepted()
    shop.time_passes()
    shop.heal()
    assert shop.states() == {"synced": 3}


def test_words_that_are_not_known_leave_the_case_as_it_is(shop: Workshop) -> None:
    odd = replace(NOBODY, message="Réessayez plus tard.")
    shop.told.folder = odd
    shop.time_passes()
    shop.heal()
    assert shop.cases() == [("folder", "access_denied", "open")]
    assert probe_seconds(shop) > 100


def test_an_entry_that_is_refused_for_another_reason_gives_all_to_another_case(
    shop: Workshop,
) -> None:
    """And not one after the other."""
    shop.told.answers = [NOBODY]
    shop.time_passes()
    shop.heal()
    assert sent(shop) == [["1"]]
    assert shop.cases() == [
        ("folder", "access_denied", "healed"),
        ("folder", "unknown_folder", "open"),
    ]
    held = shop.rows("SELECT DISTINCT case_id, reason FROM entries")
    assert held == [{"case_id": 2, "reason": "unknown_folder"}]
    assert shop.row("SELECT held_by FROM folders")["held_by"] == 2
    shop.told.answers = [accepted()]
    shop.time_passes()
    shop.heal()
    assert shop.states() == {"synced": 3}


def test_what_landed_differently_on_the_way_holds_the_folder(engine: Engine) -> None:
    """Nothing more is sent to see before a person has looked, and then it goes on."""
    shop = Workshop(engine, first_samples=3)
    shop.add_firm()
    shop.told.answers = [ACCESS_DENIED, accepted()]
    shop.submit(*(purchase(number) for number in (1, 2, 3)))
    shop.deliver_all()
    shop.time_passes()
    shop.heal()
    lines = shop.row("SELECT lines FROM attempts ORDER BY id DESC LIMIT 1")["lines"]
    shop.told.found = [shown(lines, tiers="WAITING")]
    for _ in range(2):
        shop.hours_pass()
        shop.ask()
    assert shop.entry(1)["reason"] == "landed_differently"
    for _ in range(3):
        shop.time_passes()
        shop.heal()
    assert len(sent(shop)) == 2
    shop.settling.settle(shop.entry(1)["id"], in_loop=True, who="ada", why="corrected")
    shop.told.found = [[]]
    shop.time_passes()
    shop.heal()
    assert shop.state(2) in {"posted", "synced"}


def test_an_outage_ends_though_every_firm_is_held(engine: Engine) -> None:
    shop = Workshop(engine)
    shop.add_firm()
    shop.submit(purchase(1))
    shop.hold(Reason.CREDENTIALS_REFUSED)
    shop.execute("UPDATE outages SET since = now(), failures = 3")
    shop.probing.probe()
    assert shop.row("SELECT since FROM outages")["since"] is None


def test_while_an_import_takes_long_nothing_else_is_sent_to_see(shop: Workshop) -> None:
    shop.told.statuses = [Status(2, "")]
    for _ in range(4):
        shop.time_passes()
        shop.heal()
    assert sent(shop) == [["1"]]
    shop.told.statuses = [Status(3, "")]
    shop.time_passes()
    shop.follow_up()
    shop.execute("UPDATE cases SET probe_at = now() + interval '1 h'")
    shop.heal()
    assert shop.states() == {"synced": 3}


def test_what_is_synced_while_loop_is_asked_heals(shop: Workshop) -> None:
    shop.told.statuses = [Status(2, ""), Status(3, "")]
    shop.time_passes()
    shop.heal()
    shop.execute("UPDATE cases SET probe_at = now()")
    shop.follow_up()
    assert shop.healing.probe(1).progress is Progress.HEALED
    shop.deliver_all()
    assert sent(shop) == [["1"], ["2", "3"]]


def test_a_batch_that_was_claimed_before_the_hold_is_not_sent_with_what_is_sent_to_see(
    engine: Engine,
) -> None:
    shop = Workshop(engine)
    shop.add_firm()
    shop.submit(*(purchase(number) for number in (1, 2, 3)))

    def meanwhile(step: str) -> None:
        if step == "claim":
            shop.submit(purchase(4))
            shop.hold()
            shop.healing.probe_for(1, "ada")

    shop.another_delivery(checkpoint=meanwhile).deliver(shop.folder_id())
    assert sent(shop) == []
    shop.deliver_all()
    assert sent(shop) == [["4"]]
    assert [shop.state(number) for number in (1, 2, 3)] == ["parked"] * 3


def test_what_is_over_does_not_wait_behind_what_is_due(shop: Workshop) -> None:
    shop.time_passes()
    shop.healing.probe(1)
    shop.deliver_all()
    shop.follow_up()
    folders = [f"F{number}" for number in range(60)]
    shop.add_firm("OTHER", *folders)
    for folder in folders:
        shop.hold(Reason.ACCESS_DENIED, folder)
    shop.execute("UPDATE cases SET probe_at = now() - interval '1 h' WHERE id > 1")
    cases = shop.sweep().cases
    assert cases.over == (1,)
    # Of a firm no more than a part of its pace.
    assert len(cases.to_probe) == 1


def test_a_case_on_which_nothing_waits_any_more_is_over(engine: Engine) -> None:
    """The entry was corrected in the hub, and the older revision has given way."""
    shop = Workshop(engine)
    shop.add_firm()
    shop.told.answers = [REFUSED, accepted()]
    shop.submit(purchase(1))
    shop.deliver_all()
    assert shop.cases() == [("folder", "refused_by_loop", "open")]
    shop.submit(purchase(1, revision=2, event_id=str(uuid.uuid4())))
    shop.heal()
    assert shop.cases() == [("folder", "refused_by_loop", "healed")]
    assert shop.state(1, revision=2) == "synced"


def test_refused_keys_are_tried_and_heal_all_folders_of_the_firm(engine: Engine) -> None:
    shop = Workshop(engine)
    shop.add_firm(FIRM, FOLDER, "SECOND")
    shop.told.answers = [KEYS_REFUSED]
    shop.submit(purchase(1), purchase(2, folder="SECOND"))
    shop.deliver_all()
    assert shop.cases() == [("firm", "credentials_refused", "open")]
    shop.told.asked.clear()
    shop.told.keys = KEYS_REFUSED
    shop.time_passes()
    shop.heal()
    assert shop.told.asked == ["keys"]
    shop.told.keys, shop.told.answers = accepted(), [accepted()]
    shop.told.bodies.clear()
    shop.time_passes()
    shop.heal()
    assert sent(shop) == [["1"], ["2"]]
    assert shop.states() == {"synced": 2}


def test_the_folders_of_a_held_firm_are_not_asked_about(shop: Workshop) -> None:
    shop.hold(Reason.CREDENTIALS_REFUSED)
    shop.told.keys = KEYS_REFUSED
    shop.time_passes()
    shop.heal()
    assert shop.told.asked == ["keys"]
    shop.told.keys = accepted()
    shop.time_passes()
    shop.heal()
    assert shop.states() == {"synced": 3}
    assert [state for *_, state in shop.cases()] == ["healed", "healed"]


def test_a_folder_that_was_not_known_is_registered_on_the_way(engine: Engine) -> None:
    shop = Workshop(engine)
    shop.add_firm()
    shop.told.folder = NOBODY
    shop.submit(purchase(1, folder="NEW"), purchase(2, folder="NEW"))
    shop.deliver_all()
    assert shop.cases() == [("folder", "unknown_folder", "open")]
    shop.told.folder = accepted()
    shop.time_passes()
    shop.heal()
    assert shop.states() == {"synced": 2}
    assert shop.row("SELECT registered_at FROM folders WHERE code = 'NEW'")["registered_at"]


# A release, and a refusal within it.


def test_a_refusal_within_a_release_opens_the_same_case_again(shop: Workshop) -> None:
    shop.told.answers = [accepted(), ACCESS_DENIED, accepted()]
    shop.time_passes()
    shop.heal()
    assert [shop.state(number) for number in (1, 2, 3)] == ["synced", "parked", "parked"]
    assert shop.cases() == [("folder", "access_denied", "open")]
    assert acts(shop) == ["healed", "reopened"]
    assert probe_seconds(shop) == pytest.approx(120, abs=5)
    shop.time_passes()
    shop.heal()
    assert shop.states() == {"synced": 3}


def test_a_refusal_after_a_release_is_a_new_case(shop: Workshop) -> None:
    shop.time_passes()
    shop.heal()
    assert shop.states() == {"synced": 3}
    shop.told.answers = [ACCESS_DENIED]
    shop.submit(purchase(4))
    shop.deliver_all()
    assert [state for *_, state in shop.cases()] == ["healed", "open"]


def test_what_a_release_let_go_on_keeps_it_open_until_it_is_settled(shop: Workshop) -> None:
    """Of an entry that another case freed later it is that one's."""
    shop.told.answers = [accepted(), REFUSED, REFUSED, REFUSED, UNKNOWN, ACCESS_DENIED]
    shop.time_passes()
    shop.heal()
    refused = [shop.entry(number)["case_id"] for number in (2, 3)]
    assert refused == [2, 2]
    shop.release(2)
    shop.deliver_all()
    assert {shop.state(2), shop.state(3)} == {"uncertain"}
    shop.execute("UPDATE outages SET failures = 0")
    shop.time_passes()
    shop.submit(purchase(4))
    shop.deliver_all()
    assert shop.cases() == [
        ("folder", "access_denied", "healed"),
        ("folder", "refused_by_loop", "released"),
        ("folder", "access_denied", "open"),
    ]


def test_two_refusals_within_a_release_open_one_case_again(shop: Workshop) -> None:
    shop.release(1)
    cause = shop.cause()

    def met() -> int:
        with shop.engine.begin() as connection:
            return hold(connection, cause)

    assert set(all_at_once([met] * 4)) == {1}
    assert shop.cases() == [("folder", "access_denied", "open")]


# At once.


def test_fifty_that_meet_the_refusal_at_once_open_one_case(database_url: str) -> None:
    """Each over a connection of its own."""
    engine = make_engine(database_url, 50)
    shop = Workshop(engine)
    shop.add_firm()
    shop.submit(*(purchase(number) for number in range(1, 51)))
    cause = shop.cause()

    def met() -> int:
        with engine.begin() as connection:
            return hold(connection, cause)

    assert len(set(all_at_once([met] * 50))) == 1
    assert shop.cases() == [("folder", "access_denied", "open")]
    assert shop.states() == {"parked": 50}
    engine.dispose()


def test_two_probes_at_once_send_one_entry(shop: Workshop) -> None:
    shop.time_passes()
    probes: Sequence[Callable[[], object]] = [lambda: shop.healing.probe(1)] * 4
    all_at_once(list(probes))
    shop.deliver_all()
    assert sent(shop) == [["1"]]


def test_a_case_that_is_closed_while_loop_is_asked_stays_closed(shop: Workshop) -> None:
    class Released(type(shop.told)):  # type: ignore[misc]
        def read_folder(self, *_: object) -> Answer:
            shop.release(1)
            return ACCESS_DENIED

    shop.time_passes()
    assert shop.another_healing(Released()).probe(1).progress is Progress.NOT_NOW
    assert shop.cases() == [("folder", "access_denied", "released")]
    assert shop.states() == {"received": 3}


def test_an_event_that_arrives_while_a_case_heals_is_sent_or_waits_with_it(shop: Workshop) -> None:
    """Intake has seen the hold, and commits after the case has healed: it is let go on, too."""
    shop.told.statuses = [Status(3, "")]
    shop.time_passes()
    shop.healing.probe(1)
    shop.deliver_all()
    shop.follow_up()
    with shop.open_intake(purchase(4)):
        healed = background(lambda: shop.healing.release(1))
        shop.wait_for_lock(2)
    healed.result(30)
    assert shop.states() == {"synced": 1, "received": 3}


def test_a_late_answer_for_an_entry_that_is_held_is_not_dropped(engine: Engine) -> None:
    shop = Workshop(engine)
    shop.add_firm()
    shop.submit(purchase(1))

    def meanwhile() -> None:
        shop.lose_lease()
        shop.hold()

    shop.told.during = meanwhile
    shop.deliver()
    assert shop.state(1) == "posted"
    shop.told.during = lambda: None
    shop.follow_up()
    assert shop.state(1) == "synced"
    assert shop.cases() == [("folder", "access_denied", "open")]


# A person asks.


def test_a_person_has_loop_asked_at_once_and_starts_the_waits_anew(shop: Workshop) -> None:
    shop.told.folder = ACCESS_DENIED
    for _ in range(5):
        shop.time_passes()
        shop.heal()
    seen = shop.healing.probe_for(1, "ada")
    assert (seen.progress, seen.message) == (Progress.REFUSED, ACCESS_DENIED.message)
    assert probe_seconds(shop) == pytest.approx(120, abs=5)
    shop.told.folder = accepted()
    seen = shop.healing.probe_for(1, "ada")
    assert seen.progress is Progress.SENT
    # Asked twice, it is still one.
    again = shop.healing.probe_for(1, "ada")
    assert (again.progress, again.entry) == (Progress.SENT, seen.entry)
    shop.deliver_all()
    assert sent(shop) == [["1"]]
    shop.follow_up()
    shop.heal()
    assert shop.states() == {"synced": 3}
    assert acts(shop) == ["probed", "probed", "healed"]


def test_what_loop_cannot_tell_is_said(shop: Workshop) -> None:
    with pytest.raises(CaseError, match="no case 7"):
        shop.healing.probe_for(7, "ada")
    shop.execute("UPDATE firms SET paused_until = now() + interval '1 h'")
    with pytest.raises(HealingError, match="cannot be asked"):
        shop.healing.probe_for(1, "ada")
    shop.execute("UPDATE firms SET paused_until = NULL")
    shop.execute("UPDATE cases SET reason = 'refused_by_loop'")
    with pytest.raises(HealingError, match="cannot be asked"):
        shop.healing.probe_for(1, "ada")
    shop.release(1)
    with pytest.raises(CaseError, match="released already"):
        shop.healing.probe_for(1, "ada")
    assert acts(shop) == ["released"]


# What a refusal costs.


def test_of_a_folder_that_has_not_shown_anything_few_requests_wait_for_their_end(
    engine: Engine,
) -> None:
    shop = Workshop(engine, batch_lines=3)
    shop.add_firm()
    shop.submit(*(purchase(number) for number in range(1, 10)))
    for _ in range(10):
        shop.execute("UPDATE folders SET gather_until = NULL")
        shop.deliver_all()
    assert len(sent(shop)) == 4
    # What hangs holds up nobody for longer than a minute.
    shop.execute("UPDATE imports SET sent_at = now() - interval '61 s'")
    shop.deliver_all()
    assert len(sent(shop)) == 8
    shop.told.statuses = [Status(3, "")]
    shop.follow_up()
    shop.deliver_all()
    assert len(sent(shop)) == 9
    numbers = itertools.chain.from_iterable(sent(shop))
    assert list(numbers) == [str(number) for number in range(1, 10)]
