"""An operator's acts on cases and entries: recorded, and none twice by accident (rule 19)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from passerelle.domain.errors import PasserelleError
from passerelle.domain.states import CaseState, Reason, State
from passerelle.store import acts
from passerelle.store.acts import Act, CaseRow, Parked
from passerelle.store.cases import close_case
from passerelle.store.revisions import settle
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
            RemediationError: there is no such case, it is closed, or nothing of it may be sent.
        """
        with self._engine.begin() as connection:
            case = _open(connection, case_id)
            refusal = _NOT_TO_BE_SENT.get(case.reason)
            if refusal is not None:
                raise RemediationError(f"Case {case_id} cannot be released. {refusal}")
            freed = _close(connection, case, Act.RELEASED, who, why)
            settle(connection, [entry for entry, _ in freed])
            left = acts.held(connection, case_id)
        return Released(len(freed), sorted({folder for _, folder in freed}), left)

    def dismiss(self, case_id: int, who: str, why: str) -> None:
        """Close a case on which no entry waits.

        Raises:
            RemediationError: there is no such case, it is closed, or entries wait on it.
        """
        with self._engine.begin() as connection:
            case = _open(connection, case_id)
            held = len(acts.held(connection, case_id))
            if held:
                raise RemediationError(
                    f"{held} entries wait on case {case_id}: `passerelle remediation show` tells "
                    "what cures it."
                )
            _close(connection, case, Act.DISMISSED, who, why)

    def retry(self, entry: int, who: str) -> int:
        """Send a parked entry again, its cause being mended; its folder.

        Raises:
            RemediationError: it is not parked, may be in Loop, or waits on more than itself.
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
            change = Change(State.RECEIVED, message=f"{who} retries it.")
            move(connection, [entry], {State.PARKED}, change)
            settle(connection, [entry])
            _close_if_empty(connection, parked, Act.RELEASED, who, None)
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
            _close_if_empty(connection, parked, Act.DISMISSED, who, why)


def _close(
    connection: Connection, case: CaseRow, act: Act, who: str, why: str | None
) -> list[tuple[int, int]]:
    """End a case by an act that is recorded; what it freed."""
    freed = close_case(connection, case.id, CaseState(act))
    acts.record(connection, case, act, who, why)
    return freed


def _close_if_empty(
    connection: Connection, parked: Parked, act: Act, who: str, why: str | None
) -> None:
    """A case that was about this entry, and holds no other, is over."""
    if not parked.holds and not acts.held(connection, parked.case.id):
        _close(connection, parked.case, act, who, why)


def _parked(connection: Connection, entry: int) -> Parked:
    """Locked, behind what its case holds."""
    parked = acts.lock_parked(connection, entry)
    if parked is None:
        raise RemediationError(f"Entry {entry} is not parked: nothing waits for a person.")
    if parked.open:
        raise RemediationError(
            f"Entry {entry} may be in Loop: look there, then `passerelle entry settle`."
        )
    return parked


def _open(connection: Connection, case_id: int) -> CaseRow:
    """The case, locked behind what it holds."""
    case = acts.lock_case(connection, case_id)
    if case is None:
        raise RemediationError(f"There is no case {case_id}.")
    if case.state is not CaseState.OPEN:
        raise RemediationError(f"Case {case_id} is {case.state} already.")
    return case
