"""A database as after a year of use: what the product has delivered there, multiplied in SQL."""

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import click
from sqlalchemy import BigInteger, Column, Connection, DateTime, Table, TextClause, Uuid, text

from passerelle.store import models, outbox_models
from passerelle.store.engine import make_engine

_OF_SETTLED = (
    models.imports,
    models.entries,
    models.events,
    models.attempts,
    models.transitions,
    models.questions,
    outbox_models.outcomes,
)
_OF_WAITING = (models.entries, models.events)

_YEAR = dt.timedelta(days=365)
_AT_ONCE = 100_000
"""Entries in a statement."""

_POINTS_TO = {"entry": "entries", "import_id": "imports"}
_UNIQUE = {"entry_id", "request_id"}

_WAITING = {
    "firm_id": ":firm",
    "folder_id": "(CAST(:folders AS bigint[]))[1 + o.id % :many]",
    "state": "'waiting'",
    "synced_at": "NULL",
}

_HASTE = (
    # Foreign keys are not checked: copies point to copies.
    "SET session_replication_role = replica",
    "SET synchronous_commit = off",
    "SET lock_timeout = 0",
)


@dataclass(frozen=True, slots=True)
class Place:
    """A firm, and folders of it, by id."""

    firm: int
    folders: list[int]


@dataclass(frozen=True, slots=True)
class Filled:
    """How many entries were added, settled and waiting; how long it took."""

    settled: int
    waiting: int
    seconds: float
    database_bytes: int


def fill(database_url: str, settled: int, waiting: int, held: Place) -> Filled:
    """Multiply what is settled until it is at least `settled` entries more, spread over a year;
    at least `waiting` others, of which there are the event and the entry, wait in `held` and are
    due. Nobody else writes entries meanwhile.

    Contents are kept, as by default; a copy's name, event, request and twin's key are its own.
    """
    began = time.monotonic()
    engine = make_engine(database_url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in _HASTE:
            connection.execute(text(statement))
        count = connection.execute(text("SELECT count(*) FROM entries")).scalar_one()
        filling = _Filling(connection, count, -(-settled // count), -(-waiting // count))
        filling.run(held)
        for statement in ("VACUUM (ANALYZE)", "CHECKPOINT"):
            click.echo(statement, err=True)
            connection.execute(text(statement))
        size = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
    engine.dispose()
    return Filled(filling.settled * count, filling.waiting * count, time.monotonic() - began, size)


@dataclass(slots=True)
class _Filling:
    """`count` entries are the originals; so many copies of each are to be settled, or to wait."""

    connection: Connection
    count: int
    settled: int
    waiting: int
    _spans: dict[str, int] = field(default_factory=dict)

    @property
    def _copies(self) -> int:
        return self.settled + self.waiting

    def run(self, held: Place) -> None:
        for table in _OF_SETTLED:
            self._keep_originals(table)
        settled = [_insert(table) for table in _OF_SETTLED]
        waiting = [_insert(table, _WAITING) for table in _OF_WAITING]
        at = {"firm": held.firm, "folders": held.folders, "many": len(held.folders)}
        self._copy("settled", settled, 1, self.settled, {})
        self._copy("waiting", waiting, self.settled + 1, self._copies, at)

    def _keep_originals(self, table: Table) -> None:
        """What is there now, apart from its copies; ids go on behind these."""
        self.connection.execute(
            text(f"CREATE TEMP TABLE original_{table.name} AS TABLE {table.name}")
        )
        if "id" not in table.columns:
            return
        name = table.name
        found = self.connection.execute(text(f"SELECT coalesce(max(id), 1) FROM {name}"))  # noqa: S608 names of our tables
        self._spans[name] = found.scalar_one()
        self.connection.execute(
            text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :last)"),
            {"name": name, "last": self._spans[name] * (self._copies + 1)},
        )

    def _copy(
        self,
        what: str,
        statements: Sequence[TextClause],
        first: int,
        last: int,
        place: Mapping[str, object],
    ) -> None:
        values = {
            **{f"span_{name}": span for name, span in self._spans.items()},
            "beyond": self._copies + 1,
            "apart": _YEAR / self._copies,
            **place,
        }
        step = max(1, _AT_ONCE // self.count)
        for start in range(first, last + 1, step):
            end = min(last, start + step - 1)
            for statement in statements:
                self.connection.execute(statement, {**values, "first": start, "last": end})
            click.echo(f"{what}: {(end - first + 1) * self.count:,} entries", err=True)


def _insert(table: Table, others: Mapping[str, str] = MappingProxyType({})) -> TextClause:
    """Copies number :first to :last of a table's originals; `others`: values by column."""
    columns = {
        column.name: others.get(column.name) or _value(table, column) for column in table.columns
    }
    return text(
        f"INSERT INTO {table.name} ({', '.join(columns)}) "  # noqa: S608 names of our tables
        f"SELECT {', '.join(columns.values())} "
        "FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) k "
        f"CROSS JOIN original_{table.name} o"
    )


def _value(table: Table, column: Column[Any]) -> str:
    """What copy number k of `o` has there."""
    name, of = column.name, f"o.{column.name}"
    pointed = table.name if name == "id" else _POINTS_TO.get(name)
    if pointed is not None and isinstance(column.type, BigInteger):
        return f"{of} + k * :span_{pointed}"
    if isinstance(column.type, DateTime):
        return f"{of} - (:beyond - k) * CAST(:apart AS interval)"
    if isinstance(column.type, Uuid):
        return f"CAST(md5(CAST({of} AS text) || k) AS uuid)"
    if name in _UNIQUE:
        return f"{of} || '-' || k"
    if name == "twin_key":
        return f"sha256({of} || int8send(k))"
    return of
