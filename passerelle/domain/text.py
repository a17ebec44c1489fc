"""Text as Loop gets it."""

import unicodedata

import regex

# Zero-width characters that no visible character is built from: soft hyphens of PDF files, byte
# order marks, zero-width blanks, marks of writing direction. Unicode's text segmentation counts
# them as Control. They go without leaving a blank, because none was seen there: "fourni-ture" with
# a soft hyphen stays one word. Joiners, variation selectors and tags extend a grapheme, so they
# stay. A lone surrogate cannot be written in UTF-8.
_INVISIBLE = regex.compile(r"(?V1)[[\p{GCB=Control}\p{Cs}]--[\p{Cc}\s]]+")
# Control characters, line and paragraph separators, and blanks of any width.
_BLANKS = regex.compile(r"[\p{Cc}\s]+")
_GRAPHEME = regex.compile(r"\X")
# Below it each printable character is a grapheme: the letters of French among them.
_FIRST_MARK = "\u0300"


def normalise(text: str) -> str:
    """NFC, one blank for each run of control characters and blanks, none at the ends.

    What is left may be empty.
    """
    # What is printable holds neither; most texts are.
    if not text.isprintable() or "  " in text:
        text = _BLANKS.sub(" ", _INVISIBLE.sub("", text))
    # Last, because a letter and its accent may only now stand side by side.
    return unicodedata.normalize("NFC", text.strip(" "))


def cut(text: str, limit: int) -> str:
    """At most `limit` code points from the front, whole graphemes, no blank at the end.

    Only where not even one grapheme fits, one is split: Loop's limit is hard, and an empty text
    would say less than a letter without some of its accents.
    """
    if len(text) <= limit:
        return text
    # Where a grapheme ends shows in the code point after it, so one more than the limit is enough,
    # and the last one found is the first that does not fit.
    head = text[: limit + 1]
    if head.isprintable() and max(head) < _FIRST_MARK:
        return head[:limit].rstrip(" ")
    graphemes = _GRAPHEME.findall(head)[:-1]
    # A blank may be the tail of a longer grapheme (after an Arabic number sign, say), which
    # stripping would split.
    while graphemes and graphemes[-1][-1].isspace():
        graphemes.pop()
    return "".join(graphemes) or text[:limit].rstrip()
