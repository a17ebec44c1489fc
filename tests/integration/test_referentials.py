"""Reading reference data: what is believed of what Loop lists, and what is kept."""

import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from sqlalchemy import Engine

from passerelle.domain.outcome import Answer
from passerelle.domain.referential import Kind, Page
from passerelle.loop_api.client import Credentials, Loop
from passerelle.referentials import Refreshed
from passerelle.registration import FolderTerms
from support.events import purchase
from support.simulator import SimulatorHandle
from support.workshop import FIRM, FOLDER, NIGHT, DiedError, Workshop

ACCOUNTS = [
    {"code": "60100000", "label": "Achats"},
    {"code": "40100000", "label": "Fournisseurs"},
    {"code": "51200000", "label": "Banque", "closed": True},
]
JOURNALS = [{"code": "ACH", "label": "Achats", "type": 1}, {"code": "VT", "type": 8}]
THIRD_PARTIES = [
    {"code": "DUPONT", "name": "Dupont SA", "kind": "supplier"},
    {"code": "MARTIN", "name": "Martin", "kind": "customer"},
    {"code": "PAUL", "kind": "employee"},
    {"code": "DGFIP"},
]


class Books(Loop):
    """The simulator's lists; `during` runs before each page, and is given its list and `skip`."""

    def __init__(self, url: str) -> None:
        super().__init__(url, send_seconds=5, call_seconds=10)
        self.during: Callable[[Kind, int], None] = lambda *_: None

    def list_page(
        self, credentials: Credentials, folder: str, kind: Kind, skip: int
    ) -> Page | Answer:
        self.during(kind, skip)
        return super().list_page(credentials, folder, kind, skip)


@pytest.fixture
def books(loop: SimulatorHandle) -> Books:
    loop.patch_folder(FOLDER, accounts=ACCOUNTS, journals=JOURNALS, third_parties=THIRD_PARTIES)
    return Books(loop.base_url)


@pytest.fixture
def shop(engine: Engine, books: Books) -> Workshop:
    made = Workshop(engine, books)
    made.add_firm()
    return made


def numbered(count: int, first: int = 0) -> list[dict[str, object]]:
    return [{"code": f"6{number:07}"} for number in range(first, first + count)]


def refresh(shop: Workshop, **options: bool) -> Refreshed:
    done = shop.referentials.refresh(shop.folder_id(), **{"asked": True, **options})
    assert done is not None
    return done


def records(shop: Workshop, kind: str) -> dict[str, Mapping[str, Any]]:
    rows = shop.rows(
        "SELECT * FROM referential_records WHERE kind = :kind ORDER BY code", kind=kind
    )
    return {row["code"]: row for row in rows}


def there(shop: Workshop, kind: str) -> set[str]:
    return {code for code, row in records(shop, kind).items() if row["gone_at"] is None}


def flags(shop: Workshop) -> dict[str, str]:
    rows = shop.rows("SELECT kind, message FROM referential_flags")
    return {row["kind"]: row["message"] for row in rows}


def folder_row(shop: Workshop) -> Mapping[str, Any]:
    return shop.row("SELECT *, now() AS now FROM folders")


def test_each_list_is_stored_with_all_fields(shop: Workshop) -> None:
    done = refresh(shop)
    assert done.shown == {"account": 3, "journal": 2, "customer": 1, "supplier": 1, "employee": 1,
                          "other": 1}  # fmt: skip
    assert (done.changed, done.gone, done.flags) == (9, 0, {})
    bank = records(shop, "account")["51200000"]
    assert bank["label"] == "Banque"
    assert bank["closed_at"] is not None
    assert bank["object_id"] == bank["record"]["objectId"]
    assert bank["revision_id"] == bank["record"]["revisionId"]
    assert bank["record"]["pointable"] is True
    assert records(shop, "account")["60100000"]["closed_at"] is None
    assert records(shop, "journal")["ACH"]["record"]["type"] == 1
    assert records(shop, "supplier")["DUPONT"]["label"] == "Dupont SA"
    assert set(records(shop, "other")) == {"DGFIP"}


def test_the_next_time_is_in_the_night(shop: Workshop) -> None:
    refresh(shop)
    row = folder_row(shop)
    assert row["refresh_at"] == in_the_night(row)
    assert (row["refresh_lease"], row["refresh_failures"]) == (None, 0)
    assert shop.referentials.refresh(shop.folder_id()) is None


def in_the_night(row: Mapping[str, Any]) -> object:
    return NIGHT.next_turn(row["id"], row["refreshed_at"])


def test_what_is_as_it_was_is_not_written(shop: Workshop) -> None:
    refresh(shop)
    places = "SELECT kind, code, ctid::text, xmin::text, xmax::text FROM referential_records"
    before = shop.rows(places)
    done = refresh(shop)
    assert (done.changed, done.gone) == (0, 0)
    assert shop.rows(places) == before


def test_closed_reopened_gone_and_back_are_told_with_their_times(
    shop: Workshop, loop: SimulatorHandle
) -> None:
    refresh(shop)
    assert records(shop, "account")["51200000"]["reopened_at"] is None
    opened = [{**ACCOUNTS[2], "closed": False}, {**ACCOUNTS[1], "closed": True}]
    loop.patch_folder(FOLDER, accounts=opened)
    done = refresh(shop)
    assert (done.changed, done.gone) == (2, 1)
    found = records(shop, "account")
    assert found["51200000"]["closed_at"] is None
    assert found["51200000"]["reopened_at"] is not None
    assert found["40100000"]["closed_at"] is not None
    assert found["60100000"]["gone_at"] is not None
    loop.patch_folder(FOLDER, accounts=ACCOUNTS)
    refresh(shop)
    again = records(shop, "account")
    assert again["60100000"]["gone_at"] is None
    assert again["51200000"]["closed_at"] > found["51200000"]["reopened_at"]
    assert again["51200000"]["reopened_at"] == found["51200000"]["reopened_at"]


def test_no_more_is_asked_than_there_are_pages(shop: Workshop, loop: SimulatorHandle) -> None:
    loop.patch_folder(FOLDER, accounts=numbered(250))
    before = loop.count()
    assert refresh(shop).shown[Kind.ACCOUNT] == 250
    assert loop.count("compte") == 3
    assert loop.count() - before == 3 + 5


def test_a_list_that_shrinks_is_not_believed_before_a_person_does(
    shop: Workshop, loop: SimulatorHandle
) -> None:
    loop.patch_folder(FOLDER, accounts=numbered(50))
    refresh(shop)
    loop.patch_folder(FOLDER, accounts=numbered(5), journals=[])
    done = refresh(shop)
    assert done.flags.keys() == {"account", "journal"}
    assert "5 of 50" in flags(shop)["account"]
    assert len(there(shop, "account")) == 50
    assert there(shop, "journal") == {"ACH", "VT"}
    refresh(shop, accept=True)
    assert (len(there(shop, "account")), there(shop, "journal"), flags(shop)) == (5, set(), {})


def test_a_list_that_shrinks_by_half_is_believed(shop: Workshop, loop: SimulatorHandle) -> None:
    loop.patch_folder(FOLDER, accounts=numbered(50))
    refresh(shop)
    loop.patch_folder(FOLDER, accounts=numbered(25))
    assert refresh(shop).gone == 25


def test_a_page_that_fails_harms_its_own_list_alone(shop: Workshop, loop: SimulatorHandle) -> None:
    loop.patch_folder(FOLDER, accounts=numbered(250))
    refresh(shop)
    loop.patch_folder(FOLDER, accounts=numbered(250, first=1), journals=JOURNALS[:1])
    loop.set_faults({"fault": "http_500", "route": "compte", "after": 1})
    done = refresh(shop)
    assert done.shown == {}
    assert list(flags(shop)) == ["account"]
    assert len(there(shop, "account")) == 250
    shop.time_passes()
    # Read last now: the others are there by then.
    done = refresh(shop)
    assert done.shown.keys() == set(Kind) - {Kind.ACCOUNT}
    assert there(shop, "journal") == {"ACH"}
    assert "60000000" in there(shop, "account")
    assert flags(shop)["account"] == "It could not be read: Internal server error"
    row = folder_row(shop)
    assert row["refresh_failures"] == 2
    assert 90 < (row["refresh_at"] - row["now"]).total_seconds() < 150
    loop.set_faults()
    shop.time_passes()
    refresh(shop)
    assert flags(shop) == {}
    assert "60000000" not in there(shop, "account")


def test_a_list_that_loop_refuses_is_flagged_and_waits_for_the_night(
    shop: Workshop, loop: SimulatorHandle
) -> None:
    loop.set_faults({"fault": "neither_key", "route": "tiersDivers"})
    done = refresh(shop)
    assert done.flags.keys() == {"other"}
    assert done.shown.keys() == set(Kind) - {Kind.OTHER}
    row = folder_row(shop)
    assert row["refresh_failures"] == 0
    assert row["refresh_at"] == in_the_night(row)


@pytest.mark.parametrize("count", [150, 200, 250])
def test_where_loop_gives_all_at_once_all_is_taken(
    shop: Workshop, loop: SimulatorHandle, count: int
) -> None:
    loop.patch_folder(FOLDER, accounts=numbered(count))
    loop.set_faults({"fault": "take_ignored"})
    assert refresh(shop).shown[Kind.ACCOUNT] == count
    assert flags(shop) == {}
    assert loop.count("compte") == 2


def test_of_pages_that_overlap_nothing_is_forgotten(shop: Workshop, loop: SimulatorHandle) -> None:
    loop.patch_folder(FOLDER, accounts=numbered(250))
    refresh(shop)
    loop.set_faults({"fault": "pages_overlap"})
    loop.patch_folder(FOLDER, accounts=numbered(250, first=10))
    refresh(shop)
    assert len(there(shop, "account")) == 260
    assert "overlap" in flags(shop)["account"]
    loop.set_faults()
    refresh(shop)
    assert (len(there(shop, "account")), flags(shop)) == (250, {})


class Stubborn(Books):
    """Heeds `take` and no `skip`: the first page for ever."""

    def list_page(
        self, credentials: Credentials, folder: str, kind: Kind, skip: int
    ) -> Page | Answer:
        self.during(kind, skip)
        return super().list_page(credentials, folder, kind, 0)


def test_a_page_that_comes_again_ends_the_list_and_nothing_is_forgotten(
    shop: Workshop, books: Books, loop: SimulatorHandle
) -> None:
    loop.patch_folder(FOLDER, accounts=numbered(150))
    refresh(shop)
    stubborn = shop.another_referentials(Stubborn(loop.base_url))
    asked = loop.count("compte")
    stubborn.refresh(shop.folder_id(), asked=True)
    assert loop.count("compte") - asked == 2
    assert len(there(shop, "account")) == 150
    assert "again" in flags(shop)["account"]


def test_who_died_on_the_way_has_changed_nothing(
    shop: Workshop, books: Books, loop: SimulatorHandle
) -> None:
    refresh(shop)
    loop.patch_folder(FOLDER, accounts=numbered(150), journals=[{"code": "OD"}])

    def die(kind: Kind, _: int) -> None:
        if kind is Kind.OTHER:
            raise DiedError

    books.during = die
    with contextlib.suppress(DiedError):
        refresh(shop)
    assert there(shop, "account") == {account["code"] for account in ACCOUNTS}
    books.during = lambda *_: None
    assert refresh(shop).shown[Kind.ACCOUNT] == 150


def test_what_was_killed_on_the_way_is_begun_anew_when_its_lease_is_over(shop: Workshop) -> None:
    leased = "refresh_lease = gen_random_uuid(), refresh_lease_until = now() + interval '1 min'"
    shop.execute(f"UPDATE folders SET {leased}")  # noqa: S608 a literal
    assert shop.referentials.refresh(shop.folder_id()) is None
    shop.execute("UPDATE folders SET refresh_lease_until = now()")
    assert shop.referentials.refresh(shop.folder_id()) is not None


def test_who_lost_the_folder_writes_nothing(
    shop: Workshop, books: Books, loop: SimulatorHandle
) -> None:
    """Its lease ran out while it waited for Loop, and somebody else has read the folder since."""
    other = Workshop(shop.engine, Books(loop.base_url)).referentials

    def overtake(kind: Kind, _: int) -> None:
        if kind is Kind.OTHER:
            books.during = lambda *_: None
            shop.execute("UPDATE folders SET refresh_lease_until = now()")
            loop.patch_folder(FOLDER, accounts=numbered(7))
            assert other.refresh(shop.folder_id(), asked=True) is not None

    books.during = overtake
    assert shop.referentials.refresh(shop.folder_id(), asked=True) is None
    assert len(there(shop, "account")) == 7


def test_two_at_once_read_a_folder_once(shop: Workshop, books: Books) -> None:
    second: list[object] = []
    books.during = lambda *_: second.append(shop.referentials.refresh(shop.folder_id(), asked=True))
    refresh(shop)
    assert set(second) == {None}


def test_a_reader_sees_all_lists_before_or_all_after(shop: Workshop, loop: SimulatorHandle) -> None:
    loop.patch_folder(FOLDER, accounts=numbered(1500), journals=JOURNALS)
    refresh(shop)
    loop.patch_folder(FOLDER, accounts=numbered(1500, first=700), journals=[{"code": "OD"}])
    seen: set[tuple[object, ...]] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            rows = shop.rows(
                "SELECT count(*) FILTER (WHERE kind = 'account') AS accounts, "
                "min(code) FILTER (WHERE kind = 'account') AS first, "
                "array_agg(code ORDER BY code) FILTER (WHERE kind = 'journal') AS journals "
                "FROM referential_records WHERE gone_at IS NULL"
            )
            seen.update((r["accounts"], r["first"], tuple(r["journals"])) for r in rows)

    reader = threading.Thread(target=watch)
    reader.start()
    try:
        refresh(shop, accept=True)
    finally:
        over.set()
        reader.join()
    before, after = (1500, "60000000", ("ACH", "VT")), (1500, "60000700", ("OD",))
    assert before in seen
    assert seen <= {before, after}


def test_what_throttles_is_waited_for_and_the_list_goes_on(
    shop: Workshop, loop: SimulatorHandle
) -> None:
    loop.patch_folder(FOLDER, accounts=numbered(250))
    loop.set_faults(
        {"fault": "rate_limited", "route": "compte", "after": 1, "count": 1, "seconds": 1}
    )
    assert refresh(shop).shown[Kind.ACCOUNT] == 250
    assert loop.count("compte") == 4


def test_a_key_that_may_not_read_one_list_is_no_refused_key(
    shop: Workshop, loop: SimulatorHandle
) -> None:
    loop.set_faults({"fault": "api_key_forbidden", "route": "tiersSalarie"})
    done = refresh(shop)
    assert done.flags.keys() == {"employee"}
    assert done.shown.keys() == set(Kind) - {Kind.EMPLOYEE}
    assert shop.cases() == []


def test_keys_that_could_not_be_tried_hold_nothing(shop: Workshop, loop: SimulatorHandle) -> None:
    loop.set_faults(
        {"fault": "api_key_forbidden", "route": "tiersSalarie"},
        {"fault": "http_503", "route": "getImportStatus"},
    )
    assert refresh(shop).stopped == "HTTP 503"
    assert shop.cases() == []
    assert folder_row(shop)["refresh_failures"] == 1


def test_refused_keys_hold_the_firm(shop: Workshop, loop: SimulatorHandle) -> None:
    loop.set_faults({"fault": "api_key_refused"})
    assert refresh(shop).stopped == "la clé d'API est invalide ou inactive"
    assert shop.cases() == [("firm", "credentials_refused", "open")]


def test_keys_that_were_replaced_meanwhile_hold_nothing(
    shop: Workshop, books: Books, loop: SimulatorHandle
) -> None:
    """The old ones are refused since; the folder is read anew by the new ones."""

    def replaced(kind: Kind, _: int) -> None:
        if kind is Kind.JOURNAL:
            loop.set_faults({"fault": "api_key_refused"})
            sealed = shop.vault.seal("new")
            shop.execute("UPDATE firms SET api_key = :sealed", sealed=sealed)
            shop.execute("UPDATE folders SET refresh_lease = NULL, refresh_lease_until = NULL")

    books.during = replaced
    assert shop.referentials.refresh(shop.folder_id(), asked=True) is None
    assert shop.cases() == []
    books.during = lambda *_: None
    loop.set_faults()
    assert refresh(shop).stopped is None


def test_what_fails_in_itself_is_put_off(shop: Workshop, books: Books) -> None:
    """Or it would be begun anew every second, and no other folder of the firm would be read."""
    shop.registration.add_folder(FIRM, "SECOND", FolderTerms())

    def fail(*_: object) -> None:
        raise DiedError

    books.during = fail
    for failures in (1, 2):
        shop.execute("UPDATE folders SET refresh_at = NULL WHERE code = :code", code=FOLDER)
        with contextlib.suppress(DiedError):
            shop.referentials.refresh(shop.folder_id())
        row = shop.row("SELECT *, now() AS now FROM folders WHERE code = :code", code=FOLDER)
        assert row["refresh_failures"] == failures
        assert (row["refresh_at"] - row["now"]).total_seconds() > 50 * failures
    assert shop.sweep().refreshes == (shop.folder_id("SECOND"),)


def test_a_refusal_of_access_holds_the_folder(shop: Workshop, loop: SimulatorHandle) -> None:
    loop.patch_folder(FOLDER, access="refused_at_post")
    refresh(shop)
    assert shop.cases() == [("folder", "access_denied", "open")]
    assert shop.referentials.refresh(shop.folder_id(), asked=True) is None
    assert loop.count("journal") + loop.count("compte") == 1


def test_a_process_that_is_to_end_reads_no_further(
    shop: Workshop, books: Books, loop: SimulatorHandle
) -> None:
    books.during = lambda *_: shop.stop.set()
    done = refresh(shop)
    assert done.shown.keys() == {Kind.ACCOUNT}
    assert loop.count() == 1
    assert folder_row(shop)["refresh_failures"] == 1


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"label": "a\x00b"}, "a\N{REPLACEMENT CHARACTER}b"),
        ({"label": "deux\u2028lignes"}, "deux lignes"),
    ],
)
def test_what_no_database_takes_is_replaced(
    shop: Workshop, loop: SimulatorHandle, fields: dict[str, str], kept: str
) -> None:
    loop.patch_folder(FOLDER, accounts=[{"code": "601", **fields}])
    refresh(shop)
    assert records(shop, "account")["601"]["label"] == kept


def test_accounts_go_as_the_folders_chart_writes_them(
    shop: Workshop, loop: SimulatorHandle
) -> None:
    """Unless it holds several that differ by zeros alone: a guess would post to the wrong one."""
    chart = ["40100000", "606400", "4456600", "44566"]
    loop.patch_folder(FOLDER, accounts=[{"code": code} for code in chart])
    refresh(shop)
    shop.submit(purchase(1))
    shop.deliver()
    [attempt] = shop.rows("SELECT lines FROM attempts")
    assert [line["compte"] for line in attempt["lines"]] == ["606400", "445660", "40100000"]
