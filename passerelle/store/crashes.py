"""Runs that ended before the mark without a word."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from passerelle.domain.backoff import retry_delay
from passerelle.domain.states import Reason, Scope, State
from passerelle.store.cases import Cause, open_case
from passerelle.store.revisions import settle_revisions
from passerelle.store.transitions import Change, halves, move

CRASHES = 3
"""Runs of an entry alone that may end so; then it is parked `internal`."""

INTERNAL = "passerelle failed on this entry; its log holds the trace."


def crashed(connection: Connection, entries: Sequence[int], chance: float) -> None:
    """A run of these entries, all still `posting`, ended before the mark.

    Several are tried again in two halves, so that the one that ends the run is found without
    harm to the others; one alone is counted.
    """
    if len(entries) > 1:
        for ids, half in halves(entries):
            move(connection, ids, {State.POSTING}, Change(State.WAITING, half=half))
    else:
        for entry in entries:
            _count(connection, entry, chance)
    settle_revisions(connection, entries)


def _count(connection: Connection, entry: int, chance: float) -> None:
    row = connection.execute(
        text(
            "UPDATE entries SET crashes = crashes + 1 WHERE id = :entry "
            "RETURNING crashes, firm_id, folder_id"
        ),
        {"entry": entry},
    ).one()
    change = Change(State.WAITING, due_in=retry_delay(row.crashes, chance))
    if row.crashes >= CRASHES:
        cause = Cause(
            Scope.ENTRY, row.firm_id, row.folder_id, Reason.INTERNAL, INTERNAL, f"entry {entry}"
        )
        change = Change(State.PARKED, cause.reason, cause.message, open_case(connection, cause))
    move(connection, [entry], {State.POSTING}, change)
