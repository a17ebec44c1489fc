"""What is read of a file, on disk: memory stays small however large the file is, and its lines are
found again by entry in whatever order they stand.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, Generic, NamedTuple, TypeVar

from passerelle.fec.report import Collision

_CACHE_KIB = 8_192
_WRITTEN_AT_ONCE = 1_000

_T = TypeVar("_T", bound=tuple[Any, ...])

Key = tuple[str, str, str]
"""What tells a line's entry: the date as `20210901`, journal and number as written.

The number is blank where it is blank or all zeros.
"""


class Block(NamedTuple):
    """Lines that follow one another in the file, of one day; `first` is the first one's number."""

    date: str
    first: int
    text: str


class Kept(Iterable[_T], Sized, Generic[_T]):
    """A list of named tuples of what JSON can say."""

    def __init__(self, db: sqlite3.Connection, name: str, make: Callable[[list[Any]], _T]) -> None:
        self._db = db
        self._make = make
        # The names are this package's own.
        self._insert = f"INSERT INTO {name} VALUES (?)"  # noqa: S608 idem
        self._select = f"SELECT item FROM {name} ORDER BY rowid"  # noqa: S608 idem
        self._count = 0
        self._unwritten: list[tuple[str]] = []
        db.execute(f"CREATE TABLE {name} (item)")

    def append(self, item: _T) -> None:
        self._count += 1
        self._unwritten.append((json.dumps(item),))
        if len(self._unwritten) == _WRITTEN_AT_ONCE:
            self._write()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[_T]:
        self._write()
        return (self._make(json.loads(item)) for (item,) in self._db.execute(self._select))

    def _write(self) -> None:
        self._db.executemany(self._insert, self._unwritten)
        self._unwritten.clear()


class Scratch:
    """A database of SQLite in a file that nobody else sees and that goes with `close`.

    Any call raises sqlite3.OperationalError where the disk is full.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._db.execute(
            "CREATE TABLE blocks (date, first, text, PRIMARY KEY (date, first)) WITHOUT ROWID"
        )
        self._db.execute(
            "CREATE TABLE day (date, journal, number, line, text, "
            "PRIMARY KEY (date, journal, number, line)) WITHOUT ROWID"
        )
        self._db.execute("CREATE TABLE auxiliaries (code PRIMARY KEY, cut, line) WITHOUT ROWID")
        self._db.execute("BEGIN")

    def close(self) -> None:
        self._db.close()

    def kept(self, name: str, make: Callable[[list[Any]], _T]) -> Kept[_T]:
        return Kept(self._db, name, make)

    def add_blocks(self, blocks: Iterable[Block]) -> None:
        self._db.executemany("INSERT INTO blocks VALUES (?, ?, ?)", blocks)

    def blocks(self) -> Iterator[Block]:
        """By date and line."""
        rows = self._db.execute("SELECT date, first, text FROM blocks ORDER BY date, first")
        return map(Block._make, rows)

    def sorted_day(
        self, lines: Iterable[tuple[str, str, str, int, str]]
    ) -> Iterator[tuple[str, str, str, int, str]]:
        """Keys, numbers and texts of a day's lines, in their order; of one day at a time."""
        self._db.execute("DELETE FROM day")
        self._db.executemany("INSERT INTO day VALUES (?, ?, ?, ?, ?)", lines)
        return self._db.execute("SELECT * FROM day ORDER BY date, journal, number, line")

    def add_auxiliary(self, code: str, cut: str, line: int) -> bool:
        """Whether the code is met for the first time."""
        added = self._db.execute(
            "INSERT INTO auxiliaries VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (code, cut, line)
        )
        return added.rowcount == 1

    def collisions(self) -> Iterator[Collision]:
        """Different codes that are the same when cut, the first met first."""
        rows = self._db.execute(
            "SELECT cut, json_group_array(code) FROM (SELECT * FROM auxiliaries ORDER BY line) "
            "GROUP BY cut HAVING count(*) > 1 ORDER BY min(line)"
        )
        return (Collision(cut, tuple(json.loads(codes))) for cut, codes in rows)
