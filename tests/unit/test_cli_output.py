"""Promises of what commands print."""

import datetime as dt
import io
import json
import uuid
from collections.abc import Iterator
from contextlib import redirect_stdout
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.cli.output import encode, print_json, print_rows, shown

COLUMNS = {"id": "id", "text": "text"}


class Output(io.TextIOWrapper):
    """Standard output that is, or is not, a terminal."""

    def __init__(self, *, terminal: bool = False, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def written(self) -> bytes:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue()


def test_json_is_utf_8_whatever_the_language_of_the_terminal() -> None:
    output = Output(encoding="ascii")
    with redirect_stdout(output):
        print_json({"name": "Œuvres d'été"})
    assert output.written() == '{"name":"Œuvres d\'été"}\n'.encode()


def test_times_ids_and_amounts_have_one_way_to_be_written() -> None:
    moment = dt.datetime(2026, 11, 22, 13, 44, 10, 5, tzinfo=dt.UTC)
    document = {
        "at": moment,
        "day": dt.date(2026, 11, 22),
        "event": uuid.UUID(int=7),
        "debit": Decimal("120.00"),
    }
    assert json.loads(encode(document)) == {
        "at": "2026-11-22T13:44:10.000005+00:00",
        "day": "2026-11-22",
        "event": "00000000-0000-0000-0000-000000000007",
        "debit": "120.00",
    }


def test_what_is_no_value_of_a_row_is_not_guessed_at() -> None:
    with pytest.raises(TypeError):
        encode({"body": b"bytes"})


def test_a_list_for_programs_has_every_key_of_every_row() -> None:
    output = Output()
    rows = [{"id": 1, "text": "a\nb", "more": None}, {"id": 2, "text": "\u2028", "more": [1]}]
    with redirect_stdout(output):
        print_rows(rows, COLUMNS, as_json=True)
    assert [json.loads(line) for line in output.written().splitlines()] == rows


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=5))
def test_no_text_breaks_the_columns_of_piped_output(texts: list[str]) -> None:
    output = Output()
    rows = [{"id": number, "text": text} for number, text in enumerate(texts)]
    with redirect_stdout(output):
        print_rows(rows, COLUMNS, as_json=False)
    lines = output.written().decode().split("\n")
    assert lines[0] == "id\ttext"
    assert lines[-1] == ""
    assert [line.split("\t")[0] for line in lines[1:-1]] == [str(row["id"]) for row in rows]
    assert {line.count("\t") for line in lines[:-1]} == {1}


def test_a_terminal_gets_tables_whose_texts_it_neither_obeys_nor_reads_as_markup(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = Output(terminal=True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with redirect_stdout(output):
        print_rows([{"id": 1, "text": "[red]\x1b]0;title\x07\u202eevil"}], COLUMNS, as_json=False)
    assert "\n1   [red] ]0;title  evil" in output.written().decode()


@pytest.mark.parametrize("as_json", [True, False])
def test_rows_are_printed_as_they_come(as_json: bool) -> None:  # noqa: FBT001 a parameter
    output = Output()

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(10_000):
            yield {"id": number, "text": "x" * 100}
            assert len(output.written()) > 100 * number

    with redirect_stdout(output):
        print_rows(rows(), COLUMNS, as_json=as_json)


def test_a_terminals_tables_are_printed_before_the_last_row_is_read() -> None:
    output = Output(terminal=True)

    def rows() -> Iterator[dict[str, Any]]:
        yield from ({"id": number, "text": "first"} for number in range(1_000))
        assert b"first" in output.written()
        yield {"id": 1_000, "text": "last"}

    with redirect_stdout(output):
        print_rows(rows(), COLUMNS, as_json=False)
    assert output.written().count(b"first") == 1_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (True, "yes"),
        (0, "0"),
        (dt.datetime(2026, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2))), "2025-12-31 23:00"),
        ("a\tb\r\nc", "a b  c"),
    ],
)
def test_a_value_is_one_line_for_people(value: object, expected: str) -> None:
    assert shown(value).startswith(expected)
    assert "\n" not in shown(value)
