"""Arrays taken apart as text where a decoder gives up."""

import pytest

from passerelle.domain.json_array import elements

_DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize("bad", [_DEEP, b"\xff\xfe", b"nonsense", b"9" * 10_000, b'{"a" 1}', b""])
def test_what_cannot_be_decoded_stays_whole_between_its_neighbours(bad: bytes) -> None:
    assert elements(b'[{"a": "]"}, %b , [1,2]]' % bad) == [b'{"a": "]"}', bad, b"[1,2]"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"]",
        b"[",
        b"[1",
        b"[[1]",
        b'["x]',
        b'["x\\"]',
        b"[1]]",
        b"[1][2]",
        b"[1] 2",
        b"x[1]",
    ],
)
def test_a_text_out_of_balance_is_no_array(text: bytes) -> None:
    assert elements(text) is None


def test_an_empty_array_has_no_elements() -> None:
    assert elements(b" [ \n ] ") == []


def test_marks_within_strings_are_not_structure() -> None:
    assert elements(b'["a,b", "\\"],[", "\\\\"]') == [b'"a,b"', b'"\\"],["', b'"\\\\"']
