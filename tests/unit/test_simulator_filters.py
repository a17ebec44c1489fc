"""The filter language: what is written is read back, and nothing else is read."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.answers import RefusedError
from simulator.filters import Condition, Operator, all_hold, of_entries, of_list, parsed

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True)
VALUES = st.none() | st.text()
CONDITIONS = st.lists(st.builds(Condition, NAMES, st.sampled_from(Operator), VALUES), max_size=5)
BLANKS = st.sampled_from(["", " ", "  ", "\n"])


def written(conditions: list[Condition], blank: str) -> str:
    return f"{blank}&&{blank}".join(
        f"{condition.name}{blank}{condition.operator}{blank}{json.dumps(condition.value)}"
        for condition in conditions
    )


@given(CONDITIONS, BLANKS)
def test_what_is_written_is_read_back(conditions: list[Condition], blank: str) -> None:
    assert list(parsed(written(conditions, blank))) == conditions


@given(st.text(alphabet='ab=!>&|" \\null'))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        conditions = parsed(text)
    except RefusedError:
        return
    # What was read accounts for every character but blanks.
    assert re.sub(r"\s", "", written(list(conditions), "")) == re.sub(r"\s", "", text).replace(
        r"\/", "/"
    )


@given(CONDITIONS.filter(bool), st.sampled_from(["&&", "||", "&", ";", " x", "\x00", '"']))
def test_a_filter_with_anything_behind_it_is_refused(
    conditions: list[Condition], more: str
) -> None:
    with pytest.raises(RefusedError):
        parsed(written(conditions, "") + more)


@given(st.dictionaries(NAMES, VALUES, min_size=1), st.data())
def test_a_row_meets_equality_with_itself_and_never_inequality(
    row: dict[str, str | None], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(row)))
    value = row[name]
    assert Condition(name, Operator.EQUAL, value).holds(row)
    assert Condition(name, Operator.STRICT, value).holds(row)
    assert not Condition(name, Operator.UNEQUAL, value).holds(row)


@given(VALUES, VALUES)
def test_unequal_is_the_opposite_of_equal(found: str | None, value: str | None) -> None:
    row = {"a": found}
    equal = Condition("a", Operator.EQUAL, value).holds(row)
    assert Condition("a", Operator.UNEQUAL, value).holds(row) is not equal


@given(CONDITIONS, st.integers(0, 5))
def test_every_condition_must_hold(conditions: list[Condition], place: int) -> None:
    row: dict[str, Any] = {condition.name: "never so" for condition in conditions} | {"ok": "1"}
    conditions.insert(place, Condition("ok", Operator.UNEQUAL, "1"))
    assert not all_hold(conditions, row)


@pytest.mark.parametrize(
    ("found", "operator", "value", "holds"),
    [
        (6, "==", "6", True),
        (6, "===", "6", False),
        (0, "==", None, False),
        ("", "==", None, False),
        (None, "!=", "", True),
        (True, "==", "True", False),
        ("2026-01-31", ">=", "2026-01-31", True),
        ("2026-01-31", ">=", "2026-02-01", False),
        (None, ">=", "2026-02-01", False),
        ("2026-01-31", ">=", None, False),
    ],
)
def test_values_compare_as_in_javascript(
    found: object, operator: str, value: str | None, holds: object
) -> None:
    assert Condition("a", Operator(operator), value).holds({"a": found}) is holds


def test_a_field_that_no_row_has_is_refused() -> None:
    with pytest.raises(RefusedError):
        Condition("a", Operator.EQUAL, None).holds({"b": None})


def test_since_is_for_the_date_of_entries_alone() -> None:
    text = 'codeLettrage==null && datePiece>="2026-01-31"'
    assert len(of_entries(text)) == 2
    with pytest.raises(RefusedError):
        of_list('datePiece>="2026-01-31"')


@given(CONDITIONS)
def test_entries_are_never_searched_without_the_mandatory_part(
    conditions: list[Condition],
) -> None:
    if any(condition.name in {"codeLettrage", "ecritureOrigine"} for condition in conditions):
        return
    with pytest.raises(RefusedError):
        of_entries(written(conditions, ""))
