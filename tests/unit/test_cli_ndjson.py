"""Promises of reading NDJSON: nothing of a file is lost without a word."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.cli.ndjson import read_lines
from passerelle.cli.submission import Item
from passerelle.domain.errors import PasserelleError
from support.events import purchase

BOM = b"\xef\xbb\xbf"
MOST = 16 * 1024 * 1024


def read(content: bytes) -> tuple[list[Item], list[str]]:
    told: list[str] = []
    return list(read_lines(io.BytesIO(content), "events.ndjson", told.append)), told


json_objects = st.dictionaries(
    st.text(),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(),
        lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
        max_leaves=10,
    ),
    max_size=5,
)


@given(
    st.lists(json_objects),
    st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n\t\n"]),
    st.sampled_from([b"", BOM]),
)
def test_every_line_is_an_event_whatever_ends_it(
    objects: list[dict[str, Any]], end: bytes, start: bytes
) -> None:
    lines = end.join(json.dumps(one).encode() for one in objects)
    items, told = read(start + lines)
    assert [item.event for item in items] == objects
    assert told == []


@given(st.lists(st.binary(max_size=30)))
def test_of_any_bytes_each_line_is_an_event_or_a_fault_and_none_is_missing(
    lines: list[bytes],
) -> None:
    content = b"\n".join([b"{}", *lines])
    items, told = read(content)
    written = [line.strip() for line in content.split(b"\n") if line.strip()]
    assert [item.body for item in items] == written
    assert told == [item.fault for item in items if item.fault is not None]
    assert all(json.loads(item.body) == item.event for item in items if item.fault is None)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"a": 1', "Expecting ',' delimiter at column 8"),
        (b"bonjour", "Expecting value at column 1"),
        (b'"\xe9t\xe9"', "byte 0xE9 at column 2 is not UTF-8"),
        (b"9" * 5_000, "a number has thousands of digits"),
        (b"[" * 200 + b"]" * 200, "nested too deep"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "nested too deep"),
    ],
)
def test_a_line_that_is_no_json_is_kept_whole_and_told_with_its_number(
    line: bytes, why: str
) -> None:
    good = json.dumps(purchase()).encode()
    items, told = read(good + b"\n\n" + line + b"\n" + good)
    assert [item.event for item in items] == [purchase(), None, purchase()]
    assert items[1].body == line
    assert items[1].fault == f"events.ndjson, line 3, is not JSON that can be read: {why}."
    assert told == [items[1].fault]


@pytest.mark.parametrize("indent", [1, 4])
@pytest.mark.parametrize("document", [purchase(), [purchase()]])
def test_a_document_over_several_lines_is_refused_before_anything_is_taken(
    document: object, indent: int
) -> None:
    with pytest.raises(PasserelleError, match="one object a line"):
        read(json.dumps(document, indent=indent).encode())


def test_a_lone_bracket_further_on_harms_only_itself() -> None:
    items, told = read(b"{}\n{\n{}")
    assert [item.event for item in items] == [{}, None, {}]
    assert len(told) == 1


def test_a_file_without_line_ends_is_not_read_into_memory() -> None:
    class Endless(io.RawIOBase):
        taken = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            self.taken += len(buffer)
            buffer[:] = b"x" * len(buffer)
            return len(buffer)

    endless = Endless()
    with pytest.raises(PasserelleError, match=r"dump\.bin, line 1, has 16,777,216 bytes or more"):
        list(read_lines(io.BufferedReader(endless), "dump.bin", print))
    assert endless.taken < 2 * MOST


def test_an_empty_file_has_no_events() -> None:
    assert read(b"") == ([], [])
    assert read(b"\n \r\n\t") == ([], [])
