import io
from decimal import Decimal
from typing import Any

import pytest

from passerelle.domain.event import Kind
from passerelle.fec.kind import kind_of
from passerelle.fec.reader import FecReading, read
from passerelle.fec.report import FecError, Finding, JournalTotals
from support.fec_files import fec_file
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


def reading(data: bytes, firm: str = "CABINET42", folder: str = "DEMO000001") -> FecReading:
    return read(io.BytesIO(data), firm, folder)


def taken(data: bytes) -> tuple[list[dict[str, Any]], FecReading]:
    whole = reading(data)
    return list(whole.events), whole


def events(data: bytes) -> list[dict[str, Any]]:
    return taken(data)[0]


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

    def by_id(data: bytes) -> list[dict[str, Any]]:
        return sorted(events(data), key=lambda event: event["entry"]["id"])

    assert by_id(apart) == by_id(together)


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
    [elsewhere] = reading(content(*PURCHASE), folder="DEMO000002").events
    assert corrected["entry"]["id"] == elsewhere["entry"]["id"] == event["entry"]["id"]
    assert len({event["event_id"], corrected["event_id"], elsewhere["event_id"]}) == 3


def test_the_same_number_in_another_journal_or_on_another_day_is_another_entry() -> None:
    made = events(
        content(
            *(
                line(EcritureNum="1", Debit=debit, Credit=credit, **where)
                for where in ({}, {"JournalCode": "OD2"}, {"EcritureDate": "20241130"})
                for debit, credit in (("5,00", "0,00"), ("0,00", "5,00"))
            )
        )
    )
    assert [event["entry"]["id"] for event in made] == [
        "fec:20251130:OD:1",
        "fec:20251130:OD2:1",
        "fec:20241130:OD:1",
    ]


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
            "several PieceDate: '20251101' is taken, not '20251130'",
        ),
        ({"JournalLib": "OD"}, (2, 3), "several JournalLib: 'OD' is taken, not 'Paie'"),
        (
            {"Montantdevise": "5,80", "Idevise": "USD"},
            (2,),
            "Montantdevise and Idevise are not carried",
        ),
        ({"Idevise": "USD"}, (2,), "Montantdevise and Idevise are not carried"),
        ({"Montantdevise": "5,80"}, (2,), "Montantdevise and Idevise are not carried"),
        ({"CompAuxLib": "Mairie"}, (2,), "CompAuxLib without CompAuxNum is not carried"),
        ({"DateLet": "20251201"}, (2,), "DateLet without EcritureLet is not carried"),
    ],
)
def test_what_an_event_cannot_carry_is_told(
    change: dict[str, str], lines: tuple[int, ...], note: str
) -> None:
    other = line(Debit="0,00", Credit="5,00", PieceDate="20251130")
    made, whole = taken(content(line(**{"PieceDate": "20251130", **change}), other))
    assert len(made) == 1
    assert whole.report.notes == [Finding(lines, note, "fec:20251130:OD:9")]


def test_an_entry_without_a_piece_takes_its_number_and_without_validation_its_date() -> None:
    blank = {"PieceRef": "", "ValidDate": ""}
    made, whole = taken(content(line(**blank), line(Debit="0,00", Credit="5,00", **blank)))
    assert made[0]["entry"]["piece_ref"] == "9"
    assert made[0]["occurred_at"] == "2025-11-30T00:00:00+00:00"
    assert [note.message for note in whole.report.notes] == [
        "no PieceRef: EcritureNum is taken",
        "no ValidDate: EcritureDate is taken",
    ]


def test_euros_in_the_currency_columns_are_nothing_to_tell() -> None:
    euros = {"Idevise": "EUR", "Montantdevise": "5,00"}
    _, whole = taken(content(line(**euros), line(Debit="0,00", Credit="5,00", **euros)))
    assert whole.report.notes == []


# The report and the stream.


def test_the_report_counts_lines_entries_and_totals_by_journal() -> None:
    _, whole = taken(content(*PURCHASE, *SALE, *BANK, *(row.replace("|1|", "|2|") for row in BANK)))
    assert whole.report.lines == 9
    assert whole.report.entries == 4
    assert whole.report.journals == {
        "ACH": JournalTotals("Achats", 1, 3, Decimal(120), Decimal(120)),
        "VE": JournalTotals("Ventes", 1, 2, Decimal("12.5"), Decimal("12.5")),
        "CRC": JournalTotals(None, 2, 4, Decimal(2), Decimal(2)),
    }
    assert (whole.report.left_out, whole.report.notes) == ([], [])


def test_events_come_while_the_file_is_read() -> None:
    data = fec_file(seed=1, entries=3_000).content
    stream = io.BytesIO(data)
    events = read(stream, "F", "D").events
    for _ in range(100):
        next(events)
    assert stream.tell() < len(data) / 10


def test_a_stream_that_was_read_from_is_read_from_its_start() -> None:
    stream = io.BytesIO(content(*PURCHASE))
    stream.read(50)
    assert len(list(read(stream, "F", "D").events)) == 1


@pytest.mark.parametrize(
    "later",
    [
        content(*PURCHASE, *BANK),
        content(*PURCHASE, PURCHASE[0]),
        content(*PURCHASE, "AC"),
        content(PURCHASE[0]),
    ],
    ids=["another day", "the same day", "half a line", "shorter"],
)
def test_a_file_that_changes_between_survey_and_reading_is_told(later: bytes) -> None:
    stream = io.BytesIO(content(*PURCHASE))
    whole = read(stream, "F", "D")
    stream.seek(0)
    stream.truncate()
    stream.write(later)
    with pytest.raises(FecError, match="the file has changed while it was read"):
        list(whole.events)


def test_a_finding_over_many_lines_stays_a_sentence() -> None:
    assert str(Finding((4,), "x")) == "line 4: x"
    assert str(Finding((4, 9), "x")) == "lines 4, 9: x"
    assert str(Finding(tuple(range(2, 12)), "x")) == "lines 2, 3, 4, 5, 6, and 5 more: x"


# The kind.


@pytest.mark.parametrize(
    ("label", "accounts", "kind"),
    [
        ("Achats marchandises", ["601000", "401000"], Kind.PURCHASE),
        ("VENTES", ["411000", "701000"], Kind.SALE),
        ("Banque Populaire", ["401000", "471000"], Kind.BANK),
        ("À nouveaux", ["101000", "512000", "401000"], Kind.OTHER),
        ("A-nouveau", ["512000"], Kind.OTHER),
        ("Opérations diverses", ["641000", "512000"], Kind.OTHER),
        ("CREDIT AGRICOLE", ["512000", "411000"], Kind.BANK),
        ("", ["530000", "707000"], Kind.BANK),
        ("", ["401000", "606400", "445660"], Kind.PURCHASE),
        ("", ["404000", "218300", "445620"], Kind.PURCHASE),
        ("", ["411000", "706000", "445710"], Kind.SALE),
        ("", ["401000", "411000"], Kind.OTHER),
        ("OD Paye", ["641000", "421000"], Kind.OTHER),
    ],
)
def test_the_kind_follows_the_journal_and_then_the_accounts(
    label: str, accounts: list[str], kind: Kind
) -> None:
    assert kind_of(label, accounts) is kind
