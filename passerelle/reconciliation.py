"""Finding what was lost before it was taken in: the hub lists what it has sent.

A name makes no firm, no folder and no entry, only a row that says it is missing. Sending an entry
again is harmless.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from passerelle.domain.event import EntryName, Fault
from passerelle.store import arrivals, missing
from passerelle.store.arrivals import Refused, encode
from passerelle.store.engine import transact
from passerelle.store.missing import Known
from schemas.entry_names import entry_names

MANY = 10_000
"""Names in one `entries.reconcile`, at most."""

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Reconciled:
    """How many of the named entries are known here and how many are not.

    `refused` is 1 where something of the list was wrong, and the list was kept for that.
    """

    known: int
    missing: int
    refused: int


class Reconciliation:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def reconcile(self, raws: object) -> Reconciled:
        """Record which entries of a list are unknown here. A bad name does not harm the others.

        Raises:
            OperationalError: the database is away; nothing was recorded, ask again.
        """
        names, found = _read(raws)

        def work(connection: Connection) -> list[Known | None]:
            if found:
                arrivals.keep_refused(connection, [Refused.of(encode(raws), found)])
            return _look_up(connection, names)

        standing = transact(self._engine, work, tries=_TRIES)
        unknown = standing.count(None)
        return Reconciled(len(names) - unknown, unknown, refused=int(bool(found)))

    def look_up(self, names: Sequence[EntryName]) -> list[Known | None]:
        """How each entry stands, in the same order; None, and recorded, where it is unknown.

        Raises:
            OperationalError: as above.
        """
        return transact(self._engine, lambda connection: _look_up(connection, names), tries=_TRIES)


def _read(raws: object) -> tuple[list[EntryName], list[Fault]]:
    if not isinstance(raws, list):
        return [], [Fault("", "Expected a list of entries.")]
    if len(raws) > MANY:
        return [], [Fault("", f"Expected at most {MANY} entries in a message, found {len(raws)}.")]
    return entry_names(raws)


def _look_up(connection: Connection, names: Sequence[EntryName]) -> list[Known | None]:
    standing = missing.look_up(connection, names)
    unknown = [name for name, known in zip(names, standing, strict=True) if known is None]
    missing.record(connection, unknown)
    return standing
