import io

import pytest

from passerelle.fec.encoding import LINE_BYTES, find_encoding
from passerelle.fec.report import FecError

ENCODED = ("utf-8", "iso8859-15", "cp1252")


def found(content: bytes) -> tuple[str, str]:
    encoding = find_encoding(io.BytesIO(content))
    return encoding.name, encoding.evidence


@pytest.mark.parametrize(
    ("text", "codec", "name"),
    [
        ("Papeterie\n", "ascii", "UTF-8"),
        ("Générale\n", "utf-8", "UTF-8"),
        ("Générale\n", "utf-8-sig", "UTF-8"),
        ("Générale 5 €\n", "cp1252", "Windows-1252"),
        ("l\u2019Écluse\n", "cp1252", "Windows-1252"),
        ("Œuvres\n", "cp1252", "Windows-1252"),
        ("Générale 5 €\n", "iso8859-15", "ISO-8859-15"),
        ("Œuvres du cœur\n", "iso8859-15", "ISO-8859-15"),
        ("ŒUVRES\n", "iso8859-15", "ISO-8859-15"),
        ("un ½ tarif, 2\u00b4 après\n", "cp1252", "Windows-1252"),
        ("l\u00b4eau\n", "cp1252", "Windows-1252"),
        # Both read the same.
        ("Générale\n", "iso8859-15", "Windows-1252"),
        ("Générale\n", "cp1252", "Windows-1252"),
    ],
)
def test_the_bytes_tell_the_encoding_and_it_reads_them_right(
    text: str, codec: str, name: str
) -> None:
    content = text.encode(codec)
    stream = io.BytesIO(content)
    encoding = find_encoding(stream)
    assert encoding.name == name
    assert not encoding.doubtful
    assert stream.read().decode(encoding.codec) == text


def test_few_bytes_of_another_encoding_do_not_decide() -> None:
    good = "Générale\n".encode() * 50
    encoding = find_encoding(io.BytesIO(good + b"G\xe9n\xe9rale\n" + good))
    assert (encoding.name, encoding.doubtful) == ("UTF-8", True)
    # Where they stand does not matter either: the file is gone through in parts.
    far = "x" * 100 + "\n"
    many = good + far.encode() * 30_000 + b"G\xe9n\xe9rale\n"
    assert find_encoding(io.BytesIO(many)).name == "UTF-8"


def test_the_evidence_is_told_with_its_line() -> None:
    assert found(b"a\nb\nl\x92eau\n")[1] == ("byte 0x92 on line 3, not a character of ISO-8859-15")
    assert found(b"\xef\xbb\xbfa\n")[1] == "byte order mark"
    assert found(b"a\n")[1] == "nothing but ASCII characters"


@pytest.mark.parametrize("codec", ["cp850", "mac_roman"])
def test_an_encoding_that_an_fec_may_not_have_is_refused_with_its_line(codec: str) -> None:
    with pytest.raises(FecError) as refusal:
        find_encoding(io.BytesIO("ab\nréglé à Orléans\n".encode(codec)))
    assert str(refusal.value).startswith("line 2: byte 0x8")
    assert str(refusal.value).endswith("save the file as UTF-8")


@pytest.mark.parametrize("before", [0, 1, 40_000])
def test_a_line_that_is_too_long_is_found_wherever_it_stands(before: int) -> None:
    content = b"a" * 70 + b"\n"
    stream = io.BytesIO(content * before + b"x" * LINE_BYTES)
    with pytest.raises(FecError) as refusal:
        find_encoding(stream)
    assert str(refusal.value) == f"line {before + 1}: 65,536 bytes or more, not a line of an FEC"


def test_a_long_line_below_the_bound_is_one() -> None:
    assert found((b"x" * (LINE_BYTES - 1) + b"\n") * 40)[0] == "UTF-8"
