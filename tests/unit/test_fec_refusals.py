from collections.abc import Iterable

import pytest

from passerelle.fec.report import FecError, Finding, Reason
from support.fec_files import assert_each_line_is_told_once, taken
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


def refused(data: bytes) -> FecError:
    with pytest.raises(FecError) as refusal:
        taken(data)
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
        (
            b"%PDF-1.7\n%\xe2\xe3\n1 0 obj",
            "line 1: this is a PDF document, expected an FEC as plain text",
        ),
        (
            b"PK\x03\x04\0\0\0\0",
            "line 1: this is a ZIP archive or a spreadsheet, expected an FEC as plain text",
        ),
        (b"\x1f\x8b\x08", "line 1: this is a compressed file, expected an FEC as plain text"),
        (
            content(*SALE).decode().encode("utf-16"),
            "line 1: this is text in UTF-16, expected an FEC as plain text",
        ),
        (
            b"<?xml version='1.0'?>",
            "line 1: this is an XML document, expected an FEC as plain text",
        ),
        (
            content("x", "y|z"),
            (
                "line 1: of 2 lines none can be read; line 2: 1 columns, expected 18; the line's "
                "entry cannot be told; line 3: 2 columns, expected 18; the line's entry cannot be "
                "told"
            ),
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
        (b"\x89PNG\r\n\x1a\n\0\0", "it begins with '‰PNG'"),
        (b"date,account\n2025-01-01,606400\n", "it begins with 'date,account'"),
        (
            content(*SALE, separator=","),
            "it begins with 'JournalCode,JournalLib,EcritureNum,Ecri…'",
        ),
        (content(*SALE).replace(b"Credit|", b""), "it lacks Credit"),
        (content(*SALE).replace(b"Debit|Credit", b"Montant|Cens"), "it lacks Debit and Credit"),
        (content(*SALE).replace(b"EcritureDate", b"Date"), "it lacks EcritureDate"),
        (content(*SALE).replace(b"Idevise", b"Debit"), "it names Debit twice"),
        (
            b"JournalCode\n",
            "it lacks EcritureDate and CompteNum and EcritureLib and Debit and Credit",
        ),
    ],
)
def test_a_file_with_another_header_is_told_what_is_wrong_with_it(data: bytes, fault: str) -> None:
    assert str(refused(data)) == (
        f"line 1: not the header of an FEC: {fault} (expected JournalCode, JournalLib, "
        "EcritureNum, EcritureDate and so on, between tabs, vertical bars or semicolons)"
    )


def test_more_journals_than_a_firm_can_have_refuse_the_file() -> None:
    rows = [line(JournalCode=str(number)) for number in range(1_001)]
    assert "more than 1,000 journals" in str(refused(content(*rows)))


def test_a_file_that_cannot_be_read_throughout_is_not_read_to_its_end() -> None:
    refusal = refused(content(*SALE, *(["x"] * 20_000)))
    assert str(refusal).startswith(
        "line 10004: 10,000 lines up to this one cannot be read; line 4: "
    )
    faulty = [line(EcritureNum=str(number)) + "|x|y" for number in range(10_001)]
    assert "10,000 lines up to this one" in str(refused(content(*SALE, *faulty)))


# A line is left out, and harms no entry that is whole without it.

NO_DATE = "EcritureDate is '{}', expected a date such as 20210901"
ARABIC_DATE = "20251130".translate({ord("0") + digit: 0x660 + digit for digit in range(10)})


@pytest.mark.parametrize(
    ("stray", "reason"),
    [
        ("VE |Ven", "2 columns, expected 18"),
        ("VE |Ventes|7|2025", "4 columns, expected 18"),
        (line(EcritureDate=""), NO_DATE.format("")),
        (line(EcritureDate="11/2025"), NO_DATE.format("11/2025")),
        (line(EcritureDate="20250230"), NO_DATE.format("20250230")),
        (line(EcritureDate="18991231"), NO_DATE.format("18991231")),
        (line(EcritureDate=ARABIC_DATE), NO_DATE.format(ARABIC_DATE)),
        (line(JournalCode=" "), "JournalCode is blank"),
        ("TOTAL|||||||||||12,50|12,50|||||", NO_DATE.format("")),
    ],
)
def test_a_line_that_tells_no_entry_is_left_out_alone(stray: str, reason: str) -> None:
    found = taken(content(*PURCHASE, stray, *SALE))
    assert len(found.events) == 2
    message = f"{reason}; the line's entry cannot be told"
    assert found.left_out == [Finding((5,), message, None, Reason.UNREADABLE)]


def test_of_two_lines_that_tell_no_entry_nobody_knows_whose_they_are() -> None:
    # Each would unbalance the entry that it is missing from; two might not.
    found = taken(content(*PURCHASE, "x", "y", *SALE, *SALE[:1], "z", *SALE[1:]))
    assert found.events == []
    message = "whether these lines are all is unknown: lines {} cannot be read"
    told = {finding.lines: finding.message for finding in found.left_out}
    assert told[2, 3, 4] == message.format("5, 6")
    assert told[7, 8, 9, 11] == message.format("5, 6, 10")
    assert_each_line_is_told_once(found)


@pytest.mark.parametrize(
    "nothing",
    ["", " ", "\t", "|" * 17, " | " * 17, "\x1a", content().decode().rstrip()],
    ids=["empty", "blank", "tab", "separators", "blanks", "end of file", "the header again"],
)
def test_a_line_that_holds_nothing_is_none(nothing: str) -> None:
    found = taken(content(*PURCHASE, nothing, nothing, *SALE))
    assert (found.lines, len(found.events), found.left_out) == (5, 2, [])


# One entry is left out, its neighbours are not.

EXPECTED_AMOUNT = "expected an amount such as 1234,56"
EXPECTED_DATE = "expected a date such as 20210901"
UNREADABLE = Reason.UNREADABLE


@pytest.mark.parametrize(
    ("bad", "reason", "kind"),
    [
        (
            [line(), line(Debit="0,00", Credit="4,99")],
            "not balanced: debit 5.00, credit 4.99",
            Reason.UNBALANCED,
        ),
        ([line()], "not balanced: debit 5.00, credit 0.00", Reason.UNBALANCED),
        (["OD|Paie|9|20251130|421000|Pers"], "6 columns, expected 18", UNREADABLE),
        (
            [line(Debit="0,00"), line(Debit="0")],
            "neither Debit nor Credit has an amount",
            Reason.NO_AMOUNT,
        ),
        ([line(), "OD|Paie|9|20251130|421000|Pers"], "line 6: 6 columns, expected 18", UNREADABLE),
        (
            [line(Debit="5.001"), OTHER_SIDE],
            f"line 5: Debit is '5.001', {EXPECTED_AMOUNT}",
            UNREADABLE,
        ),
        (
            [line(Debit="\u0665"), OTHER_SIDE],
            f"line 5: Debit is '\u0665', {EXPECTED_AMOUNT}",
            UNREADABLE,
        ),
        (
            [line(Debit="5,00-"), OTHER_SIDE],
            f"line 5: Debit is '5,00-', {EXPECTED_AMOUNT}",
            UNREADABLE,
        ),
        ([line(Debit="1e3"), OTHER_SIDE], f"line 5: Debit is '1e3', {EXPECTED_AMOUNT}", UNREADABLE),
        (
            [line(Debit="1" + "0" * 13), OTHER_SIDE],
            f"line 5: Debit is '10000000000000', {EXPECTED_AMOUNT}",
            UNREADABLE,
        ),
        (
            [line(Debit="7,00", Credit="2,00"), OTHER_SIDE],
            "line 5: both Debit and Credit have an amount, expected one of them",
            UNREADABLE,
        ),
        (
            [line(Debit="-7,00", Credit="2,00"), OTHER_SIDE],
            "line 5: both Debit and Credit have an amount, expected one of them",
            UNREADABLE,
        ),
        (
            [line(CompteNum="411 000"), OTHER_SIDE],
            "line 5: CompteNum is '411 000', expected digits and letters A to Z",
            UNREADABLE,
        ),
        (
            [line(CompteNum=""), OTHER_SIDE],
            "line 5: CompteNum is '', expected digits and letters A to Z",
            UNREADABLE,
        ),
        (
            [line(CompteNum="é"), OTHER_SIDE],
            "line 5: CompteNum is 'é', expected digits and letters A to Z",
            UNREADABLE,
        ),
        (
            [line(PieceDate="x"), OTHER_SIDE],
            f"line 5: PieceDate is 'x', {EXPECTED_DATE}",
            UNREADABLE,
        ),
        (
            [line(DateLet="20251301"), OTHER_SIDE],
            f"line 5: DateLet is '20251301', {EXPECTED_DATE}",
            UNREADABLE,
        ),
        (
            [line(ValidDate="1"), OTHER_SIDE],
            f"line 5: ValidDate is '1', {EXPECTED_DATE}",
            UNREADABLE,
        ),
        (
            [line(EcritureLib="a\0b"), OTHER_SIDE],
            "line 5: holds a NUL character, expected text",
            UNREADABLE,
        ),
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
            UNREADABLE,
        ),
    ],
)
def test_an_unsound_entry_is_left_out_with_its_lines_and_alone(
    bad: list[str], reason: str, kind: Reason
) -> None:
    found = taken(content(*PURCHASE, *bad, *SALE))
    assert [event["entry"]["id"] for event in found.events] == [
        "fec:20251118:ACH:31",
        "fec:20251118:VEN:7",
    ]
    lines = tuple(range(5, 5 + len(bad)))
    assert found.left_out == [Finding(lines, reason, "fec:20251130:OD:9", kind)]
    assert found.lines == 5 + len(bad)
    assert "OD" not in found.journals


@pytest.mark.parametrize(
    ("column", "most"),
    [
        ("JournalCode", 16),
        ("JournalLib", 255),
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
        key = {column: value} if column == "JournalCode" else {}
        return line(**{"CompAuxNum": "C1", column: value}), line(Debit="0,00", Credit="5,00", **key)

    assert len(taken(content(*SALE, *two("7" * most))).events) == 2
    found = taken(content(*SALE, *two("7" * (most + 1))))
    assert len(found.events) == 1
    assert f"{column} has {most + 1} characters, expected at most {most}" in (
        found.left_out[0].message
    )
    assert_each_line_is_told_once(found)


def test_an_entry_of_more_lines_or_bytes_than_an_event_holds_is_left_out() -> None:
    most = [line(EcritureLib="", Debit="0,01"), line(Debit="0,00", Credit="0,01")]
    lines = [row.replace("Salaires", "") for row in most]
    assert len(taken(content(*lines * 1_250)).events) == 1
    many = taken(content(*lines * 2_501))
    assert many.left_out[0].message == "5,002 lines, expected at most 5,000"
    assert many.left_out[0].reason is Reason.UNFIT
    long = [line(EcritureLib="é" * 900), line(EcritureLib="é" * 900, Debit="0,00", Credit="5,00")]
    heavy = taken(content(*long * 100))
    assert "bytes as an event, expected at most 1,000,000" in heavy.left_out[0].message
    assert len(heavy.left_out[0].lines) == 200


def test_more_lines_than_are_held_in_memory_are_left_out_and_harm_no_other_entry() -> None:
    pair = [line(Debit="0,01"), line(Debit="0,00", Credit="0,01")]
    others = [row.replace("20251118", "20251130") for row in (*PURCHASE, *SALE)]
    for number in ("9", ""):
        many = [row.replace("|9|", f"|{number}|", 1) for row in pair * 15_000]
        found = taken(content(*others[:4], *many, *others[4:]))
        assert len(found.events) == 2
        assert {finding.reason for finding in found.left_out} == {Reason.UNGROUPED}
        assert max(len(finding.lines) for finding in found.left_out) <= 20_001
        assert_each_line_is_told_once(found)


def test_a_line_without_an_amount_is_left_out_of_a_sound_entry_and_told() -> None:
    found = taken(content(line(), line(Debit="0,00"), OTHER_SIDE))
    assert len(found.events[0]["entry"]["lines"]) == 2
    reason = "neither Debit nor Credit has an amount"
    assert found.left_out == [Finding((3,), reason, "fec:20251130:OD:9", Reason.NO_AMOUNT)]
    assert found.journals["OD"].lines == 2


def test_a_file_cut_off_in_the_middle_loses_its_last_entry_only() -> None:
    whole = content(*PURCHASE, *SALE, line(), OTHER_SIDE)
    for end in range(len(content(*PURCHASE, *SALE)), len(whole) - 30):
        found = taken(whole[:end])
        assert len(found.events) == 2
        assert_each_line_is_told_once(found)


def test_a_number_too_long_to_stand_in_for_a_piece_leaves_its_entry_out() -> None:
    def two(**columns: str) -> Iterable[str]:
        return line(**columns), line(Debit="0,00", Credit="5,00", **columns)

    assert len(taken(content(*SALE, *two(EcritureNum="7" * 65))).events) == 2
    found = taken(content(*SALE, *two(EcritureNum="7" * 65, PieceRef="")))
    assert [finding.reason for finding in found.left_out] == [Reason.UNFIT]
    assert_each_line_is_told_once(found)


def test_a_line_in_another_encoding_than_the_file_is_left_out_with_its_entry() -> None:
    accented = [line(EcritureLib="Écluse"), OTHER_SIDE]
    utf_8 = content(*PURCHASE, *accented)
    broken = utf_8.replace("É".encode(), b"\xc9")
    found = taken(broken)
    assert (found.encoding, len(found.events)) == ("UTF-8", 1)
    assert [str(finding) for finding in found.left_out] == [
        "lines 5, 6: line 5: byte 0xC9 is not UTF-8, as the other lines are"
    ]

    latin = content(*PURCHASE, *accented).decode().encode("iso8859-15")
    found = taken(latin.replace(b"\xc9", "É".encode()))
    assert (found.encoding, len(found.events)) == ("Windows-1252", 1)
    assert [str(finding) for finding in found.left_out] == [
        "lines 5, 6: line 5: is UTF-8, the other lines are Windows-1252"
    ]
