import pytest

from passerelle.domain.text import cut, normalise

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fournitures", "Fournitures"),
        ("", ""),
        (" \t ", ""),
        ("  two  words ", "two words"),
        ("line\nbreak\r\nand\ttab", "line break and tab"),
        ("a\x00b\x07c\x7fd\x85e\x9ff", "a b c d e f"),
        ("a \x01 b", "a b"),
        ("line\u2028and\u2029paragraph", "line and paragraph"),
        ("1\u202f234,00\u00a0\u20ac", "1 234,00 \u20ac"),
        ("\u3000wide\u2003blanks\u3000", "wide blanks"),
        ("Ge\u0301ne\u0301rale", "G\xe9n\xe9rale"),
        ("\u212b", "\xc5"),
    ],
)
def test_controls_and_blanks_fold_into_one_blank(text: str, expected: str) -> None:
    assert normalise(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\ufeffFA-1", "FA-1"),
        ("fourni\u00adtures", "fournitures"),
        ("F\u200b1", "F1"),
        ("\u202eabc\u202c", "abc"),
        ("\u200e12\u200f", "12"),
        ("a\u2060b", "ab"),
        ("a \u200b b", "a b"),
        ("e\u200b\u0301", "\xe9"),
        ("\ud800x", "x"),
    ],
)
def test_what_nobody_sees_leaves_no_trace(text: str, expected: str) -> None:
    assert normalise(text) == expected


@pytest.mark.parametrize("text", [FAMILY, ENGLAND, "\u2764\ufe0f", "\u0646\u200c\u0647"])
def test_what_holds_a_grapheme_together_stays(text: str) -> None:
    assert normalise(text) == text


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "abc"),
        ("ab cd", 3, "ab"),
        ("ab  cd", 4, "ab"),
        ("ab\r\ncd", 3, "ab"),
        ("abc", 0, ""),
        # An accent without a composed form: two code points, one grapheme.
        ("abx\u0302", 3, "ab"),
        ("abx\u0302", 4, "abx\u0302"),
        ("a" + FAMILY, 5, "a"),
        ("a" + FAMILY + "b", 6, "a" + FAMILY),
        ("ab" + ENGLAND, 8, "ab"),
        # Flags are pairs counted from the left.
        ("\U0001f1eb\U0001f1f7\U0001f1e7\U0001f1ea", 3, "\U0001f1eb\U0001f1f7"),
        # Hangul syllables in pieces.
        ("a\u1112\u1161\u11ab", 3, "a"),
        # An Arabic number sign takes the blank after it into its grapheme.
        ("ab\u0600 cd", 4, "ab"),
    ],
)
def test_a_cut_keeps_whole_graphemes(text: str, limit: int, expected: str) -> None:
    assert cut(text, limit) == expected


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("x" + "\u0302" * 50, 35, "x" + "\u0302" * 34),
        (FAMILY, 3, "\U0001f468\u200d\U0001f469"),
    ],
)
def test_a_grapheme_that_is_over_the_limit_alone_is_split(
    text: str, limit: int, expected: str
) -> None:
    assert cut(text, limit) == expected
