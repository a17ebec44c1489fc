from decimal import Decimal
from typing import Any

import pytest

from passerelle.domain.event import Kind
from passerelle.fec.entries import Choices, is_same_booking
from passerelle.fec.report import Finding, JournalTotals, Reason
from support.fec_files import by_id, taken
from support.fec_files import literal_file as content
from support.fec_files import payroll_line as line

# A purchase, a sale whose lines are apart, and a bank entry; the smallest file with all columns.
PURCHASE = (
    "ACH|Achats|31|20251118|606400|Fournitures|||FA-1187|20251117|Générale|100,00|0,00|||20260331||",
    "ACH|Achats|31|20251118|445660|TVA|||FA-1187|20251117|Générale|20,00|0,00|||20260331||",
    "ACH||31|20251118|401000|Fournisseurs|FPAP|Papeterie|FA-1187||Générale|0,00|120,00|AAB|20251220|20260401||",
)
SALE = (
    "VE |Ventes|7|20251118|411000|Clients|C1||F7|20251118|Mairie|12,5|0|||20260331||",
    "VE |Ventes|7|20251118|706000||||F7|20251118||0|12,50|||20260331||",
)
BANK = (
    "CRC||1|20251119|512000|Banque|||R1||Remise|1,00|0,00|||20260331||",
    "CRC||1|20251119|411000|Clients|C1|Mairie|R1||Remise|0,00|1,00|||20260331||",
)


def events(data: bytes) -> list[dict[str, Any]]:
    return taken(data).events


OTHER_SIDE = line(Debit="0,00", Credit="5,00")


def test_a_purchase_comes_out_as_this_event() -> None:
    [event] = events(content(*PURCHASE))
    assert event == {
        "event_id": "d58f4300-6022-5bc7-bf2c-0a8b790b12aa",
        "type": "entry.validated",
        "schema_version": 1,
        "occurred_at": "2026-04-01T00:00:00+00:00",
        "firm": "CABINET42",
        "folder": "DEMO000001",
        "entry": {
            "id": "fec:20251118:ACH:31",
            "revision": 1,
            "kind": "purchase",
            "journal": {"code": "ACH", "label": "Achats"},
            "date": "2025-11-18",
            "piece_ref": "FA-1187",
            "document_date": "2025-11-17",
            "lines": [
                {
                    "account": "606400",
                    "account_label": "Fournitures",
                    "description": "Générale",
                    "debit": "100.00",
                    "credit": "0.00",
                },
                {
                    "account": "445660",
                    "account_label": "TVA",
                    "description": "Générale",
                    "debit": "20.00",
                    "credit": "0.00",
                },
                {
                    "account": "401000",
                    "account_label": "Fournisseurs",
                    "auxiliary": {"code": "FPAP", "label": "Papeterie"},
                    "description": "Générale",
                    "debit": "0.00",
                    "credit": "120.00",
                    "lettering": {"code": "AAB", "date": "2025-12-20"},
                },
            ],
        },
    }


def test_what_a_line_leaves_blank_is_left_out_of_the_event() -> None:
    sale, bank = events(content(*SALE, *BANK))
    assert sale["entry"] == {
        "id": "fec:20251118:VE:7",
        "revision": 1,
        "kind": "sale",
        "journal": {"code": "VE", "label": "Ventes"},
        "date": "2025-11-18",
        "piece_ref": "F7",
        "document_date": "2025-11-18",
        "lines": [
            {
                "account": "411000",
                "account_label": "Clients",
                "auxiliary": {"code": "C1"},
                "description": "Mairie",
                "debit": "12.50",
                "credit": "0.00",
            },
            {"account": "706000", "description": "", "debit": "0.00", "credit": "12.50"},
        ],
    }
    assert bank["entry"]["journal"] == {"code": "CRC"}
    assert "document_date" not in bank["entry"]
    assert bank["entry"]["kind"] == "bank"


def test_lines_of_one_entry_are_found_wherever_they_stand() -> None:
    apart = content(PURCHASE[0], SALE[0], BANK[0], PURCHASE[1], BANK[1], SALE[1], PURCHASE[2])
    together = content(*PURCHASE, *SALE, *BANK)

    assert by_id(events(apart)) == by_id(events(together))


@pytest.mark.parametrize(
    "same",
    [
        content(*PURCHASE, *SALE, separator="\t"),
        content(*PURCHASE, *SALE, line_end="\r\n"),
        b"\xef\xbb\xbf" + content(*PURCHASE, *SALE),
        content(*PURCHASE, *SALE).removesuffix(b"\n"),
        content(*PURCHASE, *SALE) + b"\n\r\n",
        content(*PURCHASE, *SALE).replace(b"|", b" | "),
        content(*PURCHASE, *SALE).replace(b"Montantdevise", b"MontantDevise"),
        content(*PURCHASE, *SALE).replace(b"|100,00|", b"|00000100,00|"),
    ],
    ids=["tabs", "crlf", "bom", "no last end", "blank lines", "padded", "case", "zeros"],
)
def test_the_way_a_file_is_written_changes_no_event(same: bytes) -> None:
    assert events(same) == events(content(*PURCHASE, *SALE))


def test_quotation_marks_are_text_like_any_other() -> None:
    [event] = events(content(line(EcritureLib='"a ""b"'), OTHER_SIDE))
    assert event["entry"]["lines"][0]["description"] == '"a ""b"'


# Identity.


def test_the_event_id_follows_the_content_and_the_entry_id_does_not() -> None:
    [event] = events(content(*PURCHASE))
    [corrected] = events(content(*(row.replace("Générale", "du Sud") for row in PURCHASE)))
    [elsewhere] = taken(content(*PURCHASE), folder="DEMO000002").events
    assert corrected["entry"]["id"] == elsewhere["entry"]["id"] == event["entry"]["id"]
    assert len({event["event_id"], corrected["event_id"], elsewhere["event_id"]}) == 3


def test_the_same_number_in_another_journal_or_on_another_day_is_another_entry() -> None:
    made = events(
        content(
            *(
                line(**{"EcritureNum": "1", "Debit": debit, "Credit": credit, **where})
                for where in (
                    {},
                    {"JournalCode": "OD2"},
                    {"EcritureDate": "20241130"},
                    {"EcritureNum": "2"},
                )
                for debit, credit in (("5,00", "0,00"), ("0,00", "5,00"))
            )
        )
    )
    assert by_id(made).keys() == {
        "fec:20251130:OD:1",
        "fec:20251130:OD2:1",
        "fec:20241130:OD:1",
        "fec:20251130:OD:2",
    }


def test_ids_that_could_be_read_two_ways_or_are_too_long_stay_apart_and_short() -> None:
    keys = [("A:B", "C"), ("A", "B:C"), ("A", "9" * 48), ("A", "9" * 47 + "8"), ("A:", "B:C")]
    made = events(
        content(
            *(
                line(JournalCode=journal, EcritureNum=number, Debit=debit, Credit=credit)
                for journal, number in keys
                for debit, credit in (("5,00", "0,00"), ("0,00", "5,00"))
            )
        )
    )
    ids = {event["entry"]["id"] for event in made}
    assert len(ids) == len(keys)
    assert max(len(identity) for identity in ids) <= 64


def test_an_entry_occurred_when_its_last_line_was_validated() -> None:
    [event] = events(content(line(ValidDate=""), OTHER_SIDE.replace("20260331", "20260402")))
    assert event["occurred_at"] == "2026-04-02T00:00:00+00:00"


# What came out otherwise than it was written.


@pytest.mark.parametrize(
    ("change", "lines", "note"),
    [
        ({"PieceRef": "Q"}, (2, 3), "several PieceRef: 'Q' is taken, not 'P9'"),
        (
            {"PieceDate": "20251101"},
            (2, 3),
            "several PieceDate: '2025-11-01' is taken, not '2025-11-30'",
        ),
        ({"JournalLib": "OD"}, (2, 3), "several JournalLib: 'OD' is taken, not 'Paie'"),
        ({"Idevise": "USD"}, (2,), "Montantdevise and Idevise are not carried"),
        ({"Montantdevise": "5,80"}, (2,), "Montantdevise and Idevise are not carried"),
        (
            {"Montantdevise": "5,80", "Idevise": "$"},
            (2,),
            "Montantdevise and Idevise are not carried",
        ),
        (
            {"Montantdevise": "5,8012", "Idevise": "USD"},
            (2,),
            "Montantdevise and Idevise are not carried",
        ),
        ({"CompAuxLib": "Mairie"}, (2,), "CompAuxLib without CompAuxNum is not carried"),
        ({"DateLet": "20251201"}, (2,), "DateLet without EcritureLet is not carried"),
        (
            {"Debit": "", "Credit": "-5,00"},
            (2,),
            "an amount below zero is taken to the other side",
        ),
    ],
)
def test_what_an_event_cannot_carry_is_told(
    change: dict[str, str], lines: tuple[int, ...], note: str
) -> None:
    other = line(Debit="0,00", Credit="5,00", PieceDate="20251130")
    found = taken(content(line(**{"PieceDate": "20251130", **change}), other))
    assert len(found.events) == 1
    assert found.notes == [Finding(lines, note, "fec:20251130:OD:9")]


def test_of_several_piece_references_the_first_that_is_not_blank_is_taken() -> None:
    found = taken(content(line(PieceRef=""), line(PieceRef="B"), line(Debit="", Credit="10")))
    assert found.events[0]["entry"]["piece_ref"] == "B"
    assert [note.message for note in found.notes] == ["several PieceRef: 'B' is taken, not 'P9'"]


def test_an_entry_without_a_piece_takes_its_number_and_without_validation_its_date() -> None:
    blank = {"PieceRef": "", "ValidDate": ""}
    found = taken(content(line(**blank), line(Debit="0,00", Credit="5,00", **blank)))
    assert found.events[0]["entry"]["piece_ref"] == "9"
    assert found.events[0]["occurred_at"] == "2025-11-30T00:00:00+00:00"
    assert (found.without_piece_ref, found.without_valid_date) == (1, 1)
    assert found.notes == []


def test_euros_in_the_currency_columns_are_nothing_to_tell() -> None:
    euros = {"Idevise": "EUR", "Montantdevise": "5,00"}
    found = taken(content(line(**euros), line(Debit="0,00", Credit="5,00", **euros)))
    assert found.notes == []
    assert "currency" not in found.events[0]["entry"]
    zero = {"Montantdevise": "0,00"}
    assert taken(content(line(**zero), line(Debit="0,00", Credit="5,00", **zero))).notes == []


@pytest.mark.parametrize(
    ("euros", "foreign", "rate"),
    [
        ("5,00", "5,80", "0.8621"),
        ("5,00", "-5,00", "1.0000"),
        ("0,01", "9999999999999,99", "0.000000000000001"),
        ("9999999999999,99", "0,01", "999999999999999.0000"),
        ("9999999999999,99", "7777777777777,77", None),
    ],
)
def test_an_amount_in_a_currency_comes_with_the_rate_that_gives_its_euros(
    euros: str, foreign: str, rate: str | None
) -> None:
    other = line(Debit="0", Credit=euros)
    found = taken(content(line(Debit=euros, Montantdevise=foreign, Idevise="usd"), other))
    entry = found.events[0]["entry"]
    told = entry["lines"][0]
    assert entry["currency"] == "USD"
    assert "currency_amount" not in entry["lines"][1]
    amount, by = Decimal(told["currency_amount"]), Decimal(told["currency_rate"])
    assert amount == abs(Decimal(foreign.replace(",", ".")))
    assert (amount * by).quantize(Decimal("0.01")) == Decimal(euros.replace(",", "."))
    if rate is not None:
        assert told["currency_rate"] == rate
    assert found.notes == []


def test_of_two_currencies_in_an_entry_none_is_carried() -> None:
    one = {"Montantdevise": "5,00", "Idevise": "USD"}
    found = taken(
        content(line(**one), line(**one | {"Idevise": "CHF"}), line(Debit="", Credit="10"))
    )
    assert "currency" not in found.events[0]["entry"]
    assert found.notes[0].lines == (2, 3)


def test_a_due_date_is_carried_under_the_names_that_packages_give_it() -> None:
    rows = content(line() + "|20251231", OTHER_SIDE + "|")
    for name in (b"DateEcheance", b"Date d'\xc3\xa9ch\xc3\xa9ance", b"ECHEANCE", b"Date_Ech"):
        found = taken(rows.replace(b"Idevise", b"Idevise|" + name))
        assert found.events[0]["entry"]["lines"][0]["due_date"] == "2025-12-31"
        assert "due_date" not in found.events[0]["entry"]["lines"][1]
        assert found.layout.unread == []


# The report.


def test_the_report_counts_lines_entries_and_totals_by_journal() -> None:
    found = taken(content(*PURCHASE, *SALE, *BANK, *(row.replace("|1|", "|2|") for row in BANK)))
    assert (found.lines, found.entries) == (9, 4)
    assert found.journals == {
        "ACH": JournalTotals("Achats", "ACH", 1, 3, Decimal(120), Decimal(120), {Kind.PURCHASE: 1}),
        "VE": JournalTotals("Ventes", "VE", 1, 2, Decimal("12.5"), Decimal("12.5"), {Kind.SALE: 1}),
        "CRC": JournalTotals(None, "CRC", 2, 4, Decimal(2), Decimal(2), {Kind.BANK: 2}),
    }
    assert (found.left_out, found.notes, found.opening) == ([], [], [])


def test_the_report_says_what_loop_will_get_cut() -> None:
    label = "Facture de la Papeterie Générale du Sud-Ouest"
    long = {"CompAuxNum": "FPAPETERIEGENERALESO", "PieceRef": "P" * 36, "EcritureLib": label}
    found = taken(content(line(**long), line(**long), line(Debit="", Credit="10", EcritureLib="")))
    assert found.cuts == [
        (2, "piece_ref", "P" * 36, "P" * 35),
        (2, "description", label, "Facture de la Papeterie Générale du"),
        (2, "auxiliary.code", "FPAPETERIEGENERALESO", "FPAPETERIEGENERAL"),
        (3, "description", label, "Facture de la Papeterie Générale du"),
        # A line without a description gets the piece reference for one.
        (4, "description", "P" * 36, "P" * 35),
    ]


def test_the_report_names_auxiliary_codes_that_are_one_when_cut() -> None:
    codes = ["FPAPETERIEGENERALESO", "F1", "FPAPETERIEGENERALENORD", "FPAPETERIEGENERAL"]
    found = taken(content(*(line(CompAuxNum=code) for code in codes), line(Debit="", Credit="20")))
    [collision] = found.collisions
    assert collision == ("FPAPETERIEGENERAL", (codes[0], codes[2], codes[3]))
    assert str(collision).startswith("'FPAPETERIEGENERAL' is 'FPAPETERIEGENERALESO', ")


def test_a_finding_over_many_lines_stays_a_sentence() -> None:
    assert str(Finding((4,), "x")) == "line 4: x"
    assert str(Finding((4, 9), "x")) == "lines 4, 9: x"
    assert str(Finding(tuple(range(2, 12)), "x")) == "lines 2, 3, 4, 5, 6, and 5 more: x"


# The kind, and what opens the year.


def entry_of(journal: str, label: str, accounts: list[str]) -> bytes:
    where = {"JournalCode": journal, "JournalLib": label}
    debits = [line(CompteNum=account, **where) for account in accounts]
    credits_ = [row.replace("|5,00|0,00|", "|0,00|5,00|") for row in debits]
    return content(*debits, *credits_)


@pytest.mark.parametrize(
    ("journal", "label", "accounts", "kind"),
    [
        ("J", "Achats marchandises", ["601000", "401000"], Kind.PURCHASE),
        ("J", "VENTES", ["411000", "701000"], Kind.SALE),
        ("J", "Banque Populaire", ["401000", "471000"], Kind.BANK),
        ("J", "À nouveaux", ["101000", "512000", "401000"], Kind.OTHER),
        ("J", "A-nouveau", ["512000"], Kind.OTHER),
        ("J", "Opérations diverses", ["641000", "512000"], Kind.OTHER),
        ("J", "Notes de frais", ["625100", "421000"], Kind.EXPENSE_REPORT),
        ("J", "Frais généraux", ["471000"], Kind.PURCHASE),
        ("J", "CREDIT AGRICOLE", ["512000", "411000"], Kind.BANK),
        ("J", "", ["530000", "707000"], Kind.BANK),
        ("J", "", ["401000", "606400", "445660"], Kind.PURCHASE),
        ("J", "", ["404000", "218300", "445620"], Kind.PURCHASE),
        ("J", "", ["411000", "706000", "445710"], Kind.SALE),
        ("J", "", ["401000", "411000"], Kind.OTHER),
        ("J", "OD Paye", ["641000", "421000"], Kind.OTHER),
        ("ACH", "", ["471000"], Kind.PURCHASE),
        ("VE2", "Saisie", ["471000"], Kind.SALE),
        ("BQ1", "", ["471000"], Kind.BANK),
        ("NDF", "", ["625100"], Kind.EXPENSE_REPORT),
        ("OD", "TR21", ["512000"], Kind.OTHER),
        ("RAN", "", ["512000"], Kind.OTHER),
    ],
)
def test_the_kind_follows_the_label_then_the_code_and_then_the_accounts(
    journal: str, label: str, accounts: list[str], kind: Kind
) -> None:
    [event] = events(entry_of(journal, label, accounts))
    assert event["entry"]["kind"] == kind


def test_people_can_say_what_a_journal_holds_and_where_it_goes_and_the_id_stays() -> None:
    data = content(*PURCHASE, *SALE)
    plain = by_id(events(data))
    found = taken(data, choices=Choices({"VE": Kind.OTHER}, {"ACH": "HA"}))
    assert found.journals["ACH"].sent_as == "HA"
    told = by_id(found.events)
    assert told.keys() == plain.keys()
    purchase, sale = told["fec:20251118:ACH:31"]["entry"], told["fec:20251118:VE:7"]["entry"]
    assert purchase["journal"] == {"code": "HA", "label": "Achats"}
    assert sale == plain["fec:20251118:VE:7"]["entry"] | {"kind": "other"}


OPENING = (
    "{}|{}|1|20250101|{}|Capital|||RAN|20250101|{}|0,00|90,00|||||",
    "{}|{}|1|20250101|{}|Banque|||RAN|20250101|{}|90,00|0,00|||||",
)


@pytest.mark.parametrize(
    ("journal", "label", "accounts", "description", "opens"),
    [
        ("AN", "OD54", ("101000", "512000"), "", True),
        ("A.N", "", ("101000", "512000"), "", True),
        ("J", "A nouveaux", ("101000", "512000"), "", True),
        ("J", "Bilan d'ouverture", ("101000", "512000"), "", True),
        ("OD", "", ("101000", "512000"), "Report à nouveau", True),
        ("OD", "", ("101000", "706000"), "Report à nouveau", False),
        ("OD", "", ("120000", "110000"), "Affectation en report à nouveau", False),
        ("OD", "", ("101000", "512000"), "Apport", False),
    ],
)
def test_what_opens_the_year_is_recognised_named_and_left_out_when_asked(
    journal: str, label: str, accounts: tuple[str, str], description: str, *, opens: bool
) -> None:
    rows = [
        row.format(journal, label, account, description)
        for row, account in zip(OPENING, accounts, strict=True)
    ]
    later = [row.replace("|1|20250101|", "|2|20250102|") for row in BANK]
    found = taken(content(*rows, *later))
    assert [finding.lines for finding in found.opening] == ([(2, 3)] if opens else [])
    assert len(found.events) == 2
    without = taken(content(*rows, *later), choices=Choices(with_opening=False))
    assert len(without.events) == (1 if opens else 2)
    assert [finding.reason for finding in without.left_out] == ([Reason.OPENING] if opens else [])


def test_later_in_the_year_only_the_journal_tells_what_opens_it() -> None:
    rows = [
        row.format("OD", "", account, "Report à nouveau")
        for row, account in zip(OPENING, ("101000", "512000"), strict=True)
    ]
    before = [row.replace("20251119", "20241231") for row in BANK]
    assert taken(content(*rows, *before)).opening == []


# The same entries in another export.


def test_an_entry_books_the_same_whatever_its_labels_and_lettering() -> None:
    [event] = events(content(*PURCHASE))
    newer = [
        row.replace("|AAB|20251220|", "|ZZ||").replace("Papeterie", "P.").replace("Achats", "HA")
        for row in PURCHASE
    ]
    [other] = events(content(*newer))
    assert other["entry"] != event["entry"]
    assert is_same_booking(other["entry"], event["entry"])
    for change in (
        ("606400", "606300"),
        ("|100,00|", "|120,00|"),
        ("Générale", "G"),
        ("FPAP", "F"),
    ):
        rows = [row.replace(*change) for row in PURCHASE]
        changed = taken(content(*rows)).events
        assert not changed or not is_same_booking(changed[0]["entry"], event["entry"])
