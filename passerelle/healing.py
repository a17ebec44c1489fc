"""Finding out whether a refusal is over, and letting go on what waited for it (engine rule 18).

A cheap read first; then one entry, whose end in Loop is the proof.
"""

import dataclasses
import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from passerelle.domain.backoff import probe_delay
from passerelle.domain.errors import PasserelleError
from passerelle.domain.outcome import Answer, Sort
from passerelle.domain.states import PROBED, UNSETTLED, CaseState, Reason, State
from passerelle.loop_api.client import Credentials, Loop
from passerelle.loop_api.refusals import recognise
from passerelle.observe import log
from passerelle.store import case_history, probes
from passerelle.store.acts import CaseRow, lock_case, lock_open_case
from passerelle.store.case_history import Act
from passerelle.store.cases import Ending, hold, refusal, replace
from passerelle.store.pauses import LONGEST_WAIT
from passerelle.store.probes import Probed
from passerelle.store.revisions import Freed, end_case, settle
from passerelle.store.transitions import Change, move
from passerelle.store.unanswered import heed
from passerelle.store.vault import Vault
from passerelle.turns import BUSY, READING, Turns

_TO_SEE = "Sent to see whether the refusal is over."
_IN_LOOP = "Entry {} was sent to see, and is in Loop."
_NOTHING_WAITS = "Loop refuses it no longer, and nothing waits that could be sent to see."
_EMPTIED = "Nothing waits on it any more."
_OTHERWISE = "{} What waited on case {} waits on case {} now: it is another reason."
_CLOSED = "The case was closed meanwhile."
_NONE_MAY_GO = "Loop refuses it no longer, but nothing of what waits may be sent yet."
# Another is sent only where the first may have been lost: an import may take hours.
_ON_ITS_WAY = UNSETTLED - {State.UNCERTAIN}


class HealingError(PasserelleError):
    """Loop cannot be asked about the case now."""


class Progress(enum.Enum):
    """What a probe has shown."""

    NOT_NOW = "Loop was not asked, or did not say."
    REFUSED = "It is not over."
    SENT = "An entry is on its way to see."
    HEALED = "It is over."


@dataclass(frozen=True, slots=True)
class Seen:
    """`message`: Loop's words where it refused or did not say. `folders` have something to do.

    `entry`: which was sent to see, and its `state`.
    """

    progress: Progress
    message: str = ""
    folders: Sequence[int] = ()
    entry: int | None = None
    state: State | None = None


class Healing:
    """`probe_seconds`: how long a read may take. `chance` gives numbers from 0 to 1."""

    def __init__(
        self,
        engine: Engine,
        loop: Loop,
        vault: Vault,
        turns: Turns,
        probe_seconds: float,
        chance: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._loop = loop
        self._vault = vault
        self._turns = turns
        self._probe_seconds = probe_seconds
        self._chance = chance

    def probe(self, case_id: int) -> Seen:
        """Ask Loop about a case, if it is time to."""
        with self._engine.begin() as connection:
            probed = probes.take(connection, case_id, self._probe_seconds, asked=False)
        return Seen(Progress.NOT_NOW) if probed is None else self._probe(probed)

    def probe_for(self, case_id: int, who: str) -> Seen:
        """Ask Loop about a case at once, because a person wants to know.

        Raises:
            CaseError: there is no such case, or it is closed.
            HealingError: Loop cannot be asked about it now.
        """
        with self._engine.begin() as connection:
            lock_open_case(connection, case_id)
            sent = probes.sent_to_see(connection, case_id)
            if sent is not None and sent.state in UNSETTLED:
                return Seen(Progress.SENT, entry=sent.entry, state=sent.state)
            probed = probes.take(connection, case_id, self._probe_seconds, asked=True)
            if probed is None:
                raise HealingError(
                    f"Loop cannot be asked about case {case_id} now: `passerelle remediation show` "
                    "tells what ends it, `passerelle status` whether Loop is down or another case "
                    "holds the firm."
                )
            case_history.record(connection, case_id, Act.PROBED, who)
        # Somebody is at it: for how long it was refused delays nothing any more.
        return self._probe(dataclasses.replace(probed, probes=0))

    def release(self, case_id: int) -> Sequence[int]:
        """Let go on what waits on a case, if what was sent to see is in Loop; heal it as well if
        nothing waits any more that it was about. The folders that have something to do.
        """
        with self._engine.begin() as connection:
            if not _is_open(lock_case(connection, case_id)):
                return ()
            if not probes.is_over(connection, case_id):
                return ()
            sent = probes.sent_to_see(connection, case_id)
            why = _EMPTIED if sent is None else _IN_LOOP.format(sent.entry)
            return _heal(connection, case_id, why).folders

    def _probe(self, probed: Probed) -> Seen:
        with self._turns.turn(probed.firm_id, READING) as granted:
            if not granted:
                self._put_off(probed, LONGEST_WAIT)
                return Seen(Progress.NOT_NOW, BUSY)
            answer = self._read(probed)
        if answer.sort is Sort.ACCEPTED:
            seen = self._let_through(probed)
        elif answer.reason in PROBED and (
            probed.folder is None or answer.reason is not Reason.CREDENTIALS_REFUSED
        ):
            seen = self._refused(probed, answer)
        else:
            with self._engine.begin() as connection:
                heed(connection, probed.firm_id, probed.folder_id, answer, self._chance())
            # What is paused or down is waited for anyway; what nobody understands is asked less.
            self._put_off(probed, self._delay(probed), counts=answer.sort is Sort.UNKNOWN)
            seen = Seen(Progress.NOT_NOW, answer.message)
        log.info("a case was probed", case=probed.id, reason=probed.reason, seen=seen.progress.name)
        return seen

    def _delay(self, probed: Probed) -> float:
        return probe_delay(probed.probes + 1, self._chance())

    def _put_off(self, probed: Probed, seconds: float, *, counts: bool = False) -> None:
        """In a transaction of its own: whoever closes the case locks what it holds before."""
        with self._engine.begin() as connection:
            probes.put_off(connection, probed.id, seconds, counts=counts)

    def _read(self, probed: Probed) -> Answer:
        credentials = Credentials.opened(probed, self._vault.open)
        if probed.folder is None:
            return self._loop.try_keys(credentials)
        return self._loop.read_folder(credentials, probed.folder)

    def _let_through(self, probed: Probed) -> Seen:
        """Loop reads: one entry shows whether it takes, too."""
        with self._engine.begin() as connection:
            self._turns.answered(connection, probed.firm_id)
            if not _is_open(lock_case(connection, probed.id)):
                return Seen(Progress.NOT_NOW, _CLOSED)
            sent = probes.sent_to_see(connection, probed.id)
            if sent is not None and sent.state is State.SYNCED:
                return _healed(connection, probed.id, _IN_LOOP.format(sent.entry))
            found = None
            if sent is None or sent.state not in _ON_ITS_WAY:
                found = probes.candidate(connection, probed.id)
            if found is not None:
                number, delay = probed.probes + 1, self._delay(probed)
                probes.send_to_see(connection, probed.id, found.entry, number, delay)
                change = Change(State.RECEIVED, message=_TO_SEE)
                move(connection, [found.entry], {State.PARKED}, change)
                settle(connection, [found.entry])
                return Seen(
                    Progress.SENT,
                    folders=[found.folder_id],
                    entry=found.entry,
                    state=State.RECEIVED,
                )
            if sent is None and not probes.holds_any(connection, probed.id):
                return _healed(connection, probed.id, _NOTHING_WAITS)
            probes.put_off(connection, probed.id, self._delay(probed), counts=True)
            if sent is None:
                return Seen(Progress.NOT_NOW, _NONE_MAY_GO)
            return Seen(Progress.SENT, entry=sent.entry, state=sent.state)

    def _refused(self, probed: Probed, answer: Answer) -> Seen:
        """As before, or for another reason: then this case is over, and another takes its place."""
        reason = answer.reason or probed.reason
        if recognise(answer.message).reason is None:
            # Words that are not known name no other reason.
            reason = probed.reason
        cause = refusal(probed.firm_id, probed.folder_id, reason, answer.message)
        with self._engine.begin() as connection:
            if not _is_open(lock_case(connection, probed.id)):
                return Seen(Progress.NOT_NOW, _CLOSED)
            number, delay = probed.probes + 1, self._delay(probed)
            probes.send_to_see(connection, probed.id, None, number, delay)
            # What it held and let through waits again.
            case_id = hold(connection, cause)
            if case_id == probed.id:
                return Seen(Progress.REFUSED, answer.message)
            replace(connection, probed.id, case_id, cause)
        told = _OTHERWISE.format(answer.message, probed.id, case_id)
        return Seen(Progress.REFUSED, told)


def _is_open(case: CaseRow | None) -> bool:
    return case is not None and case.state is CaseState.OPEN


def _heal(connection: Connection, case_id: int, why: str) -> Freed:
    log.info("a case is healed", case=case_id, why=why)
    return end_case(connection, case_id, Ending(Act.HEALED, why=why))


def _healed(connection: Connection, case_id: int, why: str) -> Seen:
    return Seen(Progress.HEALED, why, _heal(connection, case_id, why).folders)
