"""Amounts in cents: exact, or refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import money
from simulator.money import AmountError


@given(st.integers(0, 10**15 - 1))
def test_an_amount_goes_to_cents_and_back(cents: int) -> None:
    assert money.cents(Decimal(money.text(cents))) == cents
    assert money.cents(money.number(cents)) == cents


@given(st.integers(0, 10**13 - 1))
def test_a_whole_number_is_an_amount(units: int) -> None:
    assert money.cents(units) == units * 100


@given(st.integers(0, 10**15 - 1))
def test_a_float_writes_what_was_read(cents: int) -> None:
    assert Decimal(repr(float(money.number(cents)))) == money.number(cents)


@pytest.mark.parametrize(
    "value",
    [
        Decimal("0.001"),
        Decimal("1.0000000000000000000000000000000000001"),
        Decimal("-0.01"),
        -1,
        10**13,
        Decimal("1E+400"),
        Decimal("1E-400"),
        True,
        None,
        "1.00",
        1.0,
        [],
    ],
)
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(AmountError):
        money.cents(value)


@pytest.mark.parametrize(
    ("cents", "text"), [(0, "0.00"), (5, "0.05"), (-5, "-0.05"), (123456, "1234.56")]
)
def test_an_amount_reads_with_two_decimals(cents: int, text: str) -> None:
    assert money.text(cents) == text
