"""Following imports to their end: quickly at first, then ever slower (engine rules 14 and 15)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from passerelle.domain.backoff import A_DAY, poll_delay
from passerelle.domain.outcome import Answer, Outcome, of_status
from passerelle.domain.states import Reason, Scope, State
from passerelle.loop_api.client import Credentials, Loop, Status
from passerelle.observe import log
from passerelle.store.cases import Cause, heal, open_case
from passerelle.store.engine import transact
from passerelle.store.imports import (
    Import,
    Poll,
    apply,
    is_first,
    lock_import,
    poll_again,
    posted_of,
    take_poll,
    write_end,
)
from passerelle.store.pauses import LONGEST_WAIT
from passerelle.store.questions import read_back
from passerelle.store.unanswered import heed
from passerelle.store.vault import Vault
from passerelle.turns import READING, Turns

STUCK = "Loop has not ended this import for a day; its entries stay posted and are not sent again."
ENDED_BADLY = "Loop ended the import with an error and did not say why; its history tells more."


@dataclass(frozen=True, slots=True)
class FollowUpTerms:
    """How imports are followed; in seconds.

    `poll_seconds`: how long a poll may take before somebody else takes it over.
    `read_gap_seconds` after an import has failed its entries are read. Of what Loop calls done
    `first_samples` of a folder's first import are read, later one in `verify` imports (0: none).
    """

    poll_seconds: float
    read_gap_seconds: float
    first_samples: int
    verify: int


class FollowUp:
    def __init__(
        self,
        engine: Engine,
        loop: Loop,
        vault: Vault,
        turns: Turns,
        terms: FollowUpTerms,
        chance: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._loop = loop
        self._vault = vault
        self._turns = turns
        self._terms = terms
        self._chance = chance

    def follow_up(self, import_ids: Sequence[int]) -> None:
        """Ask Loop how far these imports are, each that is due, and record what it says."""
        for import_id in import_ids:
            with self._engine.begin() as connection:
                poll = take_poll(connection, import_id, self._terms.poll_seconds)
            if poll is None:
                continue
            said = self._ask(poll)
            if said is None:
                # Loop was not asked, so this is no poll.
                with self._engine.begin() as connection:
                    poll_again(connection, poll.id, poll.polls, None, LONGEST_WAIT)
            elif isinstance(said, Answer):
                self._no_status(poll, said)
            else:
                self._record(poll, said)

    def _ask(self, poll: Poll) -> Status | Answer | None:
        """None where the firm's requests have no turn free just now."""
        with self._turns.turn(poll.firm_id, READING) as granted:
            if not granted:
                return None
            credentials = Credentials.opened(poll, self._vault.open)
            return self._loop.import_status(credentials, poll.request_id)

    def _wait(self, poll: Poll, status: int | None) -> None:
        with self._engine.begin() as connection:
            polls = poll.polls + 1
            poll_again(connection, poll.id, polls, status, poll_delay(polls, self._chance()))
            if poll.open_seconds > A_DAY:
                open_case(connection, _stuck(poll))

    def _record(self, poll: Poll, status: Status) -> None:
        outcome = of_status(status.status, status.reason)
        message = status.message
        if not status.known:
            outcome = Outcome(State.UNCERTAIN)
        elif outcome is not None and outcome.to is State.UNCERTAIN:
            message = message or ENDED_BADLY
        with self._engine.begin() as connection:
            self._turns.answered(connection, poll.firm_id)
        if outcome is None:
            self._wait(poll, status.status)
            return
        settled = outcome

        def record(connection: Connection) -> None:
            request = lock_import(connection, poll.id)
            write_end(connection, poll.id, status.status, message)
            heal(connection, _stuck(poll))
            samples = self._samples(connection, request) if settled.to is State.SYNCED else []
            if samples:
                # What Loop calls done is believed when they were read.
                read_back(connection, samples)
            else:
                # Entries of an import that failed are read once, when that counts (rule 16).
                failed = status.known and settled.to is State.UNCERTAIN
                due_in = self._terms.read_gap_seconds if failed else 0.0
                apply(connection, request, settled, message, due_in=due_in)

        transact(self._engine, record, tries=20)
        log.info("import ended", import_id=poll.id, status=status.status, polls=poll.polls + 1)

    def _samples(self, connection: Connection, request: Import) -> list[int]:
        if is_first(connection, request):
            return spread(posted_of(connection, request), self._terms.first_samples)
        drawn = self._chance() * self._terms.verify
        if self._terms.verify == 0 or drawn >= 1:
            return []
        posted = posted_of(connection, request)
        return posted[int(drawn * len(posted)) :][:1]

    def _no_status(self, poll: Poll, answer: Answer) -> None:
        with self._engine.begin() as connection:
            heed(connection, poll.firm_id, poll.folder_id, answer, self._chance())
        self._wait(poll, None)


def spread(entries: Sequence[int], most: int) -> list[int]:
    """So many of them at most, at equal distances."""
    return list(entries[:: -(-len(entries) // most)]) if entries and most else []


def _stuck(poll: Poll) -> Cause:
    """An import that does not come to its end (rule 15): Loop's id of it tells it in Loop."""
    return Cause(
        Scope.FOLDER,
        poll.firm_id,
        poll.folder_id,
        Reason.IMPORT_STUCK,
        f"{STUCK} Its request id: {poll.request_id}",
        cause=f"import {poll.id}",
    )
