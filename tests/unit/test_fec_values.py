from decimal import Decimal

import pytest

from passerelle.fec.report import UnfitError
from passerelle.fec.values import amount, iso_date, optional_date, quoted


@pytest.mark.parametrize(
    "text",
    [
        "20210901",
        "01092021",
        "2021-09-01",
        "2021/09/01",
        "2021.09.01",
        "01/09/2021",
        "1/9/2021",
        "01-09-2021",
        "01.09.2021",
        "2021-09-01 00:00:00",
        "2021-09-01T00:00:00.000Z",
        "01/09/2021 00:00",
    ],
)
def test_a_date_is_read_as_packages_write_it(text: str) -> None:
    assert iso_date(text, "EcritureDate") == "2021-09-01"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "20210931",
        "20211301",
        "2021-0901",
        "01/09/21",
        "210901",
        "09/31/2021",
        "18991231",
        "22000101",
        "44440",
        "2021-09-01x",
        "20210901\n",
        " 20210901",
    ],
)
def test_what_is_no_date_or_may_be_two_is_refused(text: str) -> None:
    with pytest.raises(UnfitError, match="EcritureDate is"):
        iso_date(text, "EcritureDate")


def test_no_eight_digits_are_a_date_in_two_ways() -> None:
    def dates(text: str) -> list[tuple[int, int, int]]:
        day_last = int(text[:4]), int(text[4:6]), int(text[6:])
        day_first = int(text[4:]), int(text[2:4]), int(text[:2])
        return [
            (year, month, day)
            for year, month, day in (day_last, day_first)
            if 1900 <= year <= 2199 and 1 <= month <= 12 and 1 <= day <= 31
        ]

    for year in range(1900, 2200):
        for month in range(1, 13):
            for day in range(1, 32):
                assert len(dates(f"{year}{month:02}{day:02}")) == 1
                assert len(dates(f"{day:02}{month:02}{year}")) == 1


@pytest.mark.parametrize("text", ["", "0", "00000000", "00/00/0000", "0000-00-00"])
def test_a_date_of_zeros_is_none(text: str) -> None:
    assert optional_date(text, "DateLet") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", "0.00"),
        ("0", "0.00"),
        ("0,00", "0.00"),
        ("-0,00", "0.00"),
        ("5", "5.00"),
        ("5,", "5.00"),
        ("5,5", "5.50"),
        ("5.50", "5.50"),
        (",5", "0.50"),
        ("+5,00", "5.00"),
        ("-5,00", "-5.00"),
        ("5,0000", "5.00"),
        ("5.120000", "5.12"),
        ("0000000005,10", "5.10"),
        ("1 234,56", "1234.56"),
        ("1\u00a0234\u00a0567,8", "1234567.80"),
        ("1\u202f234", "1234.00"),
        ("-1 234,56", "-1234.56"),
        ("1.234,56", "1234.56"),
        ("1.234.567,89", "1234567.89"),
        ("1,234.56", "1234.56"),
        ("9999999999999,99", "9999999999999.99"),
    ],
)
def test_an_amount_is_read_as_packages_write_it(text: str, value: str) -> None:
    read = amount(text, "Debit")
    assert read == Decimal(value)
    assert str(read) == value


@pytest.mark.parametrize(
    "text",
    [
        *("1,000", "1.000", "1.234.567", "1,234,567", "5,001", "5,1000001", "1,23,456.00"),
        *("1 23,00", "12 34", "5,00-", "--5", "+", ",", "1e3", "NaN", "Infinity", "1_000"),
        *("0x10", "(5,00)", "5,00 EUR", "\u0665", "5,00\n", "10000000000000", "½"),
    ],
)
def test_what_is_no_amount_or_may_be_two_is_refused(text: str) -> None:
    with pytest.raises(UnfitError, match="Debit is"):
        amount(text, "Debit")


def test_a_value_in_a_sentence_is_printable_and_short() -> None:
    assert quoted("a\tb") == r"'a\tb'"
    assert len(quoted("x" * 1_000)) == 42
