import datetime as dt
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.domain.limits import Limits
from passerelle.domain.mapping import Destination, LoopLine, map_entry
from schemas.event import build
from schemas.loop import (
    Accepted,
    ImportStatus,
    Refused,
    dump_line,
    encode,
    encode_import,
    import_answer,
    records,
    status_answer,
)

EXAMPLE = Path(__file__).parents[2] / "schemas" / "examples" / "purchase.json"
LIMITS = Limits(
    description=35, auxiliary_code=17, reference=35, batch_lines=500, batch_bytes=1_000_000
)
REQUEST_ID = "0b9f4c1e-6f0a-4c7e-9a53-0f6f5f0f6f11"
INSTANCE_ID = "5d7c2c3a-1111-4222-8333-944455556666"


def example_lines() -> list[LoopLine]:
    event = build(json.loads(EXAMPLE.read_text("utf-8")))
    destination = Destination(
        event.firm, event.folder, LIMITS, send_origin=True, loop_codes={}, accounts={}
    )
    return list(map_entry(event.entry, destination).lines)


EXAMPLE_BODY = """
{
  "codeIbs": "DEMO000001",
  "data": {
    "options": {
      "separatorDecimal": ".",
      "formatDate": "YYYY-MM-DDTHH:mm:ss.SSSZ",
      "multiPeriode": true,
      "failOnUnbalanced": true,
      "balanceAuto": false,
      "createNewJournaux": false,
      "createNewComptes": false,
      "createNewTiers": true,
      "createPieceRef": false,
      "sortLines": false
    },
    "ecritures": [
      {
        "date": "2026-11-18T00:00:00.000Z",
        "debit": {
          "amount": 100.0, "currency": "EUR", "currencyAmount": 100.0, "currencyRate": "1.0"
        },
        "credit": {
          "amount": 0.0, "currency": "EUR", "currencyAmount": 0.0, "currencyRate": "1.0"
        },
        "journal": "ACH",
        "compte": "606400",
        "libelle": "Papeterie Générale du Sud-Ouest fac",
        "reference": "FA-2026-1187",
        "refPiece": "FA-2026-1187",
        "commentaire": "Papeterie Générale du Sud-Ouest fact. FA-2026-1187",
        "compteLib": "Fournitures administratives",
        "journalLib": "Achats",
        "dateJustif": "2026-11-17T00:00:00.000Z",
        "ecritureOrigine": "24d61dbb-674d-5d13-a9e7-91b519531d88"
      },
      {
        "date": "2026-11-18T00:00:00.000Z",
        "debit": {
          "amount": 20.0, "currency": "EUR", "currencyAmount": 20.0, "currencyRate": "1.0"
        },
        "credit": {
          "amount": 0.0, "currency": "EUR", "currencyAmount": 0.0, "currencyRate": "1.0"
        },
        "journal": "ACH",
        "compte": "445660",
        "libelle": "TVA déductible",
        "reference": "FA-2026-1187",
        "refPiece": "FA-2026-1187",
        "journalLib": "Achats",
        "dateJustif": "2026-11-17T00:00:00.000Z",
        "ecritureOrigine": "24d61dbb-674d-5d13-a9e7-91b519531d88"
      },
      {
        "date": "2026-11-18T00:00:00.000Z",
        "debit": {
          "amount": 0.0, "currency": "EUR", "currencyAmount": 0.0, "currencyRate": "1.0"
        },
        "credit": {
          "amount": 120.0, "currency": "EUR", "currencyAmount": 120.0, "currencyRate": "1.0"
        },
        "journal": "ACH",
        "compte": "401000",
        "libelle": "Papeterie Générale du Sud-Ouest fac",
        "reference": "FA-2026-1187",
        "refPiece": "FA-2026-1187",
        "tiers": "FPAPETERIEGENERAL",
        "commentaire": "Papeterie Générale du Sud-Ouest fact. FA-2026-1187",
        "journalLib": "Achats",
        "dateJustif": "2026-11-17T00:00:00.000Z",
        "dateEcheance": "2026-12-17T00:00:00.000Z",
        "modePaiement": 5,
        "ecritureOrigine": "24d61dbb-674d-5d13-a9e7-91b519531d88",
        "fichier": {"uri": "https://files.example.com/d/fa-2026-1187.pdf?sig=abc"}
      }
    ]
  }
}
"""


def test_the_contracts_example_becomes_this_request() -> None:
    entry = encode([dump_line(line) for line in example_lines()])
    body = encode_import("DEMO000001", [entry], create_accounts=False)
    assert json.loads(body) == json.loads(EXAMPLE_BODY)


def test_entries_stand_in_a_request_one_behind_the_other() -> None:
    lines = [dump_line(line) for line in example_lines()]
    together = encode_import("D", [encode(lines)], create_accounts=False)
    one_by_one = [encode([line]) for line in lines]
    assert encode_import("D", one_by_one, create_accounts=False) == together


def test_a_folder_may_have_its_accounts_created() -> None:
    created, kept = (
        json.loads(encode_import('D"é', [], create_accounts=create)) for create in (True, False)
    )
    assert kept["codeIbs"] == 'D"é'
    assert kept["data"]["ecritures"] == []
    assert created["data"]["options"] == kept["data"]["options"] | {"createNewComptes": True}


def test_the_request_is_written_in_utf_8() -> None:
    assert encode(["é", 1.5]) == '["é",1.5]'.encode()


def test_everything_that_is_said_is_sent_and_nothing_else() -> None:
    day = dt.date(987, 1, 2)
    full = replace(
        example_lines()[2],
        account_label="Fournisseurs",
        operation_date=day,
        lettering="AA",
        lettering_date=day,
        siret="73282932000074",
    )
    said = dump_line(full)
    assert said["compteLib"] == "Fournisseurs"
    assert said["dateOperation"] == said["dateLettrage"] == "0987-01-02T00:00:00.000Z"
    assert (said["codeLettrage"], said["SIRET"]) == ("AA", "73282932000074")
    absent: dict[str, Any] = dict.fromkeys(
        ["auxiliary", "comment", "account_label", "journal_label", "document_date", "due_date",
         "operation_date", "payment_mode", "lettering", "lettering_date", "siret", "origin",
         "attachment"]
    )  # fmt: skip
    bare = replace(full, **absent)
    assert dump_line(bare).keys() == {
        "date", "debit", "credit", "journal", "compte", "libelle", "reference", "refPiece"
    }  # fmt: skip


@given(st.from_regex(r"[0-9]{1,13}(\.[0-9]{1,2})?", fullmatch=True, alphabet="0123456789."))
def test_an_amount_is_written_to_the_cent(written: str) -> None:
    line = example_lines()[0]
    moved = replace(line.debit, amount=Decimal(written), currency_amount=Decimal(written))
    dumped = json.loads(encode(dump_line(replace(line, debit=moved))), parse_float=Decimal)
    for key in ("amount", "currencyAmount"):
        assert dumped["debit"][key] == Decimal(written)
        assert dumped["debit"][key].as_tuple().exponent >= -2


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"accountingImportRequestId": REQUEST_ID}, Accepted(REQUEST_ID)),
        ({"accountingImportRequestId": REQUEST_ID, "more": 1}, Accepted(REQUEST_ID)),
        (
            {"error": {"instanceId": INSTANCE_ID, "message": "Il n'y a pas d'écritures"}},
            Refused(INSTANCE_ID, "Il n'y a pas d'écritures"),
        ),
        ({"error": {"message": "pas de payload"}}, Refused(None, "pas de payload")),
        (
            {"error": {"instanceId": None, "message": "two\n lines\x00", "more": []}, "more": 1},
            Refused(None, "two lines"),
        ),
    ],
)
def test_a_plain_answer_to_an_import_is_understood(
    body: object, expected: Accepted | Refused
) -> None:
    assert import_answer(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        None,
        7,
        "ok",
        [],
        [{"accountingImportRequestId": REQUEST_ID}],
        {},
        {"status": 3},
        {"accountingImportRequestId": None},
        {"accountingImportRequestId": ""},
        {"accountingImportRequestId": " "},
        {"accountingImportRequestId": "a b"},
        {"accountingImportRequestId": "a\n"},
        {"accountingImportRequestId": 12},
        {"accountingImportRequestId": [REQUEST_ID]},
        {"accountingImportRequestId": REQUEST_ID, "error": None},
        {"accountingImportRequestId": REQUEST_ID, "error": {"message": "no"}},
        {"accountingImportRequestId": None, "error": {"message": "no"}},
        {"error": None},
        {"error": "no"},
        {"error": {}},
        {"error": []},
        {"error": {"message": ""}},
        {"error": {"message": "\x00"}},
        {"error": {"message": None}},
        {"error": {"message": ["no"]}},
        {"error": {"message": "no", "instanceId": 5}},
    ],
)
def test_any_other_answer_to_an_import_decides_nothing(body: object) -> None:
    assert import_answer(body) is None


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (1, 1),
        (3.0, 3),
        ("4", 4),
        (" 2 ", 2),
        ("3.0", 3),
        (0, 0),
        (99, 99),
        (3.5, None),
        (-1, None),
        (True, None),
        (None, None),
        ("", None),
        ("three", None),
        ("\u0663", None),
        ([3], None),
        (10**12, None),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
@pytest.mark.parametrize("key", ["status", "statut"])
def test_a_status_is_a_number_or_looks_like_one(
    key: str, value: object, status: int | None
) -> None:
    assert status_answer({key: value}).status == status


def test_either_word_for_status_will_do() -> None:
    assert status_answer({"status": None, "statut": "3"}).status == 3
    assert status_answer({"status": 4, "statut": "3"}).status == 4


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, None),
        ({"message": ""}, None),
        ({"message": 5}, None),
        ({"other": "words"}, None),
        ({"message": "Compte\n inconnu\x00 \ud800"}, "Compte inconnu"),
        ({"error": {"instanceId": INSTANCE_ID, "message": "no"}}, "no"),
        ({"errors": ["first", {"message": "second"}, "first"]}, "first; second"),
        ({"errors": {"1": "first", "2": ["second"]}}, "first; second"),
        ({"errors": ["last"], "error": "then", "message": "one"}, "one; then; last"),
        ({"statut": "Rejeté", "message": "why"}, "Rejeté; why"),
        ({"status": "3", "statut": "4"}, None),
    ],
)
def test_every_explanation_that_comes_with_a_status_is_kept(
    body: dict[str, Any], message: str | None
) -> None:
    assert status_answer(body).message == message


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([], []),
        ([{"code": "ACH"}], [{"code": "ACH"}]),
        ({"data": [{"code": "ACH"}], "more": 1}, [{"code": "ACH"}]),
        ({"data": []}, []),
        ({}, None),
        ({"data": None}, None),
        ({"data": {"code": "ACH"}}, None),
        ([{"code": "ACH"}, None], None),
        ({"data": [[]]}, None),
        ("ACH", None),
        (None, None),
    ],
)
def test_a_list_is_bare_or_under_data(body: object, expected: list[dict[str, Any]] | None) -> None:
    assert records(body) == expected


KEYS = st.sampled_from(
    ["accountingImportRequestId", "error", "errors", "message", "instanceId", "status", "statut",
     "data"]
) | st.text(max_size=3)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ANY_JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)
)


@given(ANY_JSON)
def test_no_answer_of_loop_raises(body: object) -> None:
    assert isinstance(import_answer(body), Accepted | Refused | None)
    assert isinstance(status_answer(body), ImportStatus)
    assert isinstance(records(body), list | None)


def test_depth_does_not_matter_to_the_readers() -> None:
    deep: object = "why"
    for _ in range(100_000):
        deep = [deep]
    assert status_answer({"errors": deep}).message == "why"
    assert import_answer({"error": {"message": deep}}) is None
