"""JSON arrays taken apart as text, where what is in them cannot be decoded."""

import re

# A whole string, a quotation mark that opens a string without end, or a mark of structure.
# Structure is ASCII, and no byte of a longer UTF-8 sequence looks like it.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{},]', re.DOTALL)
_BLANKS = b" \t\r\n"


def elements(text: bytes) -> list[bytes] | None:
    """The texts of an array's elements, in order; None where the text is no array.

    Only brackets, braces and strings are looked at: an element may be too deep, no UTF-8 or no JSON
    at all, as long as these are in balance.
    """
    text = text.strip(_BLANKS)
    if not text.startswith(b"["):
        return None
    found: list[bytes] = []
    depth, start = 0, 1
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark == b'"' or (depth == 0 and token.start() > 0):
            return None
        if mark in (b"[", b"{"):
            depth += 1
        elif mark in (b"]", b"}"):
            depth -= 1
        if depth == 0 or (depth == 1 and mark == b","):
            found.append(text[start : token.start()].strip(_BLANKS))
            start = token.end()
    if depth > 0 or start != len(text):
        return None
    return [] if found == [b""] else found
