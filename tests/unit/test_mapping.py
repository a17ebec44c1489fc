import datetime as dt
import itertools
import uuid
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

import pytest

from passerelle.domain.event import (
    Attachment,
    Auxiliary,
    Entry,
    Journal,
    Kind,
    Lettering,
    Line,
    PaymentMode,
)
from passerelle.domain.limits import Cut, Limits
from passerelle.domain.mapping import (
    Destination,
    MappedEntry,
    Side,
    auxiliary_code,
    chart_account,
    map_entry,
    origin,
    short_auxiliary,
)

LIMITS = Limits(
    description=35, auxiliary_code=17, reference=35, batch_lines=500, batch_bytes=1_000_000
)
LONG = "Papeterie G\xe9n\xe9rale du Sud-Ouest fact. FA-2026-1187"
LONG_CODE = "FPAPETERIEGENERALESO"
CENT = Decimal("0.01")


def line(**given: Any) -> Line:
    values: dict[str, Any] = {
        "account": "606400",
        "description": "Fournitures",
        "debit": CENT,
        "credit": 0 * CENT,
    }
    return Line(**values | given)


def entry(*lines: Line, **given: Any) -> Entry:
    values: dict[str, Any] = {
        "id": "e-1",
        "revision": 1,
        "kind": Kind.OTHER,
        "journal": Journal("OD"),
        "date": dt.date(2026, 11, 18),
        "piece_ref": "P-1",
        "lines": lines or (line(),),
    }
    return Entry(**values | given)


def mapped(
    given: Entry,
    *,
    send_origin: bool = True,
    loop_codes: Mapping[str, str] | None = None,
    accounts: Mapping[str, str] | None = None,
) -> MappedEntry:
    destination = Destination("F", "D", LIMITS, send_origin, loop_codes or {}, accounts or {})
    return map_entry(given, destination)


def test_the_origin_is_the_one_the_contract_shows() -> None:
    assert origin("CABINET42", "DEMO000001", "ach-2026-000731", 1) == uuid.UUID(
        "24d61dbb-674d-5d13-a9e7-91b519531d88"
    )


def test_the_origin_takes_letters_and_blanks_as_they_are() -> None:
    namespace = uuid.UUID("6f2b1c52-3c0e-5d0b-9c4e-7a1f0c9d2e55")
    name = '["Caf\xe9 42","D\U0001f468"," \\"e\\" ",12]'
    assert origin("Caf\xe9 42", "D\U0001f468", ' "e" ', 12) == uuid.uuid5(namespace, name)


def test_origins_differ_wherever_the_parts_differ() -> None:
    parts = itertools.product(["a", 'a","b', "\xe9"], ["a", "e\u0301"], ["a", "1"], [1, 11])
    made = [origin(*part) for part in parts]
    assert len(set(made)) == len(made)


def test_every_line_carries_the_same_origin_unless_it_is_not_to_be_sent() -> None:
    two = entry(line(), line())
    assert [sent.origin for sent in mapped(two).lines] == [origin("F", "D", "e-1", 1)] * 2
    assert [sent.origin for sent in mapped(two, send_origin=False).lines] == [None, None]


def test_a_description_that_is_cut_goes_whole_into_the_comment() -> None:
    result = mapped(entry(line(), line(description=f"\t{LONG}\n")))
    short, long = result.lines
    assert (short.description, short.comment) == ("Fournitures", None)
    assert (long.description, long.comment) == ("Papeterie G\xe9n\xe9rale du Sud-Ouest fac", LONG)
    assert result.cuts == (
        Cut(1, "description", LONG, "Papeterie G\xe9n\xe9rale du Sud-Ouest fac"),
    )


def test_normalising_alone_is_no_cut() -> None:
    result = mapped(
        entry(
            line(description="  Fourni\u00adtures\x01 ", auxiliary=Auxiliary(" F\t1 ")),
            piece_ref=" P\x02 1",
        )
    )
    (sent,) = result.lines
    assert (sent.description, sent.auxiliary, sent.reference) == ("Fournitures", "F 1", "P 1")
    assert result.cuts == ()


@pytest.mark.parametrize("description", ["", "  ", "\x01\t", "\u200b"])
def test_an_empty_description_becomes_the_piece_reference(description: str) -> None:
    (sent,) = mapped(entry(line(description=description), piece_ref=" P\n1 ")).lines
    assert (sent.description, sent.comment) == ("P 1", None)


def test_a_long_piece_reference_is_cut_wherever_it_stands() -> None:
    piece = "P" * 64
    result = mapped(entry(line(), line(description=""), piece_ref=piece))
    assert {sent.reference for sent in result.lines} == {"P" * 35}
    assert (result.lines[1].description, result.lines[1].comment) == ("P" * 35, piece)
    assert result.cuts == (
        Cut(0, "piece_ref", piece, "P" * 35),
        Cut(1, "description", piece, "P" * 35),
    )


def test_a_piece_reference_of_control_characters_becomes_the_origin() -> None:
    (sent,) = mapped(entry(line(description="\x01"), piece_ref="\x01")).lines
    identity = origin("F", "D", "e-1", 1).hex
    assert (sent.reference, sent.description) == (identity, identity)


@pytest.mark.parametrize(
    ("code", "loop_codes", "sent", "cuts"),
    [
        ("F1", {}, "F1", ()),
        (LONG_CODE, {}, LONG_CODE[:17], (Cut(0, "auxiliary.code", LONG_CODE, LONG_CODE[:17]),)),
        (
            f" {LONG_CODE}\t",
            {LONG_CODE: LONG_CODE[:17]},
            LONG_CODE[:17],
            (Cut(0, "auxiliary.code", LONG_CODE, LONG_CODE[:17]),),
        ),
        (LONG_CODE, {LONG_CODE: "FPAPGENSO"}, "FPAPGENSO", ()),
        ("F1", {"F1": "OTHER"}, "OTHER", ()),
        (
            LONG_CODE,
            {"F1": "OTHER"},
            LONG_CODE[:17],
            (Cut(0, "auxiliary.code", LONG_CODE, LONG_CODE[:17]),),
        ),
        ("\x01", {}, None, ()),
    ],
    ids=[
        "short enough",
        "first 17",
        "first 17, and the register says so",
        "a code of an operator's choice",
        "a short one renamed",
        "another one renamed",
        "nothing but a control character",
    ],
)
def test_the_auxiliary_code_is_the_registers_or_the_first_17(
    code: str, loop_codes: dict[str, str], sent: str | None, cuts: tuple[Cut, ...]
) -> None:
    result = mapped(entry(line(auxiliary=Auxiliary(code))), loop_codes=loop_codes)
    assert (result.lines[0].auxiliary, result.cuts) == (sent, cuts)


@pytest.mark.parametrize(
    ("one", "other", "collide"),
    [
        ("FPAPETERIEGENERALESO", "FPAPETERIEGENERALENORD", True),
        ("FPAPETERIEGENERALESO", "FPAPETERIEGENERAL", True),
        ("FPAPETERIEGENERALESO", "FPAPETERIEGENERAUX", False),
        ("F1", "F2", False),
    ],
)
def test_codes_that_loop_could_not_tell_apart_share_their_short_form(
    one: str, other: str, *, collide: bool
) -> None:
    shorts = {short_auxiliary(auxiliary_code(code), LIMITS) for code in (one, other)}
    assert (len(shorts) == 1) is collide


def test_codes_that_differ_in_their_writing_alone_are_one_code() -> None:
    codes = {"SOCIE\u0301TE\u0301 A", "SOCI\xc9T\xc9  A", " SOCI\xc9T\xc9\u00a0A\n"}
    assert {auxiliary_code(code) for code in codes} == {"SOCI\xc9T\xc9 A"}


@pytest.mark.parametrize(
    ("account", "chart", "expected"),
    [
        ("606400", (), "606400"),
        ("606400", {"606400"}, "606400"),
        ("606400", {"60640000"}, "60640000"),
        ("606400", {"6064"}, "6064"),
        ("606400", {"606400", "60640000"}, "606400"),
        ("606400", {"6064", "60640000"}, "606400"),
        ("606400", {"606410", "60604", "0606400"}, "606400"),
        ("411DUP", {"411DUP00"}, "411DUP00"),
    ],
    ids=[
        "no chart known",
        "the same",
        "longer there",
        "shorter there",
        "the same before another writing",
        "two other writings decide nothing",
        "no other difference counts",
        "letters",
    ],
)
def test_an_account_is_written_as_the_chart_writes_it(
    account: str, chart: Collection[str], expected: str
) -> None:
    assert chart_account(account, chart) == expected


def test_a_line_takes_the_charts_writing_of_its_account() -> None:
    result = mapped(
        entry(line(account="606400"), line(account="445660")), accounts={"606400": "60640000"}
    )
    assert [sent.account for sent in result.lines] == ["60640000", "445660"]


def test_amounts_in_euro_are_their_own_counter_value() -> None:
    debit = line(debit=Decimal("12.30"))
    credit = line(debit=Decimal(0), credit=Decimal("12.30"))
    first, second = mapped(entry(debit, credit)).lines
    moved = Side(Decimal("12.30"), "EUR", Decimal("12.30"), "1.0")
    still = Side(Decimal(0), "EUR", Decimal(0), "1.0")
    assert (first.debit, first.credit) == (moved, still)
    assert (second.debit, second.credit) == (still, moved)


def test_amounts_in_another_currency_keep_amount_and_rate_as_given() -> None:
    given = line(
        debit=Decimal(0),
        credit=Decimal("92.17"),
        currency_amount=Decimal("100.00"),
        currency_rate="0.92170",
    )
    (sent,) = mapped(entry(given, currency="USD")).lines
    assert sent.credit == Side(Decimal("92.17"), "USD", Decimal("100.00"), "0.92170")
    assert sent.debit == Side(Decimal(0), "USD", Decimal(0), "0.92170")


def test_a_line_that_moves_euros_alone_keeps_its_zero_in_the_other_currency() -> None:
    given = line(debit=CENT, currency_amount=Decimal("0.00"), currency_rate="1.1")
    (sent,) = mapped(entry(given, currency="USD")).lines
    assert sent.debit == Side(CENT, "USD", Decimal(0), "1.1")


def test_a_line_of_a_foreign_entry_without_its_amount_is_told_in_euro() -> None:
    (sent,) = mapped(entry(line(debit=CENT), currency="USD")).lines
    assert sent.debit == Side(CENT, "EUR", CENT, "1.0")


@pytest.mark.parametrize(
    ("mode", "number"),
    [
        (None, None),
        (PaymentMode.NONE, 1),
        (PaymentMode.CASH, 2),
        (PaymentMode.CHEQUE, 3),
        (PaymentMode.CARD, 4),
        (PaymentMode.TRANSFER, 5),
        (PaymentMode.DIRECT_DEBIT, 6),
        (PaymentMode.TIP, 7),
        (PaymentMode.LCR_BOR, 8),
        (PaymentMode.LCR_MAGNETIC, 9),
        (PaymentMode.DRAFT, 10),
        (PaymentMode.REMOTE_PAYMENT, 11),
    ],
)
def test_payment_modes_are_loops_numbers(mode: PaymentMode | None, number: int | None) -> None:
    assert mapped(entry(line(payment_mode=mode))).lines[0].payment_mode == number


WITHOUT = line()
WITH = line(auxiliary=Auxiliary("F1"))


@pytest.mark.parametrize(
    ("lines", "bearer"),
    [
        ((WITHOUT, WITHOUT), 0),
        ((WITHOUT, WITH, WITH), 1),
        ((WITH, WITHOUT), 0),
    ],
)
def test_the_attachment_stands_on_the_first_line_with_an_auxiliary(
    lines: tuple[Line, ...], bearer: int
) -> None:
    attachment = Attachment("https://files.example.com/a.pdf")
    result = mapped(entry(*lines, attachment=attachment))
    expected = [attachment if number == bearer else None for number in range(len(lines))]
    assert [sent.attachment for sent in result.lines] == expected


def test_what_the_entry_says_stands_on_every_line() -> None:
    given = entry(
        line(),
        line(),
        journal=Journal(" A\tCH ", " Achats\n"),
        document_date=dt.date(2026, 11, 17),
        siret="73282932000074",
    )
    for sent in mapped(given).lines:
        assert sent.date == dt.date(2026, 11, 18)
        assert (sent.journal, sent.journal_label) == ("A CH", "Achats")
        assert (sent.document_date, sent.siret) == (dt.date(2026, 11, 17), "73282932000074")


def test_what_a_line_says_stands_on_that_line_alone() -> None:
    given = line(
        account_label=" Fourni\ttures ",
        due_date=dt.date(2026, 12, 17),
        operation_date=dt.date(2026, 11, 20),
        lettering=Lettering("AA ", dt.date(2026, 11, 30)),
    )
    said, silent = mapped(entry(given, line())).lines
    assert said.account_label == "Fourni tures"
    assert (said.due_date, said.operation_date) == (dt.date(2026, 12, 17), dt.date(2026, 11, 20))
    assert (said.lettering, said.lettering_date) == ("AA", dt.date(2026, 11, 30))
    assert silent.account_label is None
    assert (silent.due_date, silent.operation_date) == (None, None)
    assert (silent.lettering, silent.lettering_date) == (None, None)


def test_labels_that_hold_nothing_visible_are_left_out() -> None:
    given = entry(
        line(account_label="\x01", lettering=Lettering("\x01")), journal=Journal("OD", " ")
    )
    (sent,) = mapped(given).lines
    assert (sent.account_label, sent.lettering, sent.journal_label) == (None, None, None)
