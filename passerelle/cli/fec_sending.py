"""The entries of an FEC on their way: those that are here already are not sent again."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from passerelle.cli import deployment
from passerelle.cli.submission import Item, door, submit_all
from passerelle.fec.entries import REVISION, is_same_booking
from passerelle.store import queries

_LOOKED_UP = 500
"""Entries that the database is asked about at once."""


class Sending:
    """`unchanged` counts the entries that are here already, with other lettering or labels.

    They would be refused as another content of the same revision. `erased` counts those that are
    here and have nothing left to be compared with. Without a database nobody knows of them here,
    and intake tells.
    """

    def __init__(self, firm: str, folder: str, *, direct: bool) -> None:
        """Raises: SettingsError; PasserelleError, where the schema is another version's."""
        self._firm = firm
        self._folder = folder
        self._door = door(direct=direct)
        settings = deployment.settings()
        self._engine = deployment.runtime(settings).engine if settings.database_url else None
        self.unchanged = 0
        self.erased = 0

    @property
    def counts(self) -> dict[str, int]:
        return self._door.counts

    def send(self, events: Iterator[dict[str, Any]]) -> None:
        """Raises: PasserelleError: interrupted, or something does not answer."""
        items = (Item(json.dumps(event).encode(), event) for event in self._changed(events))
        submit_all(items, self._door, lambda _: None)

    def _changed(self, events: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        while part := list(islice(events, _LOOKED_UP)):
            known = self._known([event["entry"]["id"] for event in part])
            for event in part:
                entry = event["entry"]
                before = known.get(entry["id"], entry)
                if before is None:
                    self.erased += 1
                elif before != entry and is_same_booking(before, entry):
                    self.unchanged += 1
                else:
                    yield event

    def _known(self, entry_ids: list[str]) -> dict[str, Any]:
        if self._engine is None:
            return {}
        with queries.reading(self._engine) as connection:
            return queries.contents(connection, self._firm, self._folder, entry_ids, REVISION)
