"""A hundred files of each kind that packages write: read right, or refused with the line."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from passerelle.fec.layout import COLUMNS
from passerelle.fec.report import Finding, Reason
from passerelle.fec.sample import Dialect, SampleEntry, fec_file, sample_entries
from support.fec_files import Taken, assert_each_line_is_told_once, by_id, taken

SEEDS = range(100)
UNREGULATED = ("CodeEtab", "DateRglt", "ModeRglt", "NatOp", "IdClient", "Section", "N° ligne")
DATES = ("%Y%m%d", "%d%m%Y", "%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%Y-%m-%d 00:00:00")

Chance = random.Random


def entries_of(seed: int) -> list[SampleEntry]:
    # Enough for two of a journal, so that numbers tell.
    return list(sample_entries(seed, 12))


def recased(chance: Chance, name: str) -> str:
    blanks = " " * chance.randrange(3)
    return f"{blanks}{chance.choice((str.upper, str.lower, str.title))(name)}{blanks}"


def header(columns: tuple[str, ...], dialect: Dialect) -> bytes:
    """The header line with other names."""
    return dialect.separator.join(columns).encode(dialect.encoding)


def separators(chance: Chance) -> Dialect:
    return Dialect(separator=chance.choice("\t|;"))


def encodings(chance: Chance) -> Dialect:
    return Dialect(encoding=chance.choice(("utf-8", "utf-8", "iso8859-15", "cp1252")))


def line_ends(chance: Chance) -> Dialect:
    return Dialect(line_end=chance.choice(("\n", "\r\n", "\r\r\n")))


def paddings(chance: Chance) -> Dialect:
    return Dialect(
        pad=chance.randrange(1, 4),
        amount_width=chance.randrange(14),
        separator=chance.choice("\t|;"),
    )


def trailing(chance: Chance) -> Dialect:
    in_header, in_lines = chance.choice(((True, True), (True, False), (False, True)))
    return Dialect(
        trailing_in_header=in_header, trailing_in_lines=in_lines, separator=chance.choice("\t|;")
    )


def more_columns(chance: Chance) -> Dialect:
    more = chance.sample(UNREGULATED, chance.randrange(1, 5))
    return Dialect(columns=(*COLUMNS, *more), extra=chance.choice(("", "x", "12,00", "20250101")))


def orders(chance: Chance) -> Dialect:
    columns = [*COLUMNS, *chance.sample(UNREGULATED, chance.randrange(3))]
    chance.shuffle(columns)
    return Dialect(columns=columns, separator=chance.choice("\t|;"))


def sides(chance: Chance) -> Dialect:
    words = chance.choice((("D", "C"), ("d", "c"), ("+1", "-1"), ("1", "-1"), ("Débit", "Crédit")))
    columns = [{"Debit": "Montant", "Credit": "Sens"}.get(name, name) for name in COLUMNS]
    if chance.random() < 0.5:
        chance.shuffle(columns)
    return Dialect(columns=columns, sides=words)


def amounts(chance: Chance) -> Dialect:
    mark, thousands = chance.choice(
        ((",", ""), (".", ""), (",", " "), (",", "."), (".", ","), (",", "\u00a0"))
    )
    return Dialect(
        decimal_mark=mark,
        thousands=thousands,
        zero=chance.choice((None, "", "0", "0,00", "0.0", "-0,00")),
    )


def dates(chance: Chance) -> Dialect:
    return Dialect(date=chance.choice(DATES))


def all_at_once(chance: Chance) -> Dialect:
    makers = (separators, encodings, line_ends, paddings, trailing, orders, amounts, dates)
    made = [(make(chance), Dialect()) for make in makers]
    changes = {
        name: getattr(dialect, name)
        for dialect, plain in made
        for name in Dialect.__dataclass_fields__
        if getattr(dialect, name) != getattr(plain, name)
    }
    # Thousands are not apart where zeros fill the width.
    return replace(Dialect(**changes), amount_width=0)


KINDS = (
    *(separators, encodings, line_ends, paddings, trailing, more_columns, orders, sides),
    *(amounts, dates, all_at_once),
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_hundred_files_of_a_kind_say_what_the_plain_file_says(
    kind: Callable[[Chance], Dialect],
) -> None:
    for seed in SEEDS:
        entries, dialect = entries_of(seed), kind(random.Random(seed))
        found = taken(fec_file(entries, dialect))
        plain = taken(fec_file(entries))
        assert by_id(found.events) == by_id(plain.events), (seed, dialect)
        assert (found.left_out, found.notes) == ([], []), (seed, dialect)


def test_header_names_may_be_in_any_case_and_between_blanks() -> None:
    for seed in SEEDS:
        chance, entries = random.Random(seed), entries_of(seed)
        plain = fec_file(entries)
        names = tuple(recased(chance, name) for name in COLUMNS)
        other = plain.replace(header(COLUMNS, Dialect()), header(names, Dialect()))
        assert taken(other).events == taken(plain).events, names


def test_a_byte_order_mark_changes_nothing() -> None:
    for seed in SEEDS:
        plain = fec_file(entries_of(seed))
        assert taken(b"\xef\xbb\xbf" + plain).events == taken(plain).events


def test_mixed_lines_are_found_together() -> None:
    for seed in SEEDS:
        plain = fec_file(entries_of(seed))
        first, *lines = plain.splitlines(keepends=True)
        whole = taken(plain)
        random.Random(seed).shuffle(lines)
        mixed = taken(first + b"".join(lines))
        assert bookings(mixed) == bookings(whole)
        assert mixed.left_out == []


def bookings(found: Taken) -> dict[str, Counter[tuple[str, ...]]]:
    """Accounts, amounts and texts of each entry, in any order."""
    return {entry_id: Counter(moved(event)) for entry_id, event in by_id(found.events).items()}


def moved(event: dict[str, object]) -> Iterator[tuple[str, ...]]:
    entry = event["entry"]
    assert isinstance(entry, dict)
    for line in entry["lines"]:
        yield line["account"], line["debit"], line["credit"], line["description"]


def test_separators_in_a_description_are_read_where_there_is_one_way_to() -> None:
    """The piece's date before it and the amounts behind it leave no other."""
    for seed in SEEDS:
        chance, entries = random.Random(seed), entries_of(seed)
        separator = chance.choice("\t|;")
        odd = f"a{separator}b{separator * chance.randrange(2)}c"
        place = chance.randrange(len(entries))
        changed = described(entries[place], odd)
        entries[place] = changed
        dialect = Dialect(
            separator=separator,
            trailing_in_header=chance.random() < 0.5,
            trailing_in_lines=chance.random() < 0.5,
        )
        found = taken(fec_file(entries, dialect))
        assert found.left_out == [], seed
        event = by_id(found.events)[entry_id(changed)]
        assert [line["description"] for line in event["entry"]["lines"]] == [
            odd for _ in changed.lines
        ]


def described(entry: SampleEntry, text: str) -> SampleEntry:
    return replace(entry, lines=tuple(replace(line, description=text) for line in entry.lines))


def entry_id(entry: SampleEntry) -> str:
    return f"fec:{entry.date:%Y%m%d}:{entry.journal}:{entry.number}"


def test_separators_that_may_belong_to_two_texts_refuse_the_line() -> None:
    """Without a date between them, piece reference and description share what stands there."""
    for seed in SEEDS:
        entries = entries_of(seed)
        place = random.Random(seed).randrange(len(entries))
        changed = replace(described(entries[place], "|b"), piece_date=None)
        entries[place] = changed
        found = taken(fec_file(entries, Dialect(separator="|")))
        [finding] = found.left_out
        assert finding.entry_id == entry_id(changed)
        assert "19 columns, expected 18, and more than one way to read them" in finding.message
        assert len(found.events) == len(entries) - 1


def no_numbers(chance: Chance, entry: SampleEntry) -> SampleEntry:
    return replace(entry, number=chance.choice(("", "0", "000")))


def one_number(_chance: Chance, entry: SampleEntry) -> SampleEntry:
    return replace(entry, number="1")


def neither_numbers_nor_pieces(chance: Chance, entry: SampleEntry) -> SampleEntry:
    return replace(no_numbers(chance, entry), piece_ref="")


@pytest.mark.parametrize("kind", [no_numbers, one_number, neither_numbers_nor_pieces])
def test_a_hundred_files_without_numbers_are_grouped_as_with_them(
    kind: Callable[[Chance, SampleEntry], SampleEntry],
) -> None:
    for seed in SEEDS:
        chance, entries = random.Random(seed), entries_of(seed)
        found = taken(fec_file([kind(chance, entry) for entry in entries]))
        assert found.left_out == [], seed
        assert len(by_id(found.events)) == len(found.events)
        assert groups(found) == groups(taken(fec_file(entries))), seed


def groups(found: Taken) -> list[list[tuple[str, ...]]]:
    return sorted(sorted(moved(event)) for event in found.events)


def test_negative_amounts_move_the_same() -> None:
    for seed in SEEDS:
        entries = entries_of(seed)
        turned = [
            replace(
                entry,
                lines=tuple(
                    replace(line, debit=-line.credit, credit=-line.debit) for line in entry.lines
                ),
            )
            for entry in entries
        ]
        found, plain = taken(fec_file(turned)), taken(fec_file(entries))
        assert by_id(found.events) == by_id(plain.events)
        assert len(found.notes) == len(entries)


def without_columns(line: bytes, chance: Chance) -> bytes:
    fields = line.rstrip(b"\n").split(b"\t")
    return b"\t".join(fields[: chance.randrange(5, 17)]) + b"\n"


def bad_amount(line: bytes, chance: Chance) -> bytes:
    fields = line.split(b"\t")
    fields[11 if fields[11] != b"0,00" else 12] = chance.choice((b"x", b"1.000", b"1e3", b"5,001"))
    return b"\t".join(fields)


def bad_date(line: bytes, chance: Chance) -> bytes:
    fields = line.split(b"\t")
    fields[chance.choice((9, 15))] = chance.choice((b"20250230", b"01/13/2025", b"x", b"250101"))
    return b"\t".join(fields)


def bad_account(line: bytes, chance: Chance) -> bytes:
    fields = line.split(b"\t")
    fields[4] = chance.choice((b"", b"411.000", b"4 11", b"4" * 33))
    return b"\t".join(fields)


def no_key(line: bytes, chance: Chance) -> bytes:
    fields = line.split(b"\t")
    place, values = chance.choice(((0, (b"", b" ")), (3, (b"", b"x", b"20251301", b"0"))))
    fields[place] = chance.choice(values)
    return b"\t".join(fields)


def not_utf_8(line: bytes, _chance: Chance) -> bytes:
    fields = line.split(b"\t")
    fields[10] += b"\xe9"
    return b"\t".join(fields)


def gone(_line: bytes, _chance: Chance) -> bytes:
    return b""


BROKEN = (without_columns, bad_amount, bad_date, bad_account, no_key, not_utf_8, gone)


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: kind.__name__)
def test_a_hundred_broken_lines_harm_their_own_entries_and_are_named(
    kind: Callable[[bytes, Chance], bytes],
) -> None:
    for seed in SEEDS:
        chance = random.Random(seed)
        plain = fec_file(entries_of(seed))
        whole = by_id(taken(plain).events)
        lines = plain.splitlines(keepends=True)
        place = chance.randrange(1, len(lines))
        fields = lines[place].decode().split("\t")
        lines[place] = kind(lines[place], chance)
        found = taken(b"".join(lines))
        own = f"fec:{fields[3]}:{fields[0]}:{fields[2]}"
        assert by_id(found.events) == {
            entry_id: event for entry_id, event in whole.items() if entry_id != own
        }
        assert_each_line_is_told_once(found)
        assert found.left_out
        if kind is not gone:
            assert names(found.left_out, place + 1)


def names(findings: list[Finding], line: int) -> bool:
    return any(
        line in finding.lines and finding.reason is Reason.UNREADABLE and finding.message
        for finding in findings
    )


def test_separators_that_close_each_of_many_lines_are_told_from_stray_ones() -> None:
    for seed in range(10):
        entries = list(sample_entries(seed, 200))
        odd = described(entries[seed], "a|b")
        entries[seed] = odd
        plain = by_id(taken(fec_file(entries)).events)
        for in_header in (False, True):
            dialect = Dialect(separator="|", trailing_in_header=in_header, trailing_in_lines=True)
            found = taken(fec_file(entries, dialect))
            assert by_id(found.events) == plain
        # All lines with a stray one, and none that closes them.
        strays = [described(entry, "a|b") for entry in entries]
        found = taken(fec_file(strays, Dialect(separator="|")))
        assert by_id(found.events) == by_id(taken(fec_file(strays)).events)
