import io
from collections.abc import Iterable
from typing import Any

import pytest

from passerelle.fec.reader import read
from passerelle.fec.report import FecError, Finding, Report
from support.fec_files import literal_file as content
from support.fec_files import payroll_line as line

# Sound neighbours.
PURCHASE = (
    "ACH|Achats|31|20251118|606400||||FA-1187||Papeterie Générale|100,00|0,00|||20260331||",
    "ACH|Achats|31|20251118|445660||||FA-1187||Papeterie Générale|20,00|0,00|||20260331||",
    "ACH|Achats|31|20251118|401000||||FA-1187||Papeterie Générale|0,00|120,00|||20260331||",
)
SALE = (
    "VEN|Ventes|7|20251118|411000||||F7||Mairie|12,50|0,00|||20260331||",
    "VEN|Ventes|7|20251118|706000||||F7||Mairie|0,00|12,50|||20260331||",
)


def taken(data: bytes) -> tuple[list[dict[str, Any]], Report]:
    reading = read(io.BytesIO(data), "CABINET42", "DEMO000001")
    return list(reading.events), reading.report


def refused(data: bytes) -> FecError:
    """The refusal, before any event was asked for."""
    with pytest.raises(FecError) as refusal:
        read(io.BytesIO(data), "CABINET42", "DEMO000001")
    return refusal.value


OTHER_SIDE = line(Debit="0,00", Credit="5,00")


# The whole file is refused.

SALE_FILE = content(*SALE)
ARABIC_DATE = "20251130".translate({ord("0") + digit: 0x660 + digit for digit in range(10)})
NO_DATE = "EcritureDate is '{}', expected a date such as 20210901"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "line 1: the file is empty, expected the header of an FEC"),
        (b"\n\r\n", "line 1: the file is empty, expected the header of an FEC"),
        (b"\xef\xbb\xbf", "line 1: the file is empty, expected the header of an FEC"),
        (content(), "line 1: no line follows the header"),
        (b"\x89PNG\r\n\x1a\n\0\0", "line 1: byte 0x89 is not UTF-8, expected UTF-8 text"),
        (b"PK\x03\x04\0\0\0\0", "line 1: holds a NUL character, expected text"),
        (b"\xff\xfeJ\0", "line 1: byte 0xFF is not UTF-8, expected UTF-8 text"),
        (
            content(*SALE, *PURCHASE).decode().encode("cp1252"),
            "line 4: byte 0xE9 is not UTF-8, expected UTF-8 text",
        ),
        (
            content(*SALE, line(EcritureLib="a\0b")),
            "line 4: holds a NUL character, expected text",
        ),
        (b"x" * 200_000, "line 1: 65,536 bytes or more, not a line of an FEC"),
        (content("x" * 200_000), "line 2: 65,536 bytes or more, not a line of an FEC"),
    ],
)
def test_a_file_that_is_no_text_of_lines_gets_one_sentence(data: bytes, sentence: str) -> None:
    refusal = refused(data)
    assert str(refusal) == sentence


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"%PDF-1.7\n%\xe2\xe3\n1 0 obj", "1 is '%PDF-1.7', expected JournalCode"),
        (b"date,account\n2025-01-01,606400\n", "1 is 'date,account', expected JournalCode"),
        (
            content(*SALE, separator=";"),
            "1 is 'JournalCode;JournalLib;EcritureNum;Ecri…', expected JournalCode",
        ),
        (
            SALE_FILE.replace(b"Debit|Credit", b"Montant|Sens"),
            "12 is 'Montant', expected Debit",
        ),
        (
            SALE_FILE.replace(b"JournalCode|JournalLib", b"JournalLib|JournalCode"),
            "1 is 'JournalLib', expected JournalCode",
        ),
        (SALE_FILE.replace(b"|Idevise", b""), "18 is missing, expected Idevise"),
        (
            SALE_FILE.replace(b"|Idevise", b"|Idevise|DateRglt"),
            "19 is 'DateRglt', expected no more columns",
        ),
    ],
)
def test_a_file_with_another_header_is_told_the_first_column_that_differs(
    data: bytes, fault: str
) -> None:
    refusal = refused(data)
    assert str(refusal) == (
        f"line 1: not the header of an FEC: column {fault}"
        " (18 columns between tabs or vertical bars)"
    )


@pytest.mark.parametrize(
    ("stray", "reason"),
    [
        ("VE |Ven", "2 columns, expected 18"),
        ("VE |Ventes|7|2025", NO_DATE.format("2025")),
        (line(EcritureDate=""), NO_DATE.format("")),
        (line(EcritureDate="2025-11-30"), NO_DATE.format("2025-11-30")),
        (line(EcritureDate="20250230"), NO_DATE.format("20250230")),
        (line(EcritureDate=ARABIC_DATE), NO_DATE.format(ARABIC_DATE)),
        (line(JournalCode=" "), "JournalCode is blank"),
        (line(EcritureNum=""), "EcritureNum is '', expected the entry's own number"),
        (line(EcritureNum="000"), "EcritureNum is '000', expected the entry's own number"),
    ],
)
def test_a_line_that_tells_no_entry_refuses_the_file(stray: str, reason: str) -> None:
    refusal = refused(content(*PURCHASE, stray))
    assert str(refusal) == f"line 5: {reason}; the line's entry cannot be told"


def test_all_lines_that_tell_no_entry_are_named_at_once() -> None:
    refusal = refused(content("x", *PURCHASE, "y", "z"))
    assert [finding.lines for finding in refusal.findings] == [(2,), (6,), (7,)]


def test_a_file_that_is_wrong_throughout_is_not_read_to_its_end() -> None:
    refusal = refused(content(*(["x"] * 10_000)))
    assert len(refusal.findings) == 100
    assert str(refusal).endswith("; and 95 more")


# One entry is left out, its neighbours are not.

EXPECTED_AMOUNT = "expected an amount such as 1234,56, not below zero"
EXPECTED_DATE = "expected a date such as 20210901"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ([line(), line(Debit="0,00", Credit="4,99")], "not balanced: debit 5.00, credit 4.99"),
        ([line()], "not balanced: debit 5.00, credit 0.00"),
        ([line(Debit="0,00"), line(Debit="0")], "no line has an amount"),
        ([line(EcritureLib="a|b"), OTHER_SIDE], "line 5: 19 columns, expected 18"),
        ([line(), "OD|Paie|9|20251130|421000|Pers"], "line 6: 6 columns, expected 18"),
        ([line(Debit="5.00"), OTHER_SIDE], f"line 5: Debit is '5.00', {EXPECTED_AMOUNT}"),
        ([line(Debit=""), OTHER_SIDE], f"line 5: Debit is '', {EXPECTED_AMOUNT}"),
        ([line(Debit="1 005,00"), OTHER_SIDE], f"line 5: Debit is '1 005,00', {EXPECTED_AMOUNT}"),
        ([line(Debit="\u0665"), OTHER_SIDE], f"line 5: Debit is '\u0665', {EXPECTED_AMOUNT}"),
        ([line(Debit="5,001"), OTHER_SIDE], f"line 5: Debit is '5,001', {EXPECTED_AMOUNT}"),
        (
            [line(Debit="1" + "0" * 13), OTHER_SIDE],
            f"line 5: Debit is '10000000000000', {EXPECTED_AMOUNT}",
        ),
        (
            [line(Debit="0,00", Credit="-5,00"), OTHER_SIDE],
            f"line 5: Credit is '-5,00', {EXPECTED_AMOUNT}",
        ),
        (
            [line(Debit="7,00", Credit="2,00"), OTHER_SIDE],
            "line 5: both Debit and Credit have an amount, expected one of them",
        ),
        (
            [line(CompteNum="411 000"), OTHER_SIDE],
            "line 5: CompteNum is '411 000', expected digits and letters A to Z",
        ),
        (
            [line(CompteNum=""), OTHER_SIDE],
            "line 5: CompteNum is '', expected digits and letters A to Z",
        ),
        (
            [line(CompteNum="é"), OTHER_SIDE],
            "line 5: CompteNum is 'é', expected digits and letters A to Z",
        ),
        ([line(PieceDate="x"), OTHER_SIDE], f"line 5: PieceDate is 'x', {EXPECTED_DATE}"),
        ([line(DateLet="20251301"), OTHER_SIDE], f"line 5: DateLet is '20251301', {EXPECTED_DATE}"),
        ([line(ValidDate="0"), OTHER_SIDE], f"line 5: ValidDate is '0', {EXPECTED_DATE}"),
        (
            [
                line(CompteNum="?"),
                line(Debit="?"),
                line(Credit="?"),
                *[line(Debit="!")] * 3,
                OTHER_SIDE,
            ],
            (
                "line 5: CompteNum is '?', expected digits and letters A to Z; "
                f"line 6: Debit is '?', {EXPECTED_AMOUNT}; "
                f"line 7: Credit is '?', {EXPECTED_AMOUNT}; "
                f"line 8: Debit is '!', {EXPECTED_AMOUNT}; "
                f"line 9: Debit is '!', {EXPECTED_AMOUNT}; and 1 more"
            ),
        ),
    ],
)
def test_an_unsound_entry_is_left_out_with_its_lines_and_alone(bad: list[str], reason: str) -> None:
    made, report = taken(content(*PURCHASE, *bad, *SALE))
    assert [event["entry"]["id"] for event in made] == ["fec:20251118:ACH:31", "fec:20251118:VEN:7"]
    lines = tuple(range(5, 5 + len(bad)))
    assert report.left_out == [Finding(lines, reason, "fec:20251130:OD:9")]
    assert report.lines == 5 + len(bad)
    assert "OD" not in report.journals


@pytest.mark.parametrize(
    ("column", "most"),
    [
        ("JournalCode", 16),
        ("JournalLib", 255),
        ("EcritureNum", 64),
        ("CompteNum", 32),
        ("CompteLib", 255),
        ("CompAuxNum", 64),
        ("CompAuxLib", 255),
        ("PieceRef", 64),
        ("EcritureLib", 1000),
        ("EcritureLet", 32),
    ],
)
def test_nothing_is_cut_a_value_too_long_for_an_event_leaves_its_entry_out(
    column: str, most: int
) -> None:
    def two(value: str) -> Iterable[str]:
        key = {column: value} if column in {"JournalCode", "EcritureNum"} else {}
        return line(**{"CompAuxNum": "C1", column: value}), line(Debit="0,00", Credit="5,00", **key)

    assert len(taken(content(*two("7" * most)))[0]) == 1
    made, report = taken(content(*two("7" * (most + 1))))
    assert not made
    assert f"{column} has {most + 1} characters, expected at most {most}" in (
        report.left_out[0].message
    )


def test_an_entry_of_more_lines_or_bytes_than_an_event_holds_is_left_out() -> None:
    most = [line(EcritureLib="", Debit="0,01"), line(Debit="0,00", Credit="0,01")]
    lines = [row.replace("Salaires", "") for row in most]
    assert len(taken(content(*lines * 1_250))[0]) == 1
    _, many = taken(content(*lines * 2_501))
    assert many.left_out[0].message == "5,002 lines, expected at most 5,000"
    long = [line(EcritureLib="é" * 900), line(EcritureLib="é" * 900, Debit="0,00", Credit="5,00")]
    _, heavy = taken(content(*long * 100))
    assert "bytes as an event, expected at most 999,900" in heavy.left_out[0].message
    assert len(heavy.left_out[0].lines) == 200


def test_a_line_without_an_amount_is_left_out_of_a_sound_entry_and_told() -> None:
    made, report = taken(content(line(), line(Debit="0,00"), OTHER_SIDE))
    assert len(made[0]["entry"]["lines"]) == 2
    reason = "neither Debit nor Credit has an amount"
    assert report.left_out == [Finding((3,), reason, "fec:20251130:OD:9")]
    assert report.journals["OD"].lines == 2
