"""A twin for each firm of a test: the same folders and the same entries at the same time.

Only its code, its keys with their domain, and the ids of its events are its own. What a test does
to its firm alone, such as a fault, a death or an operator's act, leaves the twin as it would be
alone: all its entries get to Loop once, unless they end as the firm's own do.
"""

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Engine, text

from passerelle.store.deployment import metadata
from support.simulator import SimulatorHandle, until

DOMAIN = "MIRROR"
# Of an entry's origin. Contract section 6.
_NAMESPACE = uuid.UUID("6f2b1c52-3c0e-5d0b-9c4e-7a1f0c9d2e55")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ENTRIES = """
    SELECT f.code AS firm, d.code AS folder, e.entry_id, e.revision, e.state, e.event_id::text
    FROM entries e JOIN firms f ON f.id = e.firm_id JOIN folders d ON d.id = e.folder_id
    WHERE f.code = ANY(:firms)
"""


class Name(NamedTuple):
    """`firm` is the test's own."""

    firm: str
    folder: str
    entry_id: str
    revision: int

    def origin(self, firm: str) -> str:
        """Of the entry in Loop, for the firm or for its twin."""
        named = json.dumps([firm, *self[1:]], ensure_ascii=False, separators=(",", ":"))
        return str(uuid.uuid5(_NAMESPACE, named))


def twin_of(firm: str) -> str:
    """The code backwards: neither holds the other."""
    return firm[::-1]


@dataclass(slots=True)
class Mirror:
    """`loop` is the twins' domain of the simulator, `own_loop` the tests' own."""

    engine: Engine
    own_loop: SimulatorHandle
    loop: SimulatorHandle
    firms: set[str] = field(default_factory=set)
    # What the twins were given too.
    names: set[Name] = field(default_factory=set)

    def events(self, value: Any) -> Any:
        """Events, or names of entries, as their firms' twins send them; None: it names no firm."""
        if isinstance(value, list):
            found = [twin for one in value if (twin := self.events(one)) is not None]
            return found or None
        if not isinstance(value, dict) or not isinstance(firm := value.get("firm"), str):
            return None
        self._note(value, firm)
        twin = value | {"firm": twin_of(firm)}
        event_id = value.get("event_id")
        if isinstance(event_id, str) and _UUID.fullmatch(event_id):
            # The same event again is the same event of the twin's again.
            twin["event_id"] = str(uuid.uuid5(_NAMESPACE, event_id))
        return None if twin == value else twin

    def _note(self, event: Mapping[str, Any], firm: str) -> None:
        entry = event.get("entry")
        if isinstance(entry, dict):
            name = (firm, event.get("folder"), entry.get("id"), entry.get("revision"))
            if tuple(map(type, name)) == (str, str, str, int):
                self.names.add(Name(*name))

    def check(self) -> None:
        """Wait until the twins are through, then see that neither side shows in the other.

        Raises: AssertionError, TimeoutError.
        """
        until(self._differing, lambda found: not found, 120)
        own, twins = self._entries()
        self._check_books(twins)
        self._check_rows(own, twins)

    def _entries(self) -> tuple[dict[Name, Any], dict[Name, Any]]:
        """The rows of the tests' firms, and of their twins, by the names of the tests' firms."""
        return self._named({firm: firm for firm in self.firms}), self._named(
            {twin_of(firm): firm for firm in self.firms}
        )

    def _named(self, firms: Mapping[str, str]) -> dict[Name, Any]:
        with self.engine.connect() as connection:
            rows = connection.execute(text(_ENTRIES), {"firms": [*firms]}).mappings().all()
        return {
            Name(firms[row["firm"]], row["folder"], row["entry_id"], row["revision"]): row
            for row in rows
        }

    def _differing(self) -> list[tuple[Name, str | None, str | None]]:
        """Entries that the twin lacks, or alone has, or that are not where they should be."""
        own, twins = self._entries()
        found = []
        for name in (own.keys() & self.names) | twins.keys():
            state, twin = (side[name]["state"] if name in side else None for side in (own, twins))
            if None in {state, twin} or (twin != "synced" and _stage(twin) != _stage(state)):
                found.append((name, state, twin))
        return found

    def _check_books(self, twins: Mapping[Name, Any]) -> None:
        """Each entry of a twin is in its own domain once, with the lines that the firm's has."""
        books = _by_origin(self.loop.ledger())
        own_books = _by_origin(self.own_loop.ledger())
        origins = {name.origin(twin_of(name.firm)): name for name in twins}
        assert books.keys() <= origins.keys(), "nobody's entry in a twin's books"
        shown = own_books.keys() & origins.keys()
        assert not shown, f"{shown} in the other's books"
        for origin, name in origins.items():
            booked = books.get(origin, [])
            assert len(booked) == 1 or twins[name]["state"] != "synced", (name, booked)
            for one, other in zip(booked, own_books.get(name.origin(name.firm), []), strict=False):
                assert _content(one) == _content(other), name
        for loop, firms in ((self.own_loop, self.firms), (self.loop, map(twin_of, self.firms))):
            assert self._requests(firms) <= {one["request_id"] for one in loop.imports()}

    def _requests(self, firms: Iterable[str]) -> set[str]:
        with self.engine.connect() as connection:
            statement = (
                "SELECT i.request_id FROM imports i JOIN firms f ON f.id = i.firm_id "
                "WHERE f.code = ANY(:firms) AND i.request_id IS NOT NULL"
            )
            return {*connection.execute(text(statement), {"firms": [*firms]}).scalars()}

    def _check_rows(self, own: Mapping[Name, Any], twins: Mapping[Name, Any]) -> None:
        """No row of the one holds the other's code, events, origins or import requests."""
        codes = self.firms, {*map(twin_of, self.firms)}
        marks = [
            {row["event_id"] for row in rows.values()}
            | {name.origin(row["firm"]) for name, row in rows.items()}
            | self._requests(firms)
            for rows, firms in zip((own, twins), codes, strict=True)
        ]
        shown = 0
        for table in metadata.tables.values():
            if "firm_id" not in table.columns:
                continue
            statement = (
                f"SELECT f.code, t::text FROM {table.name} t JOIN firms f ON f.id = t.firm_id"  # noqa: S608
            )
            with self.engine.connect() as connection:
                rows = connection.execute(text(statement)).all()
            for firm, row in rows:
                for side in (0, 1):
                    if firm in codes[side]:
                        shown += 1
                        assert not marks[1 - side] & {*_UUID.findall(row)}, (table.name, row)
                        assert not any(code in row for code in codes[1 - side]), (table.name, row)
        assert shown or not own


def _stage(state: str | None) -> str | None:
    """Where a test stops its workers, one may have come further than the other."""
    return "on its way" if state in {"received", "waiting", "posting", "posted"} else state


def _by_origin(ledger: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in ledger:
        found.setdefault(entry["origin"], []).append(entry)
    return found


def _content(entry: Mapping[str, Any]) -> Any:
    """What an entry is about, apart from whose it is."""
    lines = [{**line, "ecritureOrigine": None} for line in entry["lines"]]
    return [entry[key] for key in ("folder", "journal", "date", "piece_ref")], lines
