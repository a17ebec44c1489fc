"""Reading entries back. Reference: Loop API 3.6."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.simulator import SimulatorHandle, running_simulator

ONE = "24d61dbb-674d-5d13-a9e7-91b519531d88"
TWO = "8c5f2f0e-3b0e-5d0b-9c4e-7a1f0c9d2e55"
GROUP = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(scope="module")
def process() -> Iterator[SimulatorHandle]:
    with running_simulator({"import_ms": 0}) as started:
        yield started


@pytest.fixture
def loop(process: SimulatorHandle) -> SimulatorHandle:
    process.reset()
    return process


def imported(loop: SimulatorHandle, *lines: dict[str, Any], folder: str = "D") -> None:
    answer = loop.post(
        {
            "codeIbs": folder,
            "data": {"options": {"multiPeriode": True}, "ecritures": list(lines)},
        }
    )
    assert loop.ended(answer["accountingImportRequestId"]) == {"status": 3}


def entry(
    piece: str, origin: str | None = None, journal: str = "ACH", date: str = "2026-01-15"
) -> list[dict[str, Any]]:
    common = {
        "date": f"{date}T00:00:00.000Z",
        "journal": journal,
        "refPiece": piece,
        "libelle": "Achat",
        "ecritureOrigine": origin,
    }
    return [
        {**common, "compte": "601", "debit": {"amount": 12.5}, "credit": {"amount": 0}},
        {**common, "compte": "401", "tiers": "DUPONT", "credit": {"amount": 12.5}},
    ]


def found(loop: SimulatorHandle, text: str, folder: str = "D", **query: str | int) -> Any:
    answer = loop.call(
        "GET", "EcritureComptable", params={"codeDossier": folder, "filter": text} | query
    )
    assert answer.status_code == 200
    return answer.json()


@pytest.fixture
def books(loop: SimulatorHandle) -> SimulatorHandle:
    lettered = [line | {"codeLettrage": GROUP} for line in entry("F3", journal="BQ")]
    imported(loop, *entry("F1", ONE), *entry("F2", TWO, date="2026-02-01"), *lettered)
    imported(loop, *entry("F1", ONE), folder="OTHER")
    return loop


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (f'ecritureOrigine=="{ONE}"', [("F1", "601"), ("F1", "401")]),
        (f'ecritureOrigine==="{TWO}"', [("F2", "601"), ("F2", "401")]),
        (f'ecritureOrigine=="{ONE}" && compteNumero=="401"', [("F1", "401")]),
        (f'ecritureOrigine=="{ONE}" && refPiece=="F2"', []),
        ('ecritureOrigine=="00000000-0000-0000-0000-000000000000"', []),
        (
            "codeLettrage==null",
            [("F1", "601"), ("F1", "401"), ("F2", "601"), ("F2", "401")],
        ),
        ("codeLettrage!=null", [("F3", "601"), ("F3", "401")]),
        (f'codeLettrage=="{GROUP}"', [("F3", "601"), ("F3", "401")]),
        (
            'codeLettrage==null && refPiece=="F2" && journalCode=="ACH"',
            [("F2", "601"), ("F2", "401")],
        ),
        ('codeLettrage==null && journalCode=="BQ"', []),
        ('codeLettrage!=null && journalCode=="BQ" && compteNumero=="401"', [("F3", "401")]),
        ('codeLettrage==null && datePiece=="2026-02-01"', [("F2", "601"), ("F2", "401")]),
        ('codeLettrage==null && datePiece>="2026-01-16"', [("F2", "601"), ("F2", "401")]),
        (
            'codeLettrage==null && datePiece>="2026-01-15" && compteNumero=="401"',
            [("F1", "401"), ("F2", "401")],
        ),
    ],
)
def test_lines_are_found_by_each_criterion(
    books: SimulatorHandle, text: str, rows: list[tuple[str, str]]
) -> None:
    assert [(row["refPiece"], row["compteNumero"]) for row in found(books, text)] == rows


@pytest.mark.parametrize(
    "text",
    [
        "",
        'refPiece=="F1"',
        'journalCode=="ACH" && datePiece>="2026-01-01"',
        "codeLettrage",
        'codeLettrage!="11111111-2222-4333-8444-555555555555"',
        "codeLettrage>=null",
        "ecritureOrigine==null",
        f'ecritureOrigine!="{ONE}"',
        'codeLettrage==null && refPiece!="F1"',
        'codeLettrage==null && journalCode>="A"',
        'codeLettrage==null && compteNumero!="401"',
        'codeLettrage==null && datePiece!="2026-01-15"',
        'codeLettrage==null && datePiece>="15/01/2026"',
        'codeLettrage==null && datePiece>="2026-02-30"',
        'codeLettrage==null && datePiece>="2026-W01-1"',
        'codeLettrage==null && libelle=="Achat"',
        'codeLettrage==null || refPiece=="F1"',
    ],
)
def test_a_filter_without_the_mandatory_part_or_of_another_shape_is_refused(
    books: SimulatorHandle, text: str
) -> None:
    assert found(books, text)["error"]["message"]


def test_a_line_tells_account_third_party_side_and_amount(books: SimulatorHandle) -> None:
    row = found(books, f'ecritureOrigine=="{ONE}" && compteNumero=="401"')[0]
    assert row.pop("objectId")
    assert row.pop("revisionId")
    assert row == {
        "journalCode": "ACH",
        "refPiece": "F1",
        "datePiece": "2026-01-15",
        "ecritureOrigine": ONE,
        "compteNumero": "401",
        "tiersCode": "DUPONT",
        "libelle": "Achat",
        "reference": None,
        "debit": 0,
        "credit": 12.5,
        "codeLettrage": None,
    }


def test_a_quote_in_a_piece_reference_is_found(loop: SimulatorHandle) -> None:
    imported(loop, *entry('F"1\\'))
    rows = found(loop, r'codeLettrage==null && refPiece=="F\"1\\"')
    assert len(rows) == 2


def test_at_most_100_rows_come_in_one_call(loop: SimulatorHandle) -> None:
    imported(loop, *[line for n in range(60) for line in entry(f"F{n}")])
    first = found(loop, "codeLettrage==null", take=1000)
    rest = found(loop, "codeLettrage==null", skip=100)
    assert (len(first), len(rest)) == (100, 20)
    ids = {row["objectId"] for row in [*first, *rest]}
    assert len(ids) == 120
    assert len(found(loop, "codeLettrage==null", skip=10, take=7)) == 7


def test_rows_are_sorted_and_selected(books: SimulatorHandle) -> None:
    rows = found(
        books, "codeLettrage==null", sort="datePiece:desc&&compteNumero", select="refPiece"
    )
    assert rows == [{"refPiece": "F2"}, {"refPiece": "F2"}, {"refPiece": "F1"}, {"refPiece": "F1"}]


def test_a_folder_shows_its_own_lines_alone(books: SimulatorHandle) -> None:
    assert len(found(books, f'ecritureOrigine=="{ONE}"', folder="OTHER")) == 2
    assert found(books, f'ecritureOrigine=="{TWO}"', folder="OTHER") == []
    assert found(books, "codeLettrage==null", folder="EMPTY") == []
