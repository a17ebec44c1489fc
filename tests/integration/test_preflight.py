"""What Loop would not take is not sent, says what is wrong, and goes on by itself when it can.

Loop here has a chart and journals that tests change; nothing else about it is told.
"""

import datetime as dt
import json
import uuid
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from passerelle.domain.outcome import Answer, Sort
from passerelle.domain.referential import Kind, Page, Record
from passerelle.domain.states import Reason
from passerelle.loop_api.client import PAGE_SIZE, Credentials
from passerelle.registration import FolderTerms
from support.events import JsonObject, purchase
from support.workshop import FIRM, FOLDER, KEYS_REFUSED, ToldLoop, Workshop, background

ACCOUNTS = ("401000", "445660", "606400")
AWAY = Answer(Sort.UNKNOWN, "Loop did not answer in time.", down=False)


class ChartedLoop(ToldLoop):
    """`lists`: by kind, each code and whether it is closed. `named`: codes asked for by name."""

    def __init__(self) -> None:
        super().__init__()
        self.lists: dict[Kind, dict[str, bool]] = {kind: {} for kind in Kind}
        self.lists[Kind.ACCOUNT] = dict.fromkeys(ACCOUNTS, False)
        self.lists[Kind.JOURNAL] = dict.fromkeys(("ACH", "VTE"), False)
        self.named: list[str] = []
        self.filters = True
        self.finding: Answer | None = None

    def list_page(
        self,
        credentials: Credentials,  # noqa: ARG002 Loop's
        folder: str,  # noqa: ARG002 idem
        kind: Kind,
        skip: int,
    ) -> Page | Answer:
        rows = sorted(self.lists[kind].items())[skip : skip + PAGE_SIZE]
        return self._page(rows)

    def find_code(
        self,
        credentials: Credentials,  # noqa: ARG002 idem
        folder: str,  # noqa: ARG002 idem
        kind: Kind,
        code: str,
    ) -> Page | Answer:
        self.named.append(code)
        if self.finding is not None:
            return self.finding
        rows = self.lists[kind].items()
        return self._page([row for row in rows if not self.filters or row[0] == code])

    @staticmethod
    def _page(rows: Iterable[tuple[str, bool]]) -> Page:
        records = [
            Record(code, f"Compte {code}", closed, None, None, {"code": code, "ferme": closed})
            for code, closed in rows
        ]
        return Page(tuple(records), len(records))


def charted(engine: Engine, gather_seconds: float = 0) -> tuple[Workshop, ChartedLoop]:
    loop = ChartedLoop()
    shop = Workshop(engine, loop, gather_seconds=gather_seconds)
    shop.add_firm()
    refresh(shop)
    return shop, loop


@pytest.fixture
def loop(shop: Workshop) -> ChartedLoop:
    assert isinstance(shop.told, ChartedLoop)
    return shop.told


@pytest.fixture
def shop(engine: Engine) -> Workshop:
    return charted(engine)[0]


def refresh(shop: Workshop) -> None:
    """As if a minute ago: lists are not read twice in one."""
    assert shop.another_referentials().refresh(shop.folder_id(), asked=True) is not None
    shop.execute("UPDATE folders SET refreshed_at = refreshed_at - interval '61 s'")


def refresh_is_asked_for(shop: Workshop) -> bool:
    return bool(shop.row("SELECT refresh_at <= now() AS due FROM folders")["due"])


def deliver(shop: Workshop) -> None:
    shop.time_passes()
    shop.deliver_all()


def using(number: int = 1, *accounts: str, **changes: Any) -> JsonObject:
    """An entry whose first lines are on these accounts."""
    event = purchase(number, **changes)
    for line, account in zip(event["entry"]["lines"], accounts, strict=False):
        line["account"] = account
    return event


def missing(code: str = "606300", number: int = 1) -> JsonObject:
    return using(number, code)


# What is known is sent, and what is not known of a folder stands against nobody.


def test_an_entry_that_lacks_nothing_is_sent_and_nothing_is_asked_for(
    shop: Workshop, loop: ChartedLoop
) -> None:
    shop.submit(purchase(1))
    deliver(shop)
    assert shop.state() == "posted"
    assert loop.named == []


@pytest.mark.parametrize("kind", [Kind.ACCOUNT, Kind.JOURNAL])
def test_a_list_of_which_nothing_is_known_stands_against_nobody(engine: Engine, kind: Kind) -> None:
    loop = ChartedLoop()
    loop.lists[kind] = {}
    shop = Workshop(engine, loop)
    shop.add_firm()
    refresh(shop)
    shop.submit(missing())
    if kind is Kind.JOURNAL:
        loop.lists[Kind.ACCOUNT]["606300"] = False
    deliver(shop)
    deliver(shop)
    assert shop.state() == "posted"


def test_zeros_on_the_right_make_no_other_account(shop: Workshop, loop: ChartedLoop) -> None:
    loop.lists[Kind.ACCOUNT] = dict.fromkeys(("40100000", "4456600", "6064"), False)
    refresh(shop)
    shop.submit(purchase(1))
    deliver(shop)
    assert shop.state() == "posted"
    assert loop.named == []


def test_an_account_that_was_made_since_is_found_by_name(shop: Workshop, loop: ChartedLoop) -> None:
    loop.lists[Kind.ACCOUNT]["606300"] = False
    shop.submit(missing())
    deliver(shop)
    assert loop.named == ["606300"]
    deliver(shop)
    assert shop.state() == "posted"
    assert not refresh_is_asked_for(shop)


def test_what_was_found_by_name_goes_without_gathering(engine: Engine) -> None:
    shop, loop = charted(engine, gather_seconds=3600)
    loop.lists[Kind.ACCOUNT]["606300"] = False
    shop.submit(missing())
    shop.deliver_all()
    assert loop.named == ["606300"]
    assert shop.state() == "posted"


def test_an_account_as_long_as_those_beside_it_is_found(shop: Workshop, loop: ChartedLoop) -> None:
    loop.lists[Kind.ACCOUNT]["60640000"] = False
    refresh(shop)
    loop.lists[Kind.ACCOUNT]["60630000"] = False
    shop.submit(missing("6063"))
    deliver(shop)
    deliver(shop)
    assert shop.state() == "posted"


# What is missing.


REASONS = [
    (Reason.UNKNOWN_ACCOUNT, Kind.ACCOUNT, "606300", None),
    (Reason.CLOSED_ACCOUNT, Kind.ACCOUNT, "606300", True),
    (Reason.UNKNOWN_JOURNAL, Kind.JOURNAL, "OD", None),
    (Reason.CLOSED_JOURNAL, Kind.JOURNAL, "OD", True),
]


@pytest.mark.parametrize(("reason", "kind", "code", "closed"), REASONS)
def test_what_is_missing_is_looked_for_twice_parked_with_a_hint_and_goes_on_when_it_has_come(
    shop: Workshop, loop: ChartedLoop, reason: Reason, kind: Kind, code: str, *, closed: bool | None
) -> None:
    if closed is not None:
        loop.lists[kind][code] = closed
        refresh(shop)
    lacking = missing(code) if kind is Kind.ACCOUNT else purchase(1, journal={"code": code})
    shop.submit(lacking, purchase(2))
    deliver(shop)
    # Not before the lists were read anew; the other entry is sent at once.
    deliver(shop)
    assert (shop.state(1), shop.state(2)) == ("waiting", "posted")
    assert refresh_is_asked_for(shop)
    refresh(shop)
    deliver(shop)
    assert (shop.state(1), shop.entry(1)["reason"]) == ("parked", reason)
    assert shop.cases() == [("folder", reason, "open")]
    message = shop.entry(1)["message"]
    assert code in message
    assert f"Nearest: {'606400' if kind is Kind.ACCOUNT else 'VTE'}" in message
    assert len(shop.told.bodies) == 1
    # The cure appears, and the next reading sees it.
    loop.lists[kind][code] = False
    refresh(shop)
    assert shop.cases() == [("folder", reason, "healed")]
    deliver(shop)
    assert shop.state(1) == "posted"


def test_entries_that_lack_the_same_are_one_case_and_ask_once(
    shop: Workshop, loop: ChartedLoop
) -> None:
    shop.submit(*(missing(number=number) for number in range(1, 31)))
    deliver(shop)
    assert loop.named == ["606300"]
    refresh(shop)
    deliver(shop)
    assert shop.states() == {"parked": 30}
    assert len(shop.cases()) == 1
    # Later ones are told at once, but asked for all the same.
    loop.named.clear()
    shop.submit(missing(number=31))
    deliver(shop)
    assert shop.state(31) == "parked"
    assert loop.named == ["606300"]


def test_what_has_come_since_the_case_is_found_by_name(shop: Workshop, loop: ChartedLoop) -> None:
    shop.submit(missing())
    deliver(shop)
    refresh(shop)
    deliver(shop)
    assert shop.state(1) == "parked"
    loop.lists[Kind.ACCOUNT]["606300"] = False
    shop.submit(missing(number=2))
    deliver(shop)
    deliver(shop)
    assert shop.state(2) == "posted"


def test_an_entry_that_lacks_two_things_goes_on_when_it_has_both(
    shop: Workshop, loop: ChartedLoop
) -> None:
    shop.submit(using(1, "606300", "445000"))
    deliver(shop)
    refresh(shop)
    deliver(shop)
    assert shop.state() == "parked"
    loop.lists[Kind.ACCOUNT] |= {"445000": False}
    refresh(shop)
    deliver(shop)
    refresh(shop)
    deliver(shop)
    assert shop.state() == "parked"
    loop.lists[Kind.ACCOUNT] |= {"606300": False}
    refresh(shop)
    deliver(shop)
    assert shop.state() == "posted"
    assert {state for *_, state in shop.cases()} == {"healed"}


def test_a_folder_that_creates_accounts_lacks_none(shop: Workshop) -> None:
    shop.submit(missing())
    deliver(shop)
    refresh(shop)
    deliver(shop)
    assert shop.state() == "parked"
    shop.registration.set_folder(FIRM, FOLDER, FolderTerms(create_accounts=True))
    assert shop.cases() == [("folder", "unknown_account", "healed")]
    deliver(shop)
    assert shop.state() == "posted"


def test_a_correction_in_the_hub_heals_as_well(shop: Workshop) -> None:
    shop.submit(missing())
    deliver(shop)
    refresh(shop)
    deliver(shop)
    shop.submit(purchase(1, revision=2, event_id=str(uuid.uuid4())))
    shop.heal()
    assert (shop.state(1), shop.state(1, revision=2)) == ("superseded", "synced")
    assert shop.cases() == [("folder", "unknown_account", "healed")]


# Nobody knows.


@pytest.mark.parametrize("answer", [AWAY, Answer(Sort.REFUSED, "non", 200)])
def test_where_loop_does_not_say_by_name_it_is_asked_again_and_then_says_itself(
    shop: Workshop, loop: ChartedLoop, answer: Answer
) -> None:
    loop.finding = answer
    shop.submit(missing())
    deliver(shop)
    refresh(shop)
    deliver(shop)
    assert shop.state() == "waiting"
    shop.execute("UPDATE entries SET lacking_since = lacking_since - interval '14 min'")
    deliver(shop)
    assert shop.state() == "waiting"
    shop.execute("UPDATE entries SET lacking_since = lacking_since - interval '2 min'")
    deliver(shop)
    assert shop.state() == "posted"


def test_a_list_that_is_in_doubt_parks_nobody(shop: Workshop, loop: ChartedLoop) -> None:
    shop.submit(missing())
    deliver(shop)
    kept, loop.lists[Kind.ACCOUNT] = loop.lists[Kind.ACCOUNT], {"101000": False}
    refresh(shop)
    assert shop.rows("SELECT kind FROM referential_flags") == [{"kind": "account"}]
    deliver(shop)
    assert shop.state() == "waiting"
    loop.lists[Kind.ACCOUNT] = kept
    refresh(shop)
    deliver(shop)
    assert shop.state() == "parked"


def test_a_reading_that_began_before_is_not_believed(shop: Workshop) -> None:
    shop.submit(missing())
    deliver(shop)
    refresh(shop)
    shop.execute("UPDATE folders SET refreshed_from = refreshed_from - interval '1 h'")
    deliver(shop)
    assert shop.state() == "waiting"
    assert refresh_is_asked_for(shop)


def test_where_loop_ignores_the_filter_the_lists_decide(shop: Workshop, loop: ChartedLoop) -> None:
    loop.filters = False
    shop.submit(missing())
    deliver(shop)
    refresh(shop)
    deliver(shop)
    assert shop.state() == "parked"


def test_a_refusal_while_asking_by_name_holds_the_folder(shop: Workshop, loop: ChartedLoop) -> None:
    loop.finding = Answer(Sort.PERSON, "non", 200, reason=Reason.ACCESS_DENIED)
    shop.submit(missing(), purchase(2))
    deliver(shop)
    assert shop.states() == {"parked": 2}
    assert shop.cases() == [("folder", "access_denied", "open")]


def test_an_entry_that_lacks_more_than_is_asked_for_at_once_is_parked_as_well(
    shop: Workshop, loop: ChartedLoop
) -> None:
    event = purchase(1)
    lines = [
        {"account": f"60{number}00", "description": "x", "debit": "1.00", "credit": "0.00"}
        for number in range(11, 71)
    ]
    event["entry"]["lines"] = [*lines, event["entry"]["lines"][-1] | {"credit": "60.00"}]
    shop.submit(event)
    deliver(shop)
    assert len(loop.named) == 50
    assert shop.state() == "waiting"
    assert shop.entry()["lacking_since"] is not None
    refresh(shop)
    deliver(shop)
    assert shop.state() == "parked"


def test_good_entries_go_beside_any_number_that_lack_something(
    shop: Workshop, loop: ChartedLoop
) -> None:
    shop.submit(*(missing(f"60{number}00", number) for number in range(11, 40)))
    shop.submit(purchase(99))
    deliver(shop)
    assert shop.state(99) == "posted"


def test_the_lists_are_not_read_again_and_again(shop: Workshop) -> None:
    shop.submit(missing(number=1))
    deliver(shop)
    refresh(shop)
    shop.execute("UPDATE folders SET refreshed_at = now()")
    shop.submit(missing("607000", 2))
    deliver(shop)
    assert not refresh_is_asked_for(shop)
    shop.execute("UPDATE folders SET refreshed_at = now() - interval '61 s'")
    shop.time_passes()
    deliver(shop)
    assert refresh_is_asked_for(shop)


def test_a_key_that_may_not_read_a_list_holds_nobody(shop: Workshop, loop: ChartedLoop) -> None:
    loop.finding = KEYS_REFUSED
    shop.submit(missing(), purchase(2))
    deliver(shop)
    assert (shop.state(1), shop.state(2)) == ("waiting", "posted")
    assert shop.cases() == []


def test_what_is_sent_to_see_may_have_its_folders_lists_read(
    shop: Workshop, loop: ChartedLoop
) -> None:
    shop.submit(missing(number=1), purchase(2))
    shop.hold()
    shop.time_passes()
    shop.heal()
    assert shop.state(1) == "waiting"
    refresh(shop)
    shop.time_passes()
    for _ in range(3):
        shop.heal()
        shop.time_passes()
        shop.deliver_all()
    assert (shop.state(1), shop.state(2)) == ("parked", "synced")
    assert shop.entry(1)["reason"] == "unknown_account"


# The period and the document.


def test_a_date_outside_of_the_open_period_waits_for_it(shop: Workshop) -> None:
    shop.registration.set_folder(
        FIRM, FOLDER, FolderTerms(open_from=dt.date(2026, 1, 1), open_to=dt.date(2026, 6, 30))
    )
    shop.submit(purchase(1), purchase(2, date="2026-06-30"), purchase(3, date="2026-01-01"))
    deliver(shop)
    assert [shop.state(number) for number in (1, 2, 3)] == ["parked", "posted", "posted"]
    assert "2026-11-18" in shop.entry(1)["message"]
    # Opened, but not far enough: the same case.
    shop.registration.set_folder(FIRM, FOLDER, FolderTerms(open_to=dt.date(2026, 7, 31)))
    deliver(shop)
    assert shop.cases() == [("folder", "outside_open_period", "open")]
    shop.registration.set_folder(FIRM, FOLDER, FolderTerms(open_to=dt.date(2026, 12, 31)))
    deliver(shop)
    assert shop.state(1) == "posted"


def _signed(until: dt.datetime) -> JsonObject:
    seconds = int(until.timestamp())
    return {"url": f"https://d1.cloudfront.net/1.pdf?Expires={seconds}&Signature=x&Key-Pair-Id=K"}


def test_a_link_that_lives_too_short_waits_for_another(shop: Workshop) -> None:
    now = dt.datetime.now(dt.UTC)
    over = _signed(now + dt.timedelta(hours=22))
    shop.submit(*(purchase(number, attachment=over) for number in (1, 2)))
    deliver(shop)
    assert shop.states() == {"parked": 2}
    assert shop.cases() == [("folder", "attachment_expired", "open")]
    fresh = _signed(now + dt.timedelta(hours=25))
    later = (now + dt.timedelta(minutes=1)).isoformat()
    for number in (1, 2):
        again = purchase(number, attachment=fresh)
        shop.submit(again | {"event_id": str(uuid.uuid4()), "occurred_at": later})
    shop.heal()
    assert shop.states() == {"synced": 2}
    assert shop.cases() == [("folder", "attachment_expired", "healed")]
    lines = [line for body in shop.told.bodies for line in body["data"]["ecritures"]]
    assert {line["fichier"]["uri"] for line in lines if "fichier" in line} == {fresh["url"]}


def test_another_link_that_comes_while_the_entry_is_looked_at_is_not_lost(shop: Workshop) -> None:
    now = dt.datetime.now(dt.UTC)
    shop.submit(purchase(1, attachment=_signed(now + dt.timedelta(hours=2))))

    def meanwhile(step: str) -> None:
        if step == "claim":
            again = purchase(1, attachment=_signed(now + dt.timedelta(hours=48)))
            later = (now + dt.timedelta(minutes=1)).isoformat()
            shop.submit(again | {"event_id": str(uuid.uuid4()), "occurred_at": later})

    shop.another_delivery(checkpoint=meanwhile).deliver(shop.folder_id())
    assert shop.cases() == []
    deliver(shop)
    assert shop.state() == "posted"


# Two at once, and whatever comes in whatever order.


def test_a_reading_that_ends_while_an_entry_is_looked_at_lets_it_go_on(
    shop: Workshop, loop: ChartedLoop
) -> None:
    """It has seen the old lists; the case that it opens then is not left behind."""
    shop.submit(missing())
    deliver(shop)
    refresh(shop)

    def meanwhile(step: str) -> None:
        if step == "claim":
            loop.lists[Kind.ACCOUNT]["606300"] = False
            background(lambda: refresh(shop)).result(30)

    shop.time_passes()
    shop.another_delivery(checkpoint=meanwhile).deliver(shop.folder_id())
    deliver(shop)
    assert shop.state() == "posted"


CODES = st.sampled_from(["6063", "606300", "60630000", "401000", "512000"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("chart"), CODES, st.sampled_from([None, True, False])),
        st.tuples(st.just("entry"), CODES, CODES),
        st.tuples(st.just("refresh"), st.none(), st.none()),
        st.tuples(st.just("deliver"), st.none(), st.none()),
    ),
    max_size=14,
)


def _has(chart: dict[str, bool], account: str) -> bool:
    return any(
        code.rstrip("0") == account.rstrip("0") and not closed for code, closed in chart.items()
    )


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_what_loop_has_is_never_missed(engine: Engine, steps: list[tuple[str, Any, Any]]) -> None:
    """An entry whose accounts are there, open, when it is looked at is not parked for them."""
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "TRUNCATE firms, folders, cases, entries, events, imports, attempts, transitions, "
            "questions, referential_records, referential_flags, auxiliary_codes, case_acts, "
            "refused_events CASCADE"
        )
    shop, loop = charted(engine)
    chart = loop.lists[Kind.ACCOUNT]
    number = 0
    for step, one, other in steps:
        if step == "chart" and other is None:
            chart.pop(one, None)
        elif step == "chart":
            chart[one] = other
        elif step == "entry":
            number += 1
            shop.submit(using(number, one, other))
        elif step == "refresh":
            refresh(shop)
        else:
            before = {row["id"] for row in shop.rows("SELECT id FROM entries WHERE state='parked'")}
            deliver(shop)
            for row in shop.rows("SELECT id, entry FROM entries WHERE state = 'parked'"):
                if row["id"] not in before:
                    used = {line["account"] for line in row["entry"]["lines"]}
                    assert not all(_has(chart, account) for account in used), json.dumps(chart)
    # Whatever had been parked goes on once all is there.
    chart.clear()
    chart.update(dict.fromkeys((*ACCOUNTS, "606300", "512000"), False))
    for _ in range(4):
        refresh(shop)
        deliver(shop)
    assert set(shop.states()) <= {"posted"}
