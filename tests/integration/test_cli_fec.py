"""Promises of `submit-fec`: a true report first, then each entry once, whatever is sent again."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from passerelle.fec.layout import COLUMNS
from passerelle.fec.sample import Dialect, SampleEntry, fec_file, sample_entries
from support.command import Cli, messages, stored
from support.events import purchase
from support.fec_files import literal_file, payroll_line, totals_of

MEBIBYTE = 1 << 20


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def written(content: bytes) -> Path:
        file = tmp_path / "0000000001FEC20251231.txt"
        file.write_bytes(content)
        return file

    return written


Write = Callable[[bytes], Path]
FOLDER = ("--firm", "CABINET42", "--folder", "FEC1")


def submitted(cli: Cli, file: Path, *options: str) -> dict[str, Any]:
    done = cli("submit-fec", file, *FOLDER, "--json", *options)
    assert done.exit_code == 0, done.output
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_an_fec_is_reported_to_the_cent_and_twice_it_changes_nothing(
    cli: Cli, engine: Engine, write: Write
) -> None:
    entries = list(sample_entries(7, 300))
    file = write(b"\xef\xbb\xbf" + fec_file(entries))

    dry = submitted(cli, file, "--dry-run")
    assert (dry["submitted"], stored(engine, "entries")) == (None, 0)
    lines = sum(len(entry.lines) for entry in entries)
    assert (dry["entries"], dry["lines"], dry["left_out"]) == (300, lines, [])
    assert {
        one["journal"]: (
            *(one["entries"], one["lines"], Decimal(one["debit"]), Decimal(one["credit"])),
        )
        for one in dry["journals"]
    } == totals_of(entries)
    assert dry["file"] == {
        "encoding": "UTF-8",
        "encoding_evidence": "byte order mark",
        "separator": "tab",
        "line_end": "LF",
        "columns_not_carried": [],
        "columns_missing": [],
    }

    first, second = (submitted(cli, file, "--direct") for _ in range(2))
    assert first["submitted"] == {"events": 300, "new": 300, "known": 0, "refused": 0}
    assert second["submitted"] == {"events": 300, "new": 0, "known": 300, "refused": 0}
    assert first | {"submitted": None, "unchanged": None, "erased": None} == dry


def newer(entry: SampleEntry) -> SampleEntry:
    """As an export of some months later tells of it."""
    lines = tuple(
        replace(line, lettering="ZZ", account_label="Renommé", auxiliary_label="Nouveau nom")
        for line in reversed(entry.lines)
    )
    return replace(entry, lines=lines, journal_label=f"{entry.journal_label} (suite)")


def test_of_what_was_erased_nobody_can_tell_whether_it_changed(
    cli: Cli, engine: Engine, write: Write
) -> None:
    entries = list(sample_entries(7, 20))
    submitted(cli, write(fec_file(entries)), "--direct")
    with engine.begin() as connection:
        connection.execute(text("UPDATE entries SET entry = '{}', erased_at = now() WHERE id < 11"))
    again = submitted(cli, write(fec_file([newer(entry) for entry in entries])), "--direct")
    assert (again["erased"], again["unchanged"]) == (10, 10)
    assert stored(engine, "refused_events") == 0


def test_a_newer_export_brings_what_is_new_and_changes_nothing_else(
    cli: Cli, engine: Engine, write: Write
) -> None:
    entries = list(sample_entries(7, 300))
    unvalidated = [replace(entry, validated=None) for entry in entries[:200]]
    assert submitted(cli, write(fec_file(unvalidated)), "--direct")["submitted"]["new"] == 200
    file = write(fec_file([newer(entry) for entry in entries], Dialect(separator=";")))
    again = submitted(cli, file, "--direct")
    assert again["submitted"] == {"events": 100, "new": 100, "known": 0, "refused": 0}
    assert again["unchanged"] == 200
    # Nothing of it is among what a person has to look at.
    assert (stored(engine, "entries"), stored(engine, "refused_events")) == (300, 0)


def test_what_is_here_already_is_not_sent_through_the_broker_either(
    cli: Cli, environ: dict[str, str], write: Write, broker_url: str
) -> None:
    environ["PASSERELLE_BROKER_URL"] = broker_url
    entries = list(sample_entries(7, 30))
    submitted(cli, write(fec_file(entries[:20])), "--direct")
    told = submitted(cli, write(fec_file([newer(entry) for entry in entries])))
    assert (told["submitted"], told["unchanged"]) == ({"events": 10, "messages": 1}, 20)
    [message] = messages(broker_url, "intake")
    assert len(message["args"][0]) == 10
    # Without a database to ask, intake tells them apart.
    del environ["PASSERELLE_DATABASE_URL"]
    assert submitted(cli, write(fec_file(entries)))["submitted"]["events"] == 30


def test_an_entry_corrected_in_the_file_is_refused_and_not_booked_beside_the_first(
    cli: Cli, engine: Engine, write: Write
) -> None:
    entries = list(sample_entries(7, 30))
    submitted(cli, write(fec_file(entries)), "--direct")
    doubled = replace(
        entries[3],
        lines=tuple(
            replace(line, debit=2 * line.debit, credit=2 * line.credit) for line in entries[3].lines
        ),
    )
    told = submitted(cli, write(fec_file([*entries[:3], doubled, *entries[4:]])), "--direct")
    assert told["submitted"] == {"events": 30, "new": 0, "known": 29, "refused": 1}
    with engine.connect() as connection:
        errors = connection.execute(text("SELECT errors FROM refused_events")).scalar_one()
    assert errors[0]["path"] == "/entry/revision"


def test_what_an_fec_leaves_out_is_told_and_makes_the_exit_code_1(
    cli: Cli, engine: Engine, write: Write
) -> None:
    file = write(
        literal_file(
            payroll_line(EcritureNum="1", Debit="10,00", Credit="0,00"),
            payroll_line(EcritureNum="1", Debit="0,00", Credit="10,00"),
            payroll_line(EcritureNum="2", Debit="10,00", Credit="0,00"),
            payroll_line(EcritureNum="2", Debit="0,00", Credit="9,99"),
        )
    )
    done = cli("submit-fec", file, *FOLDER, "--direct")
    assert done.exit_code == 1
    assert "Left out: 1\n  lines 4, 5: not balanced: debit 10.00, credit 9.99" in done.stdout
    assert "left out" in done.stderr
    assert stored(engine, "entries") == 1
    document = json.loads(cli("submit-fec", file, *FOLDER, "--dry-run", "--json").stdout)
    assert document["left_out"] == [
        {
            "lines": [4, 5],
            "message": "not balanced: debit 10.00, credit 9.99",
            "entry_id": "fec:20251130:OD:2",
            "reason": "unbalanced",
        }
    ]


def test_the_report_names_what_will_be_cut_and_what_would_collide(cli: Cli, write: Write) -> None:
    codes = ("FPAPETERIEGENERALESO", "FPAPETERIEGENERALENORD")
    file = write(
        literal_file(
            *(payroll_line(CompAuxNum=code, EcritureLib="x" * 40) for code in codes),
            payroll_line(Debit="", Credit="10,00", PieceRef="Q"),
        )
    )
    told = submitted(cli, file, "--dry-run")
    assert told["cuts"][:2] == [
        {"line": 2, "field": "description", "from": "x" * 40, "to": "x" * 35},
        {
            "line": 2,
            "field": "auxiliary.code",
            "from": "FPAPETERIEGENERALESO",
            "to": "FPAPETERIEGENERAL",
        },
    ]
    assert told["collisions"] == [{"cut": "FPAPETERIEGENERAL", "codes": list(codes)}]
    assert told["notes"] == [
        {
            "lines": [2, 3, 4],
            "message": "several PieceRef: 'P9' is taken, not 'Q'",
            "entry_id": "fec:20251130:OD:9",
        }
    ]
    printed = cli("submit-fec", file, *FOLDER, "--dry-run").stdout
    assert "Too long for Loop, which gets the beginning: 4\n" in printed
    assert "'FPAPETERIEGENERAL' is 'FPAPETERIEGENERALESO', 'FPAPETERIEGENERALENORD'" in printed
    assert "1 times several PieceRef, such as lines 2, 3, 4" in printed


def test_people_say_what_journals_hold_and_leave_the_opening_out(
    cli: Cli, engine: Engine, write: Write
) -> None:
    opening = [
        payroll_line(JournalCode="AN", EcritureNum="1", Debit=debit, Credit=credit)
        for debit, credit in (("10,00", ""), ("", "10,00"))
    ]
    pay = [payroll_line(), payroll_line(Debit="", Credit="5,00")]
    file = write(literal_file(*opening, *pay))
    options = ("--journal", "OD=expense_report", "--map-journal", "AN=RAN")
    printed = cli("submit-fec", file, *FOLDER, "--dry-run", *options).stdout
    assert "AN as RAN\tPaie\tother 1\t1\t2\t10.00\t10.00\n" in printed
    assert "Opens the year: 1\n  lines 2, 3: journal AN\n" in printed
    told = submitted(cli, file, "--direct", "--without-opening", *options)
    assert told["submitted"]["new"] == 1
    assert [finding["reason"] for finding in told["left_out"]] == ["opening"]
    with engine.connect() as connection:
        stored_entry = connection.execute(text("SELECT entry FROM entries")).scalar_one()
    assert stored_entry["kind"] == "expense_report"


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--journal", "OD"], 2, "'OD' is not written CODE=KIND"),
        (["--journal", "=bank"], 2, "is not written CODE=KIND"),
        (["--journal", "OD=pay"], 2, "'pay' is no kind: purchase, sale"),
        (["--map-journal", f"OD={'x' * 17}"], 2, "longer than 16 characters"),
        (["--map-journal", "HA=ACH"], 1, "The file has no journal HA; it has OD."),
        (["--journal", "HA=bank"], 1, "The file has no journal HA; it has OD."),
    ],
)
def test_wrong_options_are_one_sentence(
    cli: Cli, write: Write, options: Sequence[str], code: int, told: str
) -> None:
    file = write(literal_file(payroll_line(), payroll_line(Debit="", Credit="5,00")))
    done = cli("submit-fec", file, *FOLDER, "--dry-run", *options)
    assert (done.exit_code, done.stdout) == (code, "")
    assert told in done.stderr


def test_what_is_no_fec_is_one_sentence(cli: Cli, engine: Engine, write: Write) -> None:
    wrong = {
        b"": "line 1: the file is empty",
        json.dumps(purchase()).encode(): "line 1: not the header of an FEC",
        b"%PDF-1.7": "line 1: this is a PDF document",
        bytes(range(256)) * 10: "line 2: byte 0x81 stands for no letter",
        "\t".join(COLUMNS).encode(): "line 1: no line follows the header",
    }
    for content, told in wrong.items():
        done = cli("submit-fec", write(content), *FOLDER, "--direct")
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr.startswith(f"Error: {told}")
        assert done.stderr.count("\n") == 1
    assert stored(engine, "entries") == 0


# Size. A process of its own, because memory is a process's.

PROGRAM = """
import resource, sys
from passerelle.cli.main import main
try:
    main(sys.argv[1:])
finally:
    sys.stdout.flush()
    unit = 1024 if sys.platform == "darwin" else 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit
    print(peak, *sys.modules, file=sys.stderr)
"""


def dry_run(file: Path, **limits: Any) -> tuple[subprocess.CompletedProcess[str], int, set[str]]:
    """What it printed, its peak of memory in KiB, and the modules that it imported."""
    done = subprocess.run(
        # A process counts the memory of the one that it was forked from: the tests' own is large.
        [
            *("sh", "-c", '"$@"; exit $?', "sh"),
            *(sys.executable, "-c", PROGRAM, "submit-fec", str(file), *FOLDER, "--dry-run"),
        ],
        capture_output=True,
        text=True,
        check=False,
        **limits,
    )
    peak, *modules = done.stderr.splitlines()[-1].split()
    return done, int(peak), set(modules)


def large_file(path: Path, entries: int, *, days: int) -> Path:
    """Three lines an entry, each with a third party of its own; 500 bytes an entry."""
    with path.open("w", encoding="utf-8") as out:
        out.write("\t".join(COLUMNS) + "\n")
        for number in range(entries):
            date = f"2025{number % days // 28 % 12 + 1:02}{number % days % 28 + 1:02}"
            start = f"ACH\tAchats\t{number}\t{date}\t"
            party = f"C{number}\tM. {number}"
            end = f"F{number}\t{date}\tFournitures de bureau n° {number}\t"
            out.write(
                f"{start}606400\tFournitures administratives\t\t\t{end}100,00\t0,00\t\t\t\t\t\n"
                f"{start}445660\tTVA déductible\t\t\t{end}20,00\t0,00\t\t\t\t\t\n"
                f"{start}401000\tFournisseurs\t{party}\t{end}0,00\t120,00\t\t\t\t\t\n"
            )
    return path


@pytest.mark.parametrize("days", [336, 1])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, days: int) -> None:
    small, peak, modules = dry_run(large_file(tmp_path / "small", 10_000, days=days))
    large, larger_peak, _ = dry_run(large_file(tmp_path / "large", 100_000, days=days))
    assert small.returncode == large.returncode == 0
    assert "entries   100000" in large.stdout
    assert larger_peak < peak + 16 * 1024
    assert larger_peak < 120 * 1024
    # A report asks for neither broker nor database.
    assert not modules & {"celery", "kombu", "sqlalchemy", "psycopg", "redis", "requests"}


def test_a_gigabyte_that_is_no_fec_is_one_sentence(tmp_path: Path) -> None:
    header = "\t".join(COLUMNS).encode() + b"\n"
    for number, start in enumerate((b"", header, header + b"x\n" * 20_000)):
        file = tmp_path / str(number)
        file.write_bytes(start)
        with file.open("r+b") as out:
            out.truncate(1 << 30)
        done, peak, _ = dry_run(file)
        assert done.returncode == 1
        assert "Error: line " in done.stderr
        assert "65,536 bytes or more, not a line of an FEC" in done.stderr
        assert peak < 64 * 1024
        file.unlink()


def test_a_pipe_is_refused_in_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "passerelle.cli.main", "submit-fec", "-", *FOLDER, "--dry-run"],
        input=b"x",
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"Error: The file is read twice, so it cannot be a pipe.\n"


def test_a_disk_without_room_is_one_sentence(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (MEBIBYTE, MEBIBYTE))

    done, _, _ = dry_run(large_file(tmp_path / "large", 100_000, days=336), preexec_fn=limit)
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "TMPDIR names another folder" in done.stderr
    assert "Traceback" not in done.stderr
