"""Faults of an import's course and of reads."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.simulator import SimulatorHandle, running_simulator, until
from support.simulator_calls import ORIGIN, found, landed, post


@pytest.fixture(scope="module")
def process() -> Iterator[SimulatorHandle]:
    with running_simulator({"import_ms": 0, "seed": 7}) as started:
        yield started


@pytest.fixture
def loop(process: SimulatorHandle) -> SimulatorHandle:
    process.reset()
    return process


@pytest.mark.parametrize(
    ("language", "fragment"),
    [("en", "does not have access to the folder D"), ("fr", "n'a pas accès au dossier D")],
)
def test_access_is_refused_at_the_post_or_at_the_end(
    loop: SimulatorHandle, language: str, fragment: str
) -> None:
    loop.set_faults({"fault": "access_refused", "language": language})
    assert fragment in post(loop).json()["error"]["message"]
    loop.set_faults({"fault": "access_refused_at_end", "language": language})
    ended = loop.ended(post(loop).json()["accountingImportRequestId"])
    assert ended["status"] == 4
    assert fragment in ended["message"]
    assert landed(loop) == 0


def test_a_folder_may_become_unknown(loop: SimulatorHandle) -> None:
    loop.set_faults({"fault": "folder_unknown"})
    assert "n'existe pas sur le domaine" in post(loop).json()["error"]["message"]


@pytest.mark.parametrize(
    ("fault", "lines"),
    [
        ("failed", []),
        ("failed_every_second_landed", [("F0", 2), ("F2", 2)]),
        ("failed_half_of_each_landed", [("F0", 1), ("F1", 1), ("F2", 1)]),
    ],
)
def test_an_import_may_fail_with_nothing_or_something_landed(
    loop: SimulatorHandle, fault: str, lines: list[tuple[str, int]]
) -> None:
    loop.set_faults({"fault": fault})
    request_id = post(loop, entries=3).json()["accountingImportRequestId"]
    assert loop.ended(request_id) == {"status": 4}
    rows = [row["refPiece"] for row in found(loop)]
    assert [(piece, rows.count(piece)) for piece in sorted(set(rows))] == lines


@pytest.mark.parametrize(("fault", "status"), [("stuck_waiting", 1), ("stuck_running", 2)])
def test_an_import_may_be_stuck(loop: SimulatorHandle, fault: str, status: int) -> None:
    loop.set_faults({"fault": fault, "count": 1})
    stuck = post(loop).json()["accountingImportRequestId"]
    # An import that came later has ended, so that the first had its time.
    loop.ended(post(loop).json()["accountingImportRequestId"])
    assert loop.status(stuck) == {"status": status}
    assert len(loop.ledger()) == 1


@pytest.mark.parametrize(("fault", "status"), [("stuck_waiting", 1), ("stuck_running", 2)])
def test_an_import_may_be_stuck_for_a_while(loop: SimulatorHandle, fault: str, status: int) -> None:
    loop.set_faults({"fault": fault, "seconds": 0.7, "count": 1})
    stuck = post(loop).json()["accountingImportRequestId"]
    soon = post(loop).json()["accountingImportRequestId"]
    assert loop.ended(soon) == {"status": 3}
    assert loop.status(stuck) == {"status": status}
    assert loop.ended(stuck) == {"status": 3}
    assert [booked["request_id"] for booked in loop.ledger()] == [soon, stuck]


def test_an_import_may_come_late(loop: SimulatorHandle) -> None:
    loop.set_faults({"fault": "late", "seconds": 0.7, "count": 1})
    late = post(loop).json()["accountingImportRequestId"]
    soon = post(loop).json()["accountingImportRequestId"]
    assert loop.ended(soon) == {"status": 3}
    assert loop.status(late) == {"status": 1}
    assert loop.ended(late) == {"status": 3}
    assert [booked["request_id"] for booked in loop.ledger()] == [soon, late]


def test_what_landed_may_stay_hidden_for_a_while(loop: SimulatorHandle) -> None:
    loop.set_faults({"fault": "hidden", "seconds": 0.7})
    assert loop.ended(post(loop).json()["accountingImportRequestId"]) == {"status": 3}
    assert found(loop) == []
    assert len(loop.ledger()) == 1
    assert until(lambda: found(loop), bool)


@pytest.mark.parametrize("fault", ["origin_dropped", "origin_rewritten"])
def test_loop_may_not_keep_the_origin(loop: SimulatorHandle, fault: str) -> None:
    loop.set_faults({"fault": fault})
    loop.ended(post(loop).json()["accountingImportRequestId"])
    assert found(loop, f'ecritureOrigine=="{ORIGIN}"') == []
    kept = {row["ecritureOrigine"] for row in found(loop)}
    assert ORIGIN not in kept
    assert (kept == {None}) is (fault == "origin_dropped")
    booked = loop.ledger()[0]
    assert booked["origin"] == ORIGIN
    assert {booked["booked_origin"]} == kept


def test_a_success_may_land_on_the_waiting_third_party(loop: SimulatorHandle) -> None:
    loop.set_faults({"fault": "waiting_third_party"})
    assert loop.ended(post(loop).json()["accountingImportRequestId"]) == {"status": 3}
    assert [row["tiersCode"] for row in found(loop)] == [None, "ATTENTE"]
    assert loop.ledger()[0]["lines"][1]["tiers"] == "DUPONT"


def test_an_accountants_twin_may_be_there_even_where_ours_is_not(loop: SimulatorHandle) -> None:
    loop.set_faults({"fault": "twin"}, {"fault": "failed"})
    assert loop.ended(post(loop).json()["accountingImportRequestId"]) == {"status": 4}
    assert found(loop, f'ecritureOrigine=="{ORIGIN}"') == []
    rows = found(loop, 'codeLettrage==null && refPiece=="F0" && journalCode=="ACH"')
    assert [(row["compteNumero"], row["debit"], row["credit"]) for row in rows] == [
        ("601", 100.1, 0),
        ("401", 0, 100.1),
    ]
    assert loop.ledger()[0]["request_id"] is None


@pytest.fixture
def books(loop: SimulatorHandle) -> SimulatorHandle:
    loop.ended(post(loop, entries=20).json()["accountingImportRequestId"])
    return loop


def test_the_filter_may_be_ignored(books: SimulatorHandle) -> None:
    books.set_faults({"fault": "filter_ignored"})
    assert len(found(books, 'codeLettrage!=null && refPiece=="F1"')) == 40
    accounts = books.call(
        "GET", "compte", params={"codeDossier": "D", "filter": 'numero=="601"'}
    ).json()
    assert len(accounts) == 2


def test_take_may_be_ignored(books: SimulatorHandle) -> None:
    books.set_faults({"fault": "take_ignored"})
    assert len(found(books, take=5)) == 40


def test_the_cap_may_be_lower(books: SimulatorHandle) -> None:
    books.set_faults({"fault": "row_cap", "rows": 7})
    assert len(found(books, take=50)) == 7


def test_a_record_may_stand_on_two_pages(books: SimulatorHandle) -> None:
    books.set_faults({"fault": "pages_overlap"})
    pages = [found(books, skip=skip, take=10) for skip in (0, 10)]
    assert pages[0][-1] == pages[1][0]


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        ("status_as_text", {"status": "3"}),
        ("status_as_statut", {"statut": 3}),
        ("status_unknown", {"status": 7}),
    ],
)
def test_a_status_may_be_told_otherwise(
    loop: SimulatorHandle, fault: str, answer: dict[str, Any]
) -> None:
    request_id = post(loop).json()["accountingImportRequestId"]
    loop.ended(request_id)
    loop.set_faults({"fault": fault})
    assert loop.status(request_id) == answer


def test_two_faults_of_a_read_add_up(loop: SimulatorHandle) -> None:
    request_id = post(loop).json()["accountingImportRequestId"]
    loop.ended(request_id)
    loop.set_faults({"fault": "status_as_text"}, {"fault": "status_as_statut"})
    assert loop.status(request_id) == {"statut": "3"}


def test_a_request_id_may_be_forgotten(loop: SimulatorHandle) -> None:
    request_id = post(loop).json()["accountingImportRequestId"]
    loop.set_faults({"fault": "request_unknown", "count": 1})
    assert set(loop.status(request_id)) == {"error"}
    assert set(loop.status(request_id)) == {"status"}
