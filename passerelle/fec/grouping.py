"""Which lines are an entry together, where no number tells.

The lines are those of one journal and day, in the order of the file. Lines of one piece reference
are an entry if they balance. The others are gone through in their order: as soon as those gone
through balance, they are an entry. What is left is no entry: a guess would book what nobody wrote.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Movement:
    """A line's number, its piece reference, and its amount: above zero for a debit, below for a
    credit, None where it cannot be read.
    """

    line: int
    piece: str
    amount: Decimal | None


@dataclass(frozen=True, slots=True)
class Grouping:
    """Numbers of lines: by piece reference, by run, and those that are in no entry."""

    pieces: dict[str, list[int]]
    runs: list[list[int]]
    left: list[list[int]]

    @property
    def is_pieces(self) -> bool:
        """Whether the lines are several entries, each told by its piece reference."""
        return len(self.pieces) > 1 and not self.runs and not self.left


def group_movements(movements: Sequence[Movement]) -> Grouping:
    """Each line that can be read, once."""
    of_piece: defaultdict[str, list[Movement]] = defaultdict(list)
    for movement in movements:
        if movement.piece:
            of_piece[movement.piece].append(movement)
    pieces = {
        piece: [movement.line for movement in found]
        for piece, found in of_piece.items()
        if _balance(found) == _ZERO
    }
    runs: list[list[int]] = []
    left: list[list[int]] = []
    run: list[int] = []
    balance = _ZERO
    for movement in movements:
        if movement.piece in pieces or movement.amount is None:
            # A run does not go on behind lines of another entry, or of nobody knows which.
            left.append(run)
            run, balance = [], _ZERO
            continue
        run.append(movement.line)
        balance += movement.amount
        if not balance:
            runs.append(run)
            run = []
    left.append(run)
    return Grouping(pieces, runs, [lines for lines in left if lines])


def _balance(movements: Iterable[Movement]) -> Decimal | None:
    balance = _ZERO
    for movement in movements:
        if movement.amount is None:
            return None
        balance += movement.amount
    return balance
