"""What the hub has sent and we do not know: found, and no longer missing once it is here."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Engine

from passerelle.domain.event import EntryName
from passerelle.reconciliation import MANY, Reconciled, Reconciliation
from passerelle.store import missing
from support.events import purchase, purchase_name
from support.workshop import FIRM, FOLDER, Workshop, background


@pytest.fixture
def reconciliation(engine: Engine) -> Reconciliation:
    return Reconciliation(engine)


def still_missing(shop: Workshop) -> int:
    with shop.engine.connect() as connection:
        return missing.count(connection)


def named(shop: Workshop) -> list[Mapping[str, Any]]:
    return shop.rows(
        "SELECT firm, folder, entry_id, revision, named FROM missing_entries ORDER BY id"
    )


def test_what_is_unknown_is_one_row_however_often_it_is_named(
    shop: Workshop, reconciliation: Reconciliation
) -> None:
    shop.submit(purchase(1))
    names = [purchase_name(1), purchase_name(2), purchase_name(3), purchase_name(2)]
    assert reconciliation.reconcile(names) == Reconciled(known=1, missing=3, refused=0)
    assert reconciliation.reconcile(names[1:2]) == Reconciled(known=0, missing=1, refused=0)
    assert named(shop) == [purchase_name(2) | {"named": 2}, purchase_name(3) | {"named": 1}]
    row = shop.row("SELECT * FROM missing_entries WHERE named = 2")
    assert row["first_named_at"] < row["last_named_at"]
    assert still_missing(shop) == 2


def test_what_comes_is_missing_no_longer(shop: Workshop, reconciliation: Reconciliation) -> None:
    reconciliation.reconcile([purchase_name(1), purchase_name(2)])
    shop.submit(purchase(1))
    assert still_missing(shop) == 1
    assert reconciliation.reconcile([purchase_name(1)]).known == 1
    assert [row["named"] for row in named(shop)] == [1, 1]


def test_a_revision_is_known_by_a_later_one_and_not_by_an_earlier(
    shop: Workshop, reconciliation: Reconciliation
) -> None:
    shop.submit(purchase(1, revision=2))
    names = [purchase_name(revision=revision) for revision in (1, 2, 3)]
    assert reconciliation.reconcile(names) == Reconciled(known=2, missing=1, refused=0)
    assert [row["revision"] for row in named(shop)] == [3]


def test_an_entry_is_known_in_its_own_folder_only(
    shop: Workshop, reconciliation: Reconciliation
) -> None:
    shop.add_firm("OTHER", "ELSEWHERE")
    shop.submit(purchase(1), purchase(2, folder="SECOND"))
    places = [("OTHER", FOLDER), (FIRM, "ELSEWHERE"), ("NOBODY", FOLDER), ("cabinet42", FOLDER)]
    names = [
        purchase_name(firm=firm, folder=folder) for firm, folder in (*places, (FIRM, "SECOND"))
    ]
    before = shop.rows("SELECT code FROM firms UNION ALL SELECT code FROM folders")
    assert reconciliation.reconcile(names).missing == 5
    assert shop.rows("SELECT code FROM firms UNION ALL SELECT code FROM folders") == before


def test_a_bad_name_is_kept_with_its_list_and_harms_no_other(
    shop: Workshop, reconciliation: Reconciliation
) -> None:
    shop.submit(purchase(1))
    without = {key: value for key, value in purchase_name().items() if key != "folder"}
    listed = [
        *(
            purchase_name(1),
            7,
            without,
            purchase_name(2) | {"also": "this"},
            purchase_name(entry_id=5),
            purchase_name(firm="A\0"),
        ),
        *(
            purchase_name(entry_id="\ud800"),
            purchase_name(folder=" "),
            purchase_name(revision=0),
            purchase_name(revision="1"),
        ),
        *(
            purchase_name(entry_id="x" * 65),
            None,
            [purchase_name()],
            purchase_name(revision=True),
            purchase_name(revision=10**400),
        ),
    ]
    assert reconciliation.reconcile(listed) == Reconciled(known=1, missing=1, refused=1)
    assert [row["entry_id"] for row in named(shop)] == ["ach-2026-000002"]
    assert shop.refused() == [
        *("/1", "/2/folder", "/4/entry_id", "/5/firm", "/6/entry_id", "/7/folder", "/8/revision"),
        *("/9/revision", "/10/entry_id", "/11", "/12", "/13/revision", "/14/revision"),
    ]
    reconciliation.reconcile(listed)
    refused = shop.row("SELECT body, deliveries FROM refused_events")
    assert (json.loads(refused["body"]), refused["deliveries"]) == (listed, 2)


def test_what_is_no_list_of_at_most_ten_thousand_is_refused_whole(
    shop: Workshop, reconciliation: Reconciliation
) -> None:
    wrong: list[object] = [None, 7, "x", purchase_name(), [purchase_name()] * (MANY + 1)]
    for listed in wrong:
        assert reconciliation.reconcile(listed) == Reconciled(known=0, missing=0, refused=1)
    assert shop.refused() == [""] * len(wrong)
    assert named(shop) == []
    assert reconciliation.reconcile([]) == Reconciled(known=0, missing=0, refused=0)
    many: list[object] = [purchase_name(number) for number in range(MANY)]
    assert reconciliation.reconcile(many).missing == MANY


def test_of_many_bad_names_the_first_are_told_and_the_rest_counted(
    shop: Workshop, reconciliation: Reconciliation
) -> None:
    assert reconciliation.reconcile([0] * 150 + [purchase_name()]).missing == 1
    assert shop.refused() == [*(f"/{index}" for index in range(100)), ""]


def test_of_several_revisions_the_one_in_loop_speaks_else_the_first_that_may_get_there(
    shop: Workshop, reconciliation: Reconciliation
) -> None:
    shop.submit(*(purchase(revision, revision=revision) for revision in (1, 2, 3)))
    shop.execute("UPDATE entries SET entry_id = 'one'")

    def speaks(*states: str) -> int | None:
        for revision, state in enumerate(states, start=1):
            shop.execute(
                "UPDATE entries SET state = :state, synced_at = "
                "CASE WHEN :state = 'synced' THEN now() END WHERE revision = :revision",
                state=state,
                revision=revision,
            )
        [known] = reconciliation.look_up([EntryName(FIRM, FOLDER, "one", 1)])
        return known and known.revision

    assert speaks("superseded", "superseded", "received") == 3
    assert speaks("uncertain", "received", "received") == 1
    assert speaks("discarded", "waiting", "received") == 2
    assert speaks("discarded", "received", "synced") == 3
    assert speaks("discarded", "discarded", "discarded") == 1


# A list and an arrival, or two lists, at once.


def test_what_arrives_while_it_is_named_does_not_stay_missing(
    shop: Workshop, reconciliation: Reconciliation
) -> None:
    with shop.open_intake(purchase()):
        # Neither waits for the other.
        assert reconciliation.reconcile([purchase_name()]).missing == 1
        assert still_missing(shop) == 1
    assert shop.states() == {"received": 1}
    assert still_missing(shop) == 0


def test_what_arrives_between_looking_and_recording_does_not_stay_missing(
    shop: Workshop, reconciliation: Reconciliation
) -> None:
    with shop.engine.begin() as connection:
        missing.record(connection, [EntryName(FIRM, FOLDER, "ach-2026-000001", 1)])
        other = background(lambda: reconciliation.reconcile([purchase_name()]))
        shop.wait_for_lock()
        shop.submit(purchase())
    assert other.result(30).missing == 1
    assert [row["named"] for row in named(shop)] == [2]
    assert still_missing(shop) == 0


def test_lists_with_the_same_names_in_opposite_orders_do_not_wait_for_each_other(
    shop: Workshop,
) -> None:
    first, middle, last = (EntryName(FIRM, FOLDER, entry_id, 1) for entry_id in "abc")

    def record(*names: EntryName) -> None:
        # Without another try, which would hide it.
        with shop.engine.begin() as connection:
            missing.record(connection, names)

    with shop.engine.begin() as connection:
        missing.record(connection, [middle])
        others = [
            background(lambda: record(first, middle, last)),
            background(lambda: record(last, middle, first)),
        ]
        shop.wait_for_lock(2)
    for other in others:
        other.result(30)
    assert sorted(row["named"] for row in named(shop)) == [2, 2, 3]
