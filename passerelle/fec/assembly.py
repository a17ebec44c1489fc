"""Which lines of a file are an entry: by number or, where no number tells, by piece and balance."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter

from passerelle.fec.entries import Entry, UnfitEntryError, make_entry, sum_of
from passerelle.fec.grouping import Grouping, Movement, group_movements
from passerelle.fec.identity import RunIds, entry_id
from passerelle.fec.lines import Line
from passerelle.fec.reader import FecFile, Part
from passerelle.fec.report import Finding, Reason, UnfitError, shortened
from passerelle.fec.scratch import Key

# Numbers of lines that cannot be read, each with why.
_Faults = Sequence[tuple[int, str]]


class Assembly:
    """The entries of a file. `left_out` is told of every line that is in none of them."""

    def __init__(self, file: FecFile, left_out: Callable[[Finding], object]) -> None:
        self._file = file
        self._left_out = left_out

    def entries(self) -> Iterator[Entry]:
        """By day."""
        for finding in self._file.lost:
            self._left_out(finding)
        for part in self._file.parts():
            if part.too_many:
                message = f"too many lines of one journal, day and EcritureNum: {part.date}"
                self._leave_out(part.lines, message, Reason.UNGROUPED)
                continue
            faults: defaultdict[Key, list[tuple[int, str]]] = defaultdict(list)
            for key, lines in self._groups(part, faults).items():
                yield from self._assembled(key, lines, faults.get(key, ()))

    def _groups(
        self, part: Part, faulty: Mapping[Key, list[tuple[int, str]]]
    ) -> Mapping[Key, list[Line]]:
        """The lines of each key that can be read; the others go to `faulty`."""
        groups: defaultdict[Key, list[Line]] = defaultdict(list)
        faults, read = self._file.faults, self._file.reader.lines
        if faults.keys().isdisjoint(part.lines):
            with suppress(UnfitError):
                last, group = None, []
                for key, line in zip(*read(part.lines, part.texts), strict=True):
                    if key != last:
                        last, group = key, groups[key]
                    group.append(line)
                return groups
        for key, number, text in zip(self._file.keys(part), part.lines, part.texts, strict=True):
            group = groups[key]
            try:
                if number in faults:
                    raise UnfitError(faults[number])  # noqa: TRY301 told like any other fault
                group += read([number], [text])[1]
            except UnfitError as error:
                faulty[key].append((number, str(error)))
        return groups

    def _assembled(self, key: Key, lines: Sequence[Line], faults: _Faults) -> Iterable[Entry]:
        number_tells = bool(key[2]) and not self._file.constant_for_days
        if len(faults) > (0 if number_tells else 1):
            # Where no number tells: one line that is missing unbalances its entry, two may not.
            numbers = sorted([line.number for line in lines] + [number for number, _ in faults])
            told = faults[0][1]
            if len(numbers) > 1:
                told = shortened([f"line {line}: {fault}" for line, fault in faults], "; ")
            identity = entry_id(key) if number_tells else None
            self._leave_out(numbers, told, Reason.UNREADABLE, identity)
            return ()
        empty = [line.number for line in lines if line.debit == line.credit]
        if empty:
            message = "neither Debit nor Credit has an amount"
            self._leave_out(empty, message, Reason.NO_AMOUNT, entry_id(key))
            lines = [line for line in lines if line.debit != line.credit]
            if not lines and not faults:
                return ()
        if number_tells and not self._file.constant:
            return self._entry(entry_id(key), key[2], key, lines)
        grouping = _grouping(lines, faults)
        if number_tells and not grouping.is_pieces:
            return self._entry(entry_id(key), key[2], key, lines)
        return self._several(key, lines, faults, grouping)

    def _several(
        self, key: Key, found: Sequence[Line], faults: _Faults, grouping: Grouping
    ) -> Iterator[Entry]:
        for number, fault in faults:
            self._leave_out([number], fault, Reason.UNREADABLE)
        lines = {line.number: line for line in found}
        for piece, numbers in grouping.pieces.items():
            of_piece = [lines[number] for number in numbers]
            yield from self._entry(entry_id(key, piece), piece, key, of_piece)
        ids = RunIds(key)
        for numbers in grouping.runs:
            of_run = [lines[number] for number in numbers]
            moved = [
                (line.account, line.auxiliary, str(line.debit), str(line.credit)) for line in of_run
            ]
            yield from self._entry(*ids.next(moved), key, of_run)
        for numbers in grouping.left:
            debit, credit = sum_of([lines[number] for number in numbers])
            self._leave_out(
                numbers,
                "no EcritureNum tells which lines are an entry, and neither those of one PieceRef "
                f"nor those that follow one another balance: debit {debit}, credit {credit}",
                Reason.UNGROUPED,
            )

    def _entry(
        self, identity: str, stand_in: str, key: Key, lines: Sequence[Line]
    ) -> tuple[Entry, ...]:
        """The entry, or nothing where the lines are none."""
        date, journal, _ = key
        try:
            if self._file.beside:
                self._check_neighbours(lines)
            return (make_entry(identity, stand_in, date, journal, lines),)
        except UnfitEntryError as error:
            numbers = [line.number for line in lines]
            self._leave_out(numbers, str(error), error.reason, identity)
            return ()

    def _check_neighbours(self, lines: Sequence[Line]) -> None:
        """Raises: UnfitEntryError, where two lines may be missing; one the balance would tell."""
        beside = self._file.beside
        lost = {lost for line in lines for lost in beside.get(line.number, ())}
        if len(lost) > 1:
            names = shortened([str(number) for number in sorted(lost)], ", ")
            message = f"whether these lines are all is unknown: lines {names} cannot be read"
            raise UnfitEntryError(Reason.UNGROUPED, message)

    def _leave_out(
        self, lines: Iterable[int], message: str, reason: Reason, identity: str | None = None
    ) -> None:
        self._left_out(Finding(tuple(lines), message, identity, reason))


def _grouping(lines: Sequence[Line], faults: _Faults) -> Grouping:
    readable = [Movement(line.number, line.piece_ref, line.debit - line.credit) for line in lines]
    unreadable = [Movement(number, "", None) for number, _ in faults]
    return group_movements(sorted([*readable, *unreadable], key=attrgetter("line")))
