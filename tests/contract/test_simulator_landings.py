"""How an accepted import ends, and what lands. Reference: Loop API 3.7 and 3.10."""

import copy
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from support.simulator import SimulatorHandle, running_simulator
from support.simulator_bodies import ISO, LINES, SAME_SIREN, SCENARIO, SIRET, body


@pytest.fixture(scope="module")
def process() -> Iterator[SimulatorHandle]:
    with running_simulator(SCENARIO) as started:
        yield started


@pytest.fixture
def loop(process: SimulatorHandle) -> SimulatorHandle:
    process.reset()
    return process


ACCEPTED: list[dict[str, Any]] = [
    body(),
    body(folder="CEGID003"),
    body(options={"multiPeriode": False}, context={"from": ISO, "to": ISO}),
    body({"dateJustif": ISO, "debCutOff": ISO, "finCutOff": ISO}),
    body({"SIRET": SIRET}, {"SIRET": ""}) | {"SIRET": SIRET},
    body({"SIRET": SIRET}, {"SIRET": SAME_SIREN}, folder="CEGID003"),
    body({"libelle": "é" * 35}, {"tiers": "D" * 17}),
    body({"journalLib": "Achats", "modePaiement": 5, "fichier": {"uri": "https://x/y.pdf"}}),
]


@pytest.mark.parametrize("document", ACCEPTED)
def test_a_good_request_is_accepted_and_ends_in_success(
    loop: SimulatorHandle, document: dict[str, Any]
) -> None:
    answer = loop.call("POST", "importJson", json=document)
    assert answer.status_code == 200
    assert set(answer.json()) == {"accountingImportRequestId"}
    request_id = answer.json()["accountingImportRequestId"]
    assert str(uuid.UUID(request_id)) == request_id
    assert loop.ended(request_id) == {"status": 3}
    assert [entry["request_id"] for entry in loop.ledger()] == [request_id]


def credit(amount: object) -> dict[str, Any]:
    return {"credit": {"amount": amount}}


FAILURES: list[tuple[dict[str, Any], str]] = [
    (body({}, credit(100.11)), "déséquilibre de -0.01"),
    (body({}, {"refPiece": "F2"}), "déséquilibre"),
    (body({}, {"journal": "CLO"}), "CLO est fermé"),
    (body({"date": "2025-12-31T00:00:00.000Z"}), "période ouverte"),
    (body({}, {"date": "2027-01-01T00:00:00.000Z"}), "période ouverte"),
    (body({"date": "15/01/2026"}), "ligne 1"),
    (body({"date": None}), "ligne 1"),
    (body({"journal": "VTE"}), "journal VTE est inconnu"),
    (body({"journal": None}), "journal  est inconnu"),
    (body({"compte": "60100001"}), "compte 60100001 est inconnu"),
    (body({"compte": "601"}), "compte 601 est inconnu"),
    (body({}, {"compte": "47100000"}), "compte 47100000 est fermé"),
    (body({"libelle": "é" * 36}), "libelle : plus de 35"),
    (body({}, {"tiers": "D" * 18}), "tiers : plus de 17"),
    (body({"libelle": 7}), "libelle : texte attendu"),
    (body({"debit": {"amount": 100.101}}), "plus de deux décimales"),
    (body({"debit": {"amount": -100.10}}), "hors limites"),
    (body({"debit": {"amount": "100.10"}}), "nombre attendu"),
    (body({"debit": {"amount": 10**13}}), "hors limites"),
    (body({"debit": 100.10}), "objet attendu"),
    (body(credit(1), credit(101.10)), "débit et crédit à la fois"),
]


@pytest.mark.parametrize(("document", "reason"), FAILURES)
def test_what_the_books_cannot_take_is_accepted_and_ends_in_error_with_nothing_landed(
    loop: SimulatorHandle, document: dict[str, Any], reason: str
) -> None:
    good = copy.deepcopy(LINES)
    document = copy.deepcopy(document)
    document["data"]["ecritures"] += [line | {"refPiece": "GOOD"} for line in good]
    request_id = loop.post(document)["accountingImportRequestId"]
    assert loop.ended(request_id) == {"status": 4}
    assert loop.ledger() == []
    assert reason in loop.imports()[0]["reason"]


def test_a_folder_without_a_given_chart_accepts_any_account_and_journal(
    loop: SimulatorHandle,
) -> None:
    change = {"compte": "999", "journal": "ZZ"}
    request_id = loop.post(body(change, change, folder="CEGID003"))["accountingImportRequestId"]
    assert loop.ended(request_id) == {"status": 3}


def test_what_may_be_created_is_created_and_listed(loop: SimulatorHandle) -> None:
    changes = {"journal": "NEW", "journalLib": "Nouveau"}
    document = body(
        {**changes, "compte": "60700000", "compteLib": "Marchandises"},
        {**changes, "tiers": "MARTIN"},
        options={"createNewJournaux": True, "createNewComptes": True},
    )
    assert loop.ended(loop.post(document)["accountingImportRequestId"]) == {"status": 3}

    def listed(route: str, *names: str) -> list[list[str]]:
        records = loop.call("GET", route, params={"codeDossier": "GIVEN"}).json()
        return [[record[name] for name in names] for record in records]

    assert ["60700000", "Marchandises"] in listed("compte", "numero", "libelle")
    assert ["NEW", "Nouveau"] in listed("journal", "code", "libelle")
    assert listed("tiersFournisseur", "code") == [["DUPONT"], ["MARTIN"]]
    assert listed("tiersClient", "code") == []


def test_without_creation_an_unknown_third_party_becomes_the_waiting_one(
    loop: SimulatorHandle,
) -> None:
    document = body({}, {"tiers": "MARTIN"}, options={"createNewTiers": False})
    assert loop.ended(loop.post(document)["accountingImportRequestId"]) == {"status": 3}
    entry = loop.ledger()[0]
    assert [line.get("tiers") for line in entry["lines"]] == [None, "MARTIN"]
    assert [line.get("tiers") for line in entry["booked_lines"]] == [None, "ATTENTE"]
    known = body(options={"createNewTiers": False})
    assert loop.ended(loop.post(known)["accountingImportRequestId"]) == {"status": 3}
    assert loop.ledger()[1]["booked_lines"] is None


def test_loop_adds_a_balancing_line_where_it_is_let(loop: SimulatorHandle) -> None:
    document = body({}, credit(100), options={"failOnUnbalanced": False})
    assert loop.ended(loop.post(document)["accountingImportRequestId"]) == {"status": 3}
    entry = loop.ledger()[0]
    assert len(entry["lines"]) == 2
    assert entry["booked_lines"][2]["credit"] == {"amount": 0.1}
    totals = loop.totals()
    assert (totals["debit"], totals["credit"], totals["lines"]) == ("100.10", "100.10", 3)


def test_an_unbalanced_group_lands_as_it_is_where_nothing_forbids_it(
    loop: SimulatorHandle,
) -> None:
    options = {"failOnUnbalanced": False, "balanceAuto": False}
    document = body({}, credit(100), options=options)
    assert loop.ended(loop.post(document)["accountingImportRequestId"]) == {"status": 3}
    totals = loop.totals()
    assert (totals["debit"], totals["credit"]) == ("100.10", "100.00")


def test_an_import_waits_runs_and_ends_and_only_then_stands_in_the_books(
    loop: SimulatorHandle,
) -> None:
    loop.patch_settings(import_ms=400)
    request_id = loop.post(body())["accountingImportRequestId"]
    seen: list[int] = []
    while not seen or seen[-1] not in {3, 4}:
        entries = len(loop.ledger())
        status = loop.status(request_id)["status"]
        seen.append(status)
        assert status == 3 or entries == 0
    assert sorted(set(seen)) == [1, 2, 3]
    assert seen == sorted(seen)
    assert len(loop.ledger()) == 1


def test_an_unknown_request_is_refused(loop: SimulatorHandle) -> None:
    answer = loop.status(str(uuid.uuid4()))
    assert set(answer) == {"error"}
    assert answer["error"]["message"]


@pytest.mark.parametrize(
    ("language", "message"),
    [
        (
            "en",
            (
                "An error occurred during the JSON import request: "
                "The collaborator C7 does not have access to the folder EN"
            ),
        ),
        ("fr", "le collaborateur C7 n'a pas accès au dossier EN"),
        ("fr_curly", "le collaborateur C7 n\u2019a pas accès au dossier EN"),
        ("fr_plain", "le collaborateur C7 n'a pas acces au dossier EN"),
        ("fr_curly_plain", "le collaborateur C7 n\u2019a pas acces au dossier EN"),
    ],
)
@pytest.mark.parametrize("access", ["refused_at_post", "refused_at_end"])
def test_access_is_refused_at_the_post_or_at_the_end_in_both_languages(
    loop: SimulatorHandle, access: str, language: str, message: str
) -> None:
    loop.patch_folder("EN", access=access, language=language)
    answer = loop.post(body(folder="EN"))
    if access == "refused_at_post":
        assert answer["error"]["message"].endswith(message)
    else:
        ended = loop.ended(answer["accountingImportRequestId"])
        assert ended["status"] == 4
        assert ended["message"].endswith(message)
    assert loop.ledger() == []


def test_a_folder_granted_takes_the_same_request(loop: SimulatorHandle) -> None:
    assert "error" in loop.post(body(folder="EN"))
    loop.patch_folder("EN", access="granted")
    assert "accountingImportRequestId" in loop.post(body(folder="EN"))


def test_the_ledger_keeps_every_line_as_it_was_sent(loop: SimulatorHandle) -> None:
    document = body({"commentaire": "Facture n° 1 \U0001f600", "libelle": "\ud800"})
    request_id = loop.post(document)["accountingImportRequestId"]
    loop.ended(request_id)
    entry = loop.ledger("GIVEN")[0]
    assert entry.pop("booked_at")
    assert entry == {
        "domain": "",
        "folder": "GIVEN",
        "journal": "ACH",
        "date": "2026-01-15",
        "piece_ref": "F1",
        "origin": "24d61dbb-674d-5d13-a9e7-91b519531d88",
        "booked_origin": "24d61dbb-674d-5d13-a9e7-91b519531d88",
        "request_id": request_id,
        "attachments": [],
        "lines": document["data"]["ecritures"],
        "booked_lines": None,
    }
    assert loop.ledger("CEGID003") == []


def test_entries_of_one_request_are_told_apart_by_piece_and_origin(loop: SimulatorHandle) -> None:
    document = body()
    twin = [line | {"ecritureOrigine": "another"} for line in LINES]
    next_piece = [line | {"refPiece": "F2"} for line in LINES]
    document["data"]["ecritures"] = [
        line for three in zip(LINES, twin, next_piece, strict=True) for line in three
    ]
    loop.ended(loop.post(document)["accountingImportRequestId"])
    told = [(entry["piece_ref"], entry["origin"], len(entry["lines"])) for entry in loop.ledger()]
    origin = LINES[0]["ecritureOrigine"]
    assert told == [("F1", origin, 2), ("F1", "another", 2), ("F2", origin, 2)]


def test_totals_are_exact_and_tell_what_was_booked_twice(loop: SimulatorHandle) -> None:
    amounts = [0.1, 0.2, 9_999_999_999_999.99, 1e2]
    for amount in amounts:
        document = body({"debit": {"amount": amount}}, credit(amount), folder="CEGID003")
        loop.ended(loop.post(document)["accountingImportRequestId"])
    totals = loop.totals()
    sums = {"entries": 4, "lines": 8, "debit": "10000000000100.29", "credit": "10000000000100.29"}
    assert totals == {
        **sums,
        "origins_booked_more_than_once": 1,
        "folders": {"CEGID003": {**sums, "journals": {"ACH": sums}}},
    }


def test_a_body_of_a_megabyte_is_taken(loop: SimulatorHandle) -> None:
    document = body(folder="CEGID003")
    document["data"]["ecritures"] = [
        line | {"refPiece": f"F{n}"} for n in range(1_500) for line in LINES
    ]
    assert len(json.dumps(document)) > 1_000_000
    assert loop.ended(loop.post(document)["accountingImportRequestId"]) == {"status": 3}
    assert loop.totals()["debit"] == "150150.00"
    assert len(loop.ledger()) == 1_500
