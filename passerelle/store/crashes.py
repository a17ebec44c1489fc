"""Runs that ended before the mark without a word."""

import uuid
from collections.abc import Sequence

from sqlalchemy import Connection, text

from passerelle.domain.backoff import retry_delay
from passerelle.domain.states import Reason, State
from passerelle.store.cases import of_entry, open_case
from passerelle.store.revisions import settle
from passerelle.store.transitions import Change, halves, move

CRASHES = 3
"""Runs of an entry alone that may end so; then it is parked `internal`."""

INTERNAL = "passerelle failed on this entry; its log holds the trace."


def crashed(
    connection: Connection, entries: Sequence[int], chance: float, lease: uuid.UUID | None = None
) -> None:
    """A run of these entries ended before the mark; with `lease`, if they are still its own.

    Several are tried again in two halves, so that the one that ends the run is found without
    harm to the others; one alone is counted.
    """
    if len(entries) > 1:
        for ids, half in halves(entries):
            change = Change(State.WAITING, half=half)
            move(connection, ids, {State.POSTING}, change, held_lease=lease)
    else:
        for entry in entries:
            _count(connection, entry, chance, lease)
    settle(connection, entries)


def _count(connection: Connection, entry: int, chance: float, lease: uuid.UUID | None) -> None:
    row = connection.execute(
        text(
            "UPDATE entries SET crashes = crashes + 1 WHERE id = :entry AND state = 'posting' "
            "AND lease = coalesce(:lease, lease) RETURNING crashes, firm_id, folder_id"
        ),
        {"entry": entry, "lease": lease},
    ).one_or_none()
    if row is None:
        return
    change = Change(State.WAITING, due_in=retry_delay(row.crashes, chance))
    if row.crashes >= CRASHES:
        cause = of_entry(row.firm_id, row.folder_id, entry, Reason.INTERNAL, INTERNAL)
        change = Change(State.PARKED, cause.reason, cause.message, open_case(connection, cause))
    move(connection, [entry], {State.POSTING}, change, held_lease=lease)
