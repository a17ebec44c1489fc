"""An FEC file, read once into a scratch file: the door that the command line uses."""

import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from operator import itemgetter
from typing import BinaryIO

from passerelle.fec.encoding import Encoding, find_encoding
from passerelle.fec.layout import Layout, read_header
from passerelle.fec.lines import LineReader, fitted_reader
from passerelle.fec.report import FecError, Finding, Reason, UnfitError
from passerelle.fec.scratch import Block, Key, Scratch

# With more, the file is another than its header says, or damaged throughout.
_MOST_UNREADABLE = 10_000
_MOST_JOURNALS = 1_000
# Read together from the file, and the rest of a line with them.
_BATCH_CHARACTERS = 262_144
# A day of more is sorted on disk, and taken in parts of about so many.
_DAY_LINES = 5_000
_PART_LINES = 2_000
# Of one journal, day and number: what is held in memory whatever its size.
_KEY_LINES = 10_000
_LINE_ENDS = {"": "none", "\n": "LF", "\r\n": "CR LF", "\r\r\n": "CR CR LF"}
# A line of these and separators holds nothing; 0x1A ends a file of MS-DOS.
_NOTHING = " \t\x1a\u00a0"


@dataclass(slots=True)
class Part:
    """Lines of a day, by number in the file; all those of any journal and number among them.

    Or, where `too_many`, some of those of one journal and number.
    """

    date: str
    lines: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    too_many: bool = False

    def extend(self, other: "Part") -> None:
        self.lines += other.lines
        self.texts += other.texts


def _part(block: Block) -> Part:
    texts = block.text.split("\n")
    return Part(block.date, list(range(block.first, block.first + len(texts))), texts)


@dataclass(frozen=True, slots=True)
class FecFile:
    """The lines of a file.

    - `lines` counts those after the header that are not blank.
    - `lost` tells of lines whose entry nobody can tell; `beside` gives, for the readable lines
      before and after them, the numbers of the lost ones.
    - `faults` tells, by line, of others that cannot be read.
    - `constant`: EcritureNum is the same on all lines of each journal, so that it tells no entry;
      `constant_for_days`: and some journal has it on several days.
    """

    scratch: Scratch
    encoding: Encoding
    line_end: str
    layout: Layout
    reader: LineReader
    lines: int
    journals: frozenset[str]
    first_date: str
    lost: Sequence[Finding]
    beside: Mapping[int, Sequence[int]]
    faults: Mapping[int, str]
    constant: bool
    constant_for_days: bool

    def parts(self) -> Iterator[Part]:
        """All lines whose entry can be told, by day."""
        for date, same in groupby(self.scratch.blocks(), key=itemgetter(0)):
            blocks = map(_part, same)
            part = Part(date)
            for block in blocks:
                part.extend(block)
                if len(part.lines) > _DAY_LINES:
                    yield from self._of_large_day(chain([part], blocks))
                    break
            else:
                yield part

    def keys(self, part: Part) -> list[Key]:
        if self.faults.keys().isdisjoint(part.lines):
            return self.reader.keys(part.texts)
        return [
            self.reader.likely_key(text) if line in self.faults else self.reader.keys([text])[0]
            for line, text in zip(part.lines, part.texts, strict=True)
        ]

    def _of_large_day(self, parts: Iterable[Part]) -> Iterator[Part]:
        gathered: Part | None = None
        for (date, *_), same in groupby(self._sorted(parts), key=itemgetter(0, 1, 2)):
            of_key = Part(date)
            for _, _, _, line, text in same:
                of_key.lines.append(line)
                of_key.texts.append(text)
                if len(of_key.lines) > _KEY_LINES:
                    yield replace(of_key, too_many=True)
                    of_key = Part(date, too_many=True)
            if of_key.too_many:
                yield of_key
                continue
            gathered = gathered or Part(date)
            gathered.extend(of_key)
            if len(gathered.lines) > _PART_LINES:
                yield gathered
                gathered = None
        if gathered is not None:
            yield gathered

    def _sorted(self, parts: Iterable[Part]) -> Iterator[tuple[str, str, str, int, str]]:
        return self.scratch.sorted_day(
            (*key, line, text)
            for part in parts
            for key, line, text in zip(self.keys(part), part.lines, part.texts, strict=True)
        )


@contextmanager
def open_fec(stream: BinaryIO, advance: Callable[[int], object]) -> Iterator[FecFile]:
    """Read a file whole; `advance` is told of the bytes read.

    The stream must be seekable: it is gone through twice, first for its encoding.

    Raises:
        FecError: no FEC, or one of which hardly anything can be read.
        sqlite3.OperationalError: no room for the scratch file.
    """
    with closing(Scratch()) as scratch:
        encoding = find_encoding(stream)
        text = io.TextIOWrapper(stream, encoding.codec, errors="surrogateescape", newline="\n")
        try:
            yield _Loading(scratch, encoding, text, stream.tell, advance).load()
        finally:
            # The stream is the caller's to close.
            text.detach()


class _Loading:
    def __init__(
        self,
        scratch: Scratch,
        encoding: Encoding,
        text: io.TextIOWrapper,
        tell: Callable[[], int],
        advance: Callable[[int], object],
    ) -> None:
        self._scratch = scratch
        self._encoding = encoding
        self._text = text
        self._tell = tell
        self._advance = advance
        self._count = 0
        self._lost: list[Finding] = []
        self._beside: defaultdict[int, list[int]] = defaultdict(list)
        # The last line that is not lost, and those that are since.
        self._last = 0
        self._since: list[int] = []
        self._faults: dict[int, str] = {}
        # The day and the number of a journal; None where it has several. Blank numbers are none.
        self._days: dict[str, str | None] = {}
        self._numbers: dict[str, str | None] = {}
        self._first_date = "9999"

    def load(self) -> FecFile:
        """Raises: FecError."""
        line = 1
        while (header := self._text.readline()) and not header.strip():
            line += 1
        text = header.rstrip("\r\n")
        if not text:
            raise FecError(Finding((1,), "the file is empty, expected the header of an FEC"))
        layout = read_header(line, text)
        batch = self._batch()
        self._header, self._layout = text, layout
        self._reader = fitted_reader(layout, [text for text in batch if text])
        self._scratch.add_blocks(self._blocks(line + 1, batch))
        if not self._count:
            raise FecError(Finding((line,), "no line follows the header"))
        if not self._days:
            told = f"of {self._count:,} lines none can be read"
            raise FecError(Finding((line,), told), *self._lost)
        constant = bool(self._numbers) and None not in self._numbers.values()
        return FecFile(
            scratch=self._scratch,
            encoding=self._encoding,
            line_end=_LINE_ENDS.get(header[len(text) :], "mixed"),
            layout=self._layout,
            reader=self._reader,
            lines=self._count,
            journals=frozenset(self._days),
            first_date=self._first_date,
            lost=self._lost,
            beside=self._beside,
            faults=self._faults,
            constant=constant,
            constant_for_days=constant and None in self._days.values(),
        )

    def _batch(self) -> list[str]:
        """The next lines, without their ends; none behind the last."""
        chunk = self._text.read(_BATCH_CHARACTERS) + self._text.readline()
        if not chunk:
            return []
        batch = chunk.removesuffix("\n").split("\n")
        return [text.rstrip("\r") for text in batch] if "\r" in chunk else batch

    def _blocks(self, first: int, batch: Sequence[str]) -> Iterator[Block]:
        read = 0
        while batch:
            try:
                yield from self._take(first, batch)
            except UnfitError:
                for line, text in enumerate(batch, first):
                    yield from self._take_alone(line, text)
            first += len(batch)
            at = self._tell()
            self._advance(at - read)
            read = at
            batch = self._batch()

    def _take(self, first: int, texts: Sequence[str]) -> list[Block]:
        """Lines that all can be read, as far as their entries are concerned.

        Raises:
            UnfitError: one cannot.
        """
        if self._encoding.doubtful:
            for text in texts:
                self._encoding.check(text)
        return self._placed(first, texts, self._reader.keys(texts))

    def _take_alone(self, line: int, text: str) -> list[Block]:
        if text == self._header or not text.replace(self._layout.separator, " ").strip(_NOTHING):
            return []
        try:
            return self._take(line, [text])
        except UnfitError as error:
            fault = str(error)
        if len(self._lost) + len(self._faults) == _MOST_UNREADABLE:
            told = f"{_MOST_UNREADABLE:,} lines up to this one cannot be read"
            raise FecError(Finding((line,), told), *self._lost[:2])
        text = text.encode(errors="replace").decode()
        try:
            key = self._reader.likely_key(text)
        except UnfitError:
            self._count += 1
            message = f"{fault}; the line's entry cannot be told"
            self._lost.append(Finding((line,), message, None, Reason.UNREADABLE))
            self._beside[self._last].append(line)
            self._since.append(line)
            return []
        self._faults[line] = fault
        return self._placed(line, [text], [key])

    def _placed(self, first: int, texts: Sequence[str], keys: Sequence[Key]) -> list[Block]:
        self._count += len(texts)
        if self._since:
            self._beside[first] += self._since
            self._since = []
        self._last = first + len(texts) - 1
        for date, journal, number in set(keys):
            self._first_date = min(self._first_date, date)
            if self._days.setdefault(journal, date) != date:
                self._days[journal] = None
            if number and self._numbers.setdefault(journal, number) != number:
                self._numbers[journal] = None
        if len(self._days) > _MOST_JOURNALS:
            told = f"more than {_MOST_JOURNALS:,} journals, not what the header says"
            raise FecError(Finding((self._last,), told))
        dates = [date for date, _, _ in keys]
        blocks = []
        start = 0
        for date, same in groupby(dates):
            end = start + len(list(same))
            blocks.append(Block(date, first + start, "\n".join(texts[start:end])))
            start = end
        return blocks
