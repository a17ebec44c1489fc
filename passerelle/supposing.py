"""What may have been sent by what was lost gets an attempt of unknown outcome (engine rule 23).

Then it is asked for as anything else whose answer was lost, before anything of it is sent.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, Engine

from passerelle.domain.limits import Limits
from passerelle.domain.mapping import Destination, short_auxiliary
from passerelle.domain.states import Reason, State
from passerelle.lines import auxiliaries, chart_writings, entry_of, ready_of
from passerelle.observe import log
from passerelle.store import doubts
from passerelle.store.cases import of_entry, open_case
from passerelle.store.claims import Due, Ready, auxiliary_loop_codes
from passerelle.store.doubts import Place
from passerelle.store.engine import transact
from passerelle.store.referentials import accounts_alike
from passerelle.store.transitions import Change, move
from passerelle.store.twins import twins_of

UNMAPPED = (
    "The database went back, and what was lost may have sent this entry. passerelle fails on it "
    "and cannot look for it in Loop: look there and settle it by hand."
)
_TRIES = 5


class Supposing:
    def __init__(self, engine: Engine, limits: Limits, *, send_origin: bool) -> None:
        self._engine = engine
        self._limits = limits
        self._send_origin = send_origin

    def suppose(self) -> int:
        """Open an attempt for every entry in doubt that may have one by now; how many.

        Another revision or a twin that is on its way is asked for first: then it is for later.
        """
        with self._engine.begin() as connection:
            folders = doubts.folders_in_doubt(connection)
        return sum(self._of_folder(folder_id) for folder_id in folders)

    def _of_folder(self, folder_id: int) -> int:
        count, after = 0, 0

        def page(connection: Connection) -> tuple[int, int] | None:
            place = doubts.lock_place(connection, folder_id)
            dues = doubts.in_doubt(connection, folder_id, after)
            return (self._page(connection, place, dues), dues[-1].id) if dues else None

        while (done := transact(self._engine, page, tries=_TRIES)) is not None:
            count, after = count + done[0], done[1]
        if count:
            log.warning(
                "entries may have been sent by what was lost", folder=folder_id, count=count
            )
        return count

    def _page(self, connection: Connection, place: Place, dues: Sequence[Due]) -> int:
        """Of the revisions of an entry one at a time."""
        first = {due.entry_id: due for due in reversed(dues)}
        mapped = self._map(connection, place, list(first.values()))
        ready = self._without_twins(connection, place, [one for one in mapped if one.lines])
        unmapped = [one for one in mapped if not one.lines]
        if ready or unmapped:
            doubts.suppose(connection, place, [*ready, *unmapped])
        for one in unmapped:
            cause = of_entry(place.firm_id, place.id, one.entry, Reason.UNDECIDED, UNMAPPED)
            change = Change(State.PARKED, cause.reason, cause.message, open_case(connection, cause))
            move(connection, [one.entry], {State.UNCERTAIN}, change)
        return len(ready) + len(unmapped)

    def _map(self, connection: Connection, place: Place, dues: Sequence[Due]) -> list[Ready]:
        """The lines that would be sent; none where that cannot be told."""
        codes = auxiliaries(dues)
        entries = [entry for entry in map(entry_of, dues) if entry is not None]
        used = {line.account for entry in entries for line in entry.lines}
        short = {code: short_auxiliary(code, self._limits) for code in codes}
        destination = Destination(
            firm=place.firm_code,
            folder=place.code,
            limits=self._limits,
            send_origin=self._send_origin,
            # A code that collides has none of its own yet.
            loop_codes=short | auxiliary_loop_codes(connection, place.firm_id, place.id, codes),
            accounts=chart_writings(used, accounts_alike(connection, place.id, used)),
        )
        mapped = []
        for due in dues:
            try:
                mapped.append(ready_of(due, destination)[0])
            # As in delivery: a bug in mapping is this entry's alone.
            except Exception:  # noqa: BLE001 idem
                log.exception("mapping failed", entry=due.id)
                key = f"entry {due.id}".encode()
                mapped.append(Ready(due.id, due.entry_id, b"[]", [], key))
        return mapped

    def _without_twins(
        self, connection: Connection, place: Place, ready: Sequence[Ready]
    ) -> list[Ready]:
        """Of entries that Loop could not tell apart one at a time (rule 13)."""
        if self._send_origin:
            return list(ready)
        twins = twins_of(connection, place.id, ready)
        chosen: dict[bytes, Ready] = {}
        for one in ready:
            known = twins.get(one.entry)
            if known is None or not known.open:
                chosen.setdefault(one.twin_key, one)
        return list(chosen.values())
