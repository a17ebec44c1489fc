"""How the bytes of a file are to be read as text, decided by what they are.

UTF-8 checks itself: text in another encoding is hardly ever valid UTF-8 by chance. The two
encodings of one byte a character that the law admits differ in few bytes, and those decide:
- 0x80 to 0x9F are characters of Windows-1252 (typographic quotes, the euro sign) and nothing of
  ISO-8859-15.
- Eight bytes from 0xA4 on are letters and the euro sign in ISO-8859-15 and signs that no French
  text has within words in Windows-1252.
Where no byte decides, both read the same.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from passerelle.fec.report import FecError, Finding, UnfitError

# Far above any line of an FEC: a binary file without line ends must not be read into memory whole.
LINE_BYTES = 65_536
_CHUNK = 1_000_000
_BOM = b"\xef\xbb\xbf"
_FOREIGN = re.compile(rb"[\x80-\xff]+")
_ONLY_1252 = re.compile(rb"[\x80-\x9f]")
# What Windows-1252 does not define, and letters of MS-DOS (é, ç and è of code page 850) and of old
# Macs (é) within words, where Windows-1252 has quotation marks, daggers and capitals.
_STRANGE = frozenset(b"\x81\x82\x87\x8a\x8d\x8e\x8f\x90\x9d")
_STRANGER = re.compile(
    rb"[\x81\x8d\x8f\x90\x9d]|(?<=[A-Za-z])[\x82\x87](?=[a-z])|(?<=[a-z])[\x8a\x8e](?=[a-z])"
)
_BELOW_8859_15 = frozenset(range(0x80, 0xA0))
# Where the two encodings differ from 0xA0 on.
_DECIDING = frozenset(b"\xa4\xa6\xa8\xb4\xb8\xbc\xbd\xbe")
_LETTER = rb"[A-Za-z\xc0-\xff]"
_IN_8859_15 = re.compile(
    rb"\xa4|[\xbc-\xbe](?=" + _LETTER + rb")|(?<=" + _LETTER + rb")[\xa6\xa8\xb8\xbc-\xbe]"
)
_IN_1252 = re.compile(rb"\xb4|(?<!" + _LETTER + rb")[\xbc-\xbe](?!" + _LETTER + rb")")

_OTHER_FILES = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet"),
    (b"\x1f\x8b", "a compressed file"),
    (b"\xff\xfe", "text in UTF-16"),
    (b"\xfe\xff", "text in UTF-16"),
    (b"<?xml", "an XML document"),
)


@dataclass(frozen=True, slots=True)
class Encoding:
    """`codec` is Python's name. `evidence` is a sentence for the report.

    `doubtful`: some lines hold bytes that contradict the encoding, or NUL characters; each line has
    to be looked at (`check`).
    """

    name: str
    codec: str
    evidence: str
    doubtful: bool

    def check(self, text: str) -> None:
        """Of a decoded line, in which surrogates stand for bytes that cannot be decoded.

        Raises:
            UnfitError: the line's bytes contradict the encoding.
        """
        if "\0" in text:
            raise UnfitError("holds a NUL character, expected text")
        if text.isascii():
            return
        raw = text.encode(self.codec, "surrogateescape")
        if self.codec != "utf-8":
            if _is_utf_8(raw):
                raise UnfitError(f"is UTF-8, the other lines are {self.name}")
            return
        try:
            raw.decode()
        except UnicodeDecodeError as error:
            byte = raw[error.start]
            raise UnfitError(f"byte 0x{byte:02X} is not UTF-8, as the other lines are") from error


def find_encoding(stream: BinaryIO) -> Encoding:
    """The encoding of a file, gone through whole and left at the start of its text.

    Raises:
        FecError: it is no text of lines, or in an encoding that an FEC may not have.
    """
    head = stream.read(len(_BOM) + 2)
    for start, what in _OTHER_FILES:
        if head.startswith(start):
            raise FecError(Finding((1,), f"this is {what}, expected an FEC as plain text"))
    bom = head.startswith(_BOM)
    stream.seek(len(_BOM) if bom else 0)
    found = _Evidence()
    for first_line, chunk in _chunks(stream):
        found.take(chunk, first_line)
    stream.seek(len(_BOM) if bom else 0)
    if bom:
        return Encoding("UTF-8", "utf-8", "byte order mark", found.doubtful_in_utf_8)
    return found.verdict()


def _chunks(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Whole lines in parts of about a megabyte, each with the number of its first line.

    Raises:
        FecError: a line is too long.
    """
    line, rest = 1, b""
    while chunk := stream.read(_CHUNK):
        chunk = rest + chunk
        place = 0
        while len(chunk) - place >= LINE_BYTES:
            end = chunk.rfind(b"\n", place, place + LINE_BYTES)
            if end < 0:
                line += chunk.count(b"\n", 0, place)
                raise FecError(
                    Finding((line,), f"{LINE_BYTES:,} bytes or more, not a line of an FEC")
                )
            place = end + 1
        whole, rest = chunk[:place], chunk[place:]
        yield line, whole
        line += whole.count(b"\n")
    yield line, rest


class _Evidence:
    def __init__(self) -> None:
        self.has_nul = False
        # How often bytes above ASCII are valid UTF-8, and how often they are not.
        self.utf_8 = 0
        self.other = 0
        self.in_8859_15 = 0
        self.in_1252 = 0
        # The first byte that only Windows-1252 has, and its line.
        self.only_1252: tuple[int, int] | None = None
        # The first byte that none of the encodings has so, and its line.
        self.stranger: tuple[int, int] | None = None

    @property
    def doubtful_in_utf_8(self) -> bool:
        return self.has_nul or self.other > 0

    def take(self, chunk: bytes, first_line: int) -> None:
        self.has_nul = self.has_nul or b"\0" in chunk
        if chunk.isascii():
            return
        if _is_utf_8(chunk):
            self.utf_8 += len(chunk) - len(chunk.decode())
            return
        runs = _FOREIGN.findall(chunk)
        valid = sum(map(_is_utf_8, runs))
        self.utf_8 += valid
        self.other += len(runs) - valid
        # To look where a byte stands takes long; most chunks have none that decides.
        used = frozenset(b"".join(runs))
        if used & _DECIDING:
            self.in_8859_15 += len(_IN_8859_15.findall(chunk))
            self.in_1252 += len(_IN_1252.findall(chunk))
        if self.only_1252 is None and used & _BELOW_8859_15:
            self.only_1252 = _first(_ONLY_1252, chunk, first_line)
        if self.stranger is None and used & _STRANGE:
            self.stranger = _first(_STRANGER, chunk, first_line)

    def verdict(self) -> Encoding:
        if not self.utf_8 + self.other:
            return Encoding("UTF-8", "utf-8", "nothing but ASCII characters", self.has_nul)
        if self.utf_8 >= self.other:
            return Encoding("UTF-8", "utf-8", "valid as UTF-8", self.doubtful_in_utf_8)
        if self.stranger is not None:
            byte, line = self.stranger
            raise FecError(
                Finding(
                    (line,),
                    f"byte 0x{byte:02X} stands for no letter of UTF-8, ISO-8859-15 or "
                    "Windows-1252; save the file as UTF-8",
                )
            )
        doubtful = self.has_nul or self.utf_8 > 0
        if self.only_1252 is not None:
            byte, line = self.only_1252
            evidence = f"byte 0x{byte:02X} on line {line}, not a character of ISO-8859-15"
            return Encoding("Windows-1252", "cp1252", evidence, doubtful)
        if self.in_8859_15 > self.in_1252:
            evidence = "letters or euro signs that Windows-1252 has elsewhere"
            return Encoding("ISO-8859-15", "iso8859-15", evidence, doubtful)
        if self.in_1252:
            evidence = "signs that ISO-8859-15 does not have"
            return Encoding("Windows-1252", "cp1252", evidence, doubtful)
        evidence = "not UTF-8; ISO-8859-15 reads the same"
        return Encoding("Windows-1252", "cp1252", evidence, doubtful)


def _is_utf_8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _first(pattern: re.Pattern[bytes], chunk: bytes, first_line: int) -> tuple[int, int] | None:
    found = pattern.search(chunk)
    if found is None:
        return None
    place = found.start()
    return chunk[place], first_line + chunk.count(b"\n", 0, place)
