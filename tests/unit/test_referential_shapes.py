"""The records of Loop's lists, as they are read: whatever comes, what is kept can be stored."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.domain.referential import Kind, much_smaller
from schemas.referentials import folder_page, referential_page

ACCOUNT = {"numero": "60100000", "libelle": "Achats", "ferme": False, "objectId": "o", "x": [1]}


def one(kind: Kind, row: object) -> Any:
    page = referential_page(kind, [row])
    assert page is not None
    assert page.received == 1
    return page.records[0] if page.records else None


@pytest.mark.parametrize("body", [[ACCOUNT], {"data": [ACCOUNT], "total": 1}])
def test_both_shapes_of_a_list_are_read(body: object) -> None:
    page = referential_page(Kind.ACCOUNT, body)
    assert page is not None
    [record] = page.records
    assert (record.code, record.label, record.closed) == ("60100000", "Achats", False)
    assert (record.object_id, record.revision_id, record.whole) == ("o", None, ACCOUNT)


@pytest.mark.parametrize("body", [None, 1, "x", {}, {"data": None}, [1], [ACCOUNT, None]])
def test_what_is_no_list_of_records_is_none(body: object) -> None:
    assert referential_page(Kind.ACCOUNT, body) is None
    assert folder_page(body) is None


@pytest.mark.parametrize(
    ("kind", "row", "expected"),
    [
        (Kind.JOURNAL, {"libelle": "Achats", "ferme": True}, ("Achats", True)),
        (Kind.JOURNAL, {"ferme": "yes"}, ("", False)),
        (Kind.SUPPLIER, {"raisonSociale": "Dupont SA", "nom": "D"}, ("Dupont SA", False)),
        (Kind.CUSTOMER, {"raisonSociale": " ", "nomUsuel": "Martin"}, ("Martin", False)),
        (Kind.EMPLOYEE, {"nom": "Paul", "actif": False}, ("Paul", True)),
        (Kind.OTHER, {"actif": None}, ("", False)),
    ],
)
def test_each_kind_has_its_name_and_its_end(
    kind: Kind, row: dict[str, Any], expected: tuple[str, bool]
) -> None:
    record = one(kind, {"code": "X", **row})
    assert (record.label, record.closed) == expected


@pytest.mark.parametrize(
    "row", [{}, {"numero": None}, {"numero": 601}, {"numero": " "}, {"code": "A"}]
)
def test_a_record_without_a_code_is_left_out_and_counted(row: dict[str, Any]) -> None:
    assert one(Kind.ACCOUNT, row) is None


def test_a_record_without_end_is_no_list() -> None:
    row: dict[str, Any] = {"numero": "601"}
    row["deep"] = json.loads("[" * 900 + "]" * 900)
    for _ in range(5):
        row = {"numero": "601", "deep": row}
    page = referential_page(Kind.ACCOUNT, [row])
    assert page is None or page.records


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ),
    st.text(),
)
def test_what_is_kept_can_be_stored(value: object, label: str) -> None:
    record = one(Kind.ACCOUNT, {"numero": "601", "libelle": label, "more": value})
    text = json.dumps(record.whole, ensure_ascii=False, allow_nan=False)
    assert "\\u0000" not in text.replace("\\\\", "")
    assert "\0" not in record.label
    text.encode()


@pytest.mark.parametrize(
    ("row", "code", "name"),
    [
        ({"codeDossier": "A", "libelle": "N"}, "A", "N"),
        ({"codeIbs": "A", "raisonSociale": "N"}, "A", "N"),
        ({"codeIBS": "A"}, "A", ""),
        ({"code": "A", "name": "N"}, "A", "N"),
    ],
)
def test_a_folder_is_named_in_one_way_or_another(row: dict[str, Any], code: str, name: str) -> None:
    page = folder_page({"data": [row, {"other": 1}]})
    assert page is not None
    assert [(one.code, one.label) for one in page.records] == [(code, name)]
    assert page.received == 2


def test_more_than_half_has_to_be_left() -> None:
    pairs = [(0, 0), (0, 1), (1, 2), (1, 3), (50, 100), (49, 100)]
    assert [pair for pair in pairs if much_smaller(*pair)] == [(0, 1), (1, 3), (49, 100)]
