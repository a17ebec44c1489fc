"""An operator's acts on cases and entries: recorded, and none twice by accident (rule 19)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from passerelle.domain.errors import PasserelleError
from passerelle.domain.states import Reason, State
from passerelle.store import acts
from passerelle.store.acts import Parked
from passerelle.store.case_history import Act
from passerelle.store.cases import Ending
from passerelle.store.revisions import end_case, settle
from passerelle.store.transitions import Change, move

_NOT_TO_BE_SENT = {
    Reason.UNKNOWN_FIRM: "Nothing can be sent for a firm without keys: `passerelle firm add`.",
    Reason.UNDECIDED: "It may be in Loop: look there, then `passerelle entry settle`.",
    Reason.LANDED_DIFFERENTLY: "It is in Loop: correct it there, then `passerelle entry settle`.",
    Reason.ALREADY_SYNCED: "An earlier revision is in Loop: this one would be booked beside it.",
    Reason.LANDED_TWICE: "Nothing waits on it: `passerelle remediation dismiss`.",
    Reason.IMPORT_STUCK: "Nothing waits on it; it heals with the import's end.",
}
"""Of these a release would send what may not be sent."""


class RemediationError(PasserelleError):
    """The case or entry is not to be treated so; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Released:
    """How many entries go on, in which folders; entries that stay, because they may be in Loop."""

    entries: int
    folders: Sequence[int]
    left: Sequence[int]


class Remediation:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def release(self, case_id: int, who: str, why: str | None) -> Released:
        """Close a case; what waits on it is sent again, in order and at the firm's pace.

        Raises:
            CaseError: there is no such case, or it is closed.
            RemediationError: nothing of it may be sent.
        """
        with self._engine.begin() as connection:
            case = acts.lock_open_case(connection, case_id)
            refusal = _NOT_TO_BE_SENT.get(case.reason)
            if refusal is not None:
                raise RemediationError(f"Case {case_id} cannot be released. {refusal}")
            freed = end_case(connection, case_id, Ending(Act.RELEASED, who, why))
            left = acts.held(connection, case_id)
        return Released(freed.entries, freed.folders, left)

    def dismiss(self, case_id: int, who: str, why: str) -> None:
        """Close a case on which no entry waits.

        Raises:
            CaseError: there is no such case, or it is closed.
            RemediationError: entries wait on it.
        """
        with self._engine.begin() as connection:
            acts.lock_open_case(connection, case_id)
            held = len(acts.held(connection, case_id))
            if held:
                raise RemediationError(
                    f"{held} entries wait on case {case_id}: `passerelle remediation show` tells "
                    "what cures it."
                )
            end_case(connection, case_id, Ending(Act.DISMISSED, who, why))

    def retry(self, entry: int, who: str, *, without_attachment: bool = False) -> int:
        """Send a parked entry again, its cause being mended; its folder.

        Without its attachment it stays until the hub sends another.

        Raises:
            RemediationError: it is not parked, may be in Loop, waits on more than itself, or has no
                attachment to go without.
        """
        with self._engine.begin() as connection:
            parked = _parked(connection, entry)
            refusal = _NOT_TO_BE_SENT.get(parked.reason)
            if refusal is not None:
                raise RemediationError(f"Entry {entry} cannot be sent again. {refusal}")
            if parked.holds:
                raise RemediationError(
                    f"Its whole {parked.scope} waits on case {parked.case.id}: "
                    f"`passerelle remediation release {parked.case.id}`."
                )
            told = f"{who} retries it."
            if without_attachment:
                if not acts.drop_attachment(connection, entry):
                    raise RemediationError(
                        f"Entry {entry} has no attachment: `passerelle entry retry` sends it as "
                        "it is."
                    )
                told = f"{who} sends it without its attachment."
            change = Change(State.RECEIVED, message=told, freed_by=parked.case.id)
            move(connection, [entry], {State.PARKED}, change)
            settle(connection, [entry])
            _end_if_empty(connection, parked, Ending(Act.RELEASED, who))
        return parked.folder_id

    def discard(self, entry: int, who: str, why: str) -> None:
        """Drop a parked entry for good.

        Raises:
            RemediationError: it is not parked, or may be in Loop.
        """
        with self._engine.begin() as connection:
            parked = _parked(connection, entry)
            change = Change(State.DISCARDED, parked.reason, f"{who} discards it: {why}")
            move(connection, [entry], {State.PARKED}, change)
            _end_if_empty(connection, parked, Ending(Act.DISMISSED, who, why))


def _end_if_empty(connection: Connection, parked: Parked, ending: Ending) -> None:
    """A case that was about this entry, and holds no other, is over."""
    if not parked.holds and not acts.held(connection, parked.case.id):
        end_case(connection, parked.case.id, ending)


def _parked(connection: Connection, entry: int) -> Parked:
    """Locked, behind what its case holds."""
    parked = acts.lock_parked(connection, entry)
    if parked is None:
        erased_on = acts.erased_on(connection, entry)
        told = "" if erased_on is None else f" Its contents were erased on {erased_on}."
        raise RemediationError(f"Entry {entry} is not parked: nothing waits for a person.{told}")
    if parked.open:
        raise RemediationError(
            f"Entry {entry} may be in Loop: look there, then `passerelle entry settle`."
        )
    return parked
