"""An operator's word on what nobody else can tell (engine rule 19)."""

from sqlalchemy import Engine, text

from passerelle.domain.errors import PasserelleError
from passerelle.domain.outcome import DONE
from passerelle.domain.states import Closing, State
from passerelle.store.case_history import Act
from passerelle.store.cases import Ending, close_case, lock_held
from passerelle.store.doubts import believe
from passerelle.store.imports import end_if_read, lock_import
from passerelle.store.questions import close_attempts, undecided_in
from passerelle.store.revisions import settle
from passerelle.store.transitions import Change, move


class SettlingError(PasserelleError):
    """There is nothing to settle."""


class Settling:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def settle(self, entry: int, *, in_loop: bool, who: str, why: str) -> set[int]:
        """Close the entry's open attempt by a person's word; the folders that may go on by it.

        An entry in Loop is `synced`; one that is not has its turn again. Its case is released with
        the last of its entries whose end was not known, and whatever else it held goes on.

        Raises:
            SettlingError: it has no open attempt, or is being sent just now.
        """
        with self._engine.begin() as connection:
            row = connection.execute(_OPEN, {"entry": entry}).one_or_none()
            if row is None:
                raise SettlingError(
                    f"Entry {entry} has no open attempt: what became of it is known."
                )
            before = State(row.state)
            if before is State.POSTING:
                raise SettlingError(f"Entry {entry} is being sent just now: wait for the answer.")
            if row.case_id is not None:
                lock_held(connection, row.case_id)
            close_attempts(connection, [entry], row.import_id, Closing.SETTLED)
            believe(connection, entry)
            told = "in Loop" if in_loop else "not in Loop"
            change = Change(
                _after(before, in_loop=in_loop),
                message=f"{who} says that it is {told}: {why}",
                import_id=row.import_id,
            )
            move(connection, [entry], {before}, change)
            freed = []
            if row.case_id is not None and not undecided_in(connection, row.case_id):
                freed = close_case(connection, row.case_id, Ending(Act.RELEASED, who, why))
            settle(connection, [entry, *(one for one, _ in freed)])
            if before is State.POSTED and row.status == DONE:
                # It was the sample that the others waited for.
                end_if_read(connection, lock_import(connection, row.import_id))
        return {row.folder_id, *(folder for _, folder in freed)}


# The import is locked first, as by whoever records an answer to it.
_OPEN = text("""
SELECT i.id AS import_id, i.status, e.state, e.case_id, e.folder_id
FROM attempts a JOIN imports i ON i.id = a.import_id JOIN entries e ON e.id = a.entry
WHERE a.entry = :entry AND a.closed_as IS NULL
FOR UPDATE OF i
""")


def _after(before: State, *, in_loop: bool) -> State:
    if in_loop:
        return State.SYNCED
    return State.RECEIVED if before is State.PARKED else State.WAITING
