"""Delivering a folder's due entries: claim, mark, call, record (engine rules 1 to 8)."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, Engine

from passerelle import wire
from passerelle.domain.backoff import poll_delay
from passerelle.domain.batching import Size, first_batch
from passerelle.domain.event import Entry
from passerelle.domain.limits import Limits
from passerelle.domain.mapping import Destination, short_auxiliary
from passerelle.domain.outcome import Answer, Sort, of_post
from passerelle.domain.states import Reason, State
from passerelle.domain.verdict import count
from passerelle.lines import auxiliaries, chart_writings, entry_of, ready_of, uses_of
from passerelle.lookup import NO_TURN, Lookup
from passerelle.loop_api.client import Credentials, Loop
from passerelle.observe import log
from passerelle.preflight import Claimed, Preflight
from passerelle.store import claims
from passerelle.store.cases import collision, hold, of_entry, open_case, refusal
from passerelle.store.claims import Due, FolderRow, Ready
from passerelle.store.crashes import crashed
from passerelle.store.engine import transact
from passerelle.store.identity import went_back
from passerelle.store.imports import Import, apply, given_up, lock_import, write_answer
from passerelle.store.questions import Sent
from passerelle.store.registry import near_folder, register_folder
from passerelle.store.revisions import settle
from passerelle.store.transitions import Change, move
from passerelle.store.twins import Twins, twins_of
from passerelle.store.unanswered import back_off, heed
from passerelle.store.vault import Vault
from passerelle.turns import DELIVERING, Turns
from schemas.loop import encode_import, sent_moves, sent_place

_TWIN_SECONDS = 10.0
"""Until an entry is tried again whose twin is on its way."""

LATE_ANSWER = "Loop took it, but said so after it had been given up: it may be in Loop twice."


@dataclass(frozen=True, slots=True)
class Terms:
    """How deliveries are made; seconds, requests a second."""

    limits: Limits
    send_origin: bool
    lease_seconds: float
    # A lone entry goes at once; what comes close behind it goes together.
    gather_seconds: float


@dataclass(frozen=True, slots=True)
class Ways:
    """To Loop: requests; finding entries there; what is looked at before any is sent."""

    loop: Loop
    lookup: Lookup
    preflight: Preflight


@dataclass(frozen=True, slots=True)
class _Marked:
    """A request under its mark, `started` on the wire's clock."""

    import_id: int
    entries: Sequence[int]
    body: bytes
    started: float


class Delivery:
    """`chance` gives numbers from 0 to 1; `checkpoint` is called after each named step."""

    def __init__(
        self,
        engine: Engine,
        ways: Ways,
        vault: Vault,
        turns: Turns,
        terms: Terms,
        chance: Callable[[], float],
        checkpoint: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._engine = engine
        self._loop = ways.loop
        self._lookup = ways.lookup
        self._preflight = ways.preflight
        self._vault = vault
        self._turns = turns
        self._terms = terms
        self._chance = chance
        self._checkpoint = checkpoint
        # Firms of which a delivery found no turn free: whoever ends next rings for another folder.
        self._sent_away: set[int] = set()

    def deliver(self, folder_id: int) -> int | None:
        """Make one import request for the folder; the folder for which the next is worth it now."""
        lease = uuid.uuid4()
        seconds, lines = self._terms.lease_seconds, self._terms.limits.batch_lines
        with self._engine.begin() as connection:
            if went_back(connection):
                return None
            folder = claims.lease_folder(connection, folder_id, lease, seconds, lines)
            if folder is None:
                claims.heard(connection, folder_id)
                return None
        with self._turns.turn(folder.firm_id, DELIVERING) as granted:
            gather = self._request(folder, lease) if granted else None
        with self._engine.begin() as connection:
            claims.release_folder(connection, folder_id, lease, gather)
        if not granted:
            self._sent_away.add(folder.firm_id)
            return None
        # Looked at after the release: a bell that came before it found the folder taken.
        with self._engine.begin() as connection:
            if folder.firm_id in self._sent_away:
                self._sent_away.discard(folder.firm_id)
                return claims.next_folder(connection, folder.firm_id, lines)
            if gather is None or not claims.is_worth(connection, folder_id, lines):
                return None
            return folder_id

    def _request(self, folder: FolderRow, lease: uuid.UUID) -> float | None:
        """How many seconds entries gather for before the next request; behind what was only read
        they need not. None: the next is not worth making now.
        """
        credentials = Credentials.opened(folder, self._vault.open)
        if not folder.registered:
            # The POST needs a turn and a lease of its own: this read may have taken long.
            return self._register(folder, credentials)
        return self._send(folder, lease, credentials)

    def _register(self, folder: FolderRow, credentials: Credentials) -> float | None:
        """Ask Loop about a folder that only an event has named so far."""
        answer = self._loop.read_folder(credentials, folder.code)
        reason, message = answer.reason, answer.message
        with self._engine.begin() as connection:
            if answer.sort is Sort.ACCEPTED:
                self._turns.answered(connection, folder.firm_id)
                near = near_folder(connection, folder.firm_id, folder.code)
                if near is None:
                    register_folder(connection, folder.id)
                    return 0.0
                # Both came before either was registered (rule 21).
                reason = Reason.UNKNOWN_FOLDER
                message = f"No folder has this code, but one is registered as {near}."
            if reason is None:
                back_off(connection, folder.firm_id, answer, self._chance())
            else:
                hold(connection, refusal(folder.firm_id, folder.id, reason, message))
        return None

    def _send(self, folder: FolderRow, lease: uuid.UUID, credentials: Credentials) -> float | None:
        # What the request was made of is let go of before Loop is waited for, in as many threads
        # as there are.
        with self._turns.preparing():
            made = self._make(folder, lease, credentials)
        if not isinstance(made, _Marked):
            return made
        answer = self._loop.post_import(credentials, made.body, made.started)
        self._checkpoint("call")
        # What Loop said is worth waiting for the database.
        transact(
            self._engine,
            lambda connection: self._record(connection, made.import_id, answer),
            tries=20,
        )
        self._checkpoint("record")
        log.info(
            "import request answered",
            folder=folder.code,
            import_id=made.import_id,
            entries=made.entries,
            answer=answer.sort,
            request_id=answer.request_id,
        )
        return self._terms.gather_seconds

    def _make(
        self, folder: FolderRow, lease: uuid.UUID, credentials: Credentials
    ) -> _Marked | float | None:
        """A request under its mark; where there is none, what `_request` tells."""
        ready = self._claim_and_map(folder, lease, credentials)
        if not ready:
            return None if ready is None else 0.0
        body = _body(folder, ready)
        started = wire.now()
        with self._engine.begin() as connection:
            # Twins may have been counted since it was this delivery's turn: one call is all that a
            # process that is to stop has the time for.
            over = self._turns.are_over()
            import_id = None if over else claims.mark(connection, folder, lease, ready)
            if import_id is None:
                self._give_back(connection, lease, [one.entry for one in ready])
                return None
        self._checkpoint("mark")
        return _Marked(import_id, [one.entry for one in ready], body, started)

    def _claim_and_map(
        self, folder: FolderRow, lease: uuid.UUID, credentials: Credentials
    ) -> list[Ready] | None:
        """What is claimed and may go in one request; None where nothing was to be claimed."""
        terms = self._terms
        with self._engine.begin() as connection:
            dues = claims.claim(
                connection, folder.id, lease, terms.lease_seconds, terms.limits.batch_lines
            )
            codes = claims.auxiliary_loop_codes(
                connection, folder.firm_id, folder.id, auxiliaries(dues)
            )
            entries = {due.id: entry for due in dues if (entry := entry_of(due)) is not None}
            uses = {due.id: uses_of(due, entries[due.id]) for due in dues if due.id in entries}
            known = self._preflight.known(connection, folder.id, [*uses.values()])
        self._checkpoint("claim")
        used = {account for one in uses.values() for account in one.accounts}
        accounts = chart_writings(used, known.accounts)
        passing = self._preflight.passing(Claimed(folder, lease, dues, uses), known, credentials)
        mapped = self._map(folder, lease, passing, entries, codes, accounts)
        ready = self._fitting(folder, lease, mapped)
        if not terms.send_origin:
            ready = self._without_twins(folder, lease, ready)
        return ready if dues else None

    def _map(
        self,
        folder: FolderRow,
        lease: uuid.UUID,
        dues: Sequence[Due],
        entries: Mapping[int, Entry],
        codes: dict[str, str],
        accounts: dict[str, str],
    ) -> list[tuple[Ready, Size]]:
        """The lines to send; an entry that cannot be mapped is taken out and harms no other."""
        destination = Destination(
            firm=folder.firm_code,
            folder=folder.code,
            limits=self._terms.limits,
            send_origin=self._terms.send_origin,
            loop_codes=codes,
            accounts=accounts,
        )
        mapped = []
        for due in dues:
            collided = next((c for c in auxiliaries([due]) if c not in codes), None)
            if collided is not None:
                self._park_collision(folder, lease, due, collided)
                continue
            try:
                mapped.append(ready_of(due, destination, entries.get(due.id)))
            # A bug in mapping is this entry's alone; it is logged and counted, not swallowed.
            except Exception:  # noqa: BLE001 idem
                log.exception("mapping failed", entry=due.id)
                with self._engine.begin() as connection:
                    crashed(connection, [due.id], self._chance(), lease)
        return mapped

    def _fitting(
        self, folder: FolderRow, lease: uuid.UUID, mapped: list[tuple[Ready, Size]]
    ) -> list[Ready]:
        """What fits one request; the rest goes back for the next."""
        envelope = len(_body(folder, ()))
        fitting = first_batch([size for _, size in mapped], self._terms.limits, envelope=envelope)
        rest = [ready.entry for ready, _ in mapped[fitting:]]
        if rest:
            with self._engine.begin() as connection:
                self._give_back(connection, lease, rest)
        return [ready for ready, _ in mapped[:fitting]]

    def _without_twins(
        self, folder: FolderRow, lease: uuid.UUID, ready: Sequence[Ready]
    ) -> list[Ready]:
        """Of entries that Loop could not tell apart by piece one at a time goes, and how often such
        an entry is in Loop is counted before (rule 13).
        """
        with self._engine.begin() as connection:
            twins = twins_of(connection, folder.id, ready)
        chosen: dict[bytes, Ready] = {}
        wait: list[int] = []
        answers = True
        for one in ready:
            known = twins.get(one.entry)
            counted: Ready | None = one
            if one.twin_key in chosen or (known is not None and (known.open or not answers)):
                counted = None
            elif known is not None:
                counted = self._counted(folder, one, known)
                # Who did not say how many there are of one will not say it of the next.
                answers = counted is not None
            if counted is None:
                wait.append(one.entry)
            else:
                chosen[one.twin_key] = counted
        if wait:
            with self._engine.begin() as connection:
                self._give_back(connection, lease, wait, _TWIN_SECONDS)
        return list(chosen.values())

    def _counted(self, folder: FolderRow, one: Ready, twins: Twins) -> Ready | None:
        """With how many like it are in Loop; None where Loop did not say."""
        sent = Sent(folder.id, folder.code, one.lines, twins.origins)
        with self._turns.stepping_aside():
            found = self._lookup.find_piece(folder, sent)
        if isinstance(found, Answer):
            if found is not NO_TURN:
                with self._engine.begin() as connection:
                    heed(connection, folder.firm_id, folder.id, found, self._chance())
            return None
        times = count(sent_moves(one.lines), found, sent_place(one.lines), twins.origins)
        # Loop does not show all that it has, or somebody deleted what was there.
        known = times is not None and times >= twins.synced
        return replace(one, count_before=times if known else None)

    @staticmethod
    def _give_back(
        connection: Connection, lease: uuid.UUID, ids: list[int], due_in: float = 0.0
    ) -> None:
        """Claimed, but nothing was sent."""
        change = Change(State.WAITING, due_in=due_in)
        move(connection, ids, {State.POSTING}, change, held_lease=lease)
        settle(connection, ids)

    def _park_collision(self, folder: FolderRow, lease: uuid.UUID, due: Due, code: str) -> None:
        cause = collision(
            folder.firm_id, folder.id, code, short_auxiliary(code, self._terms.limits)
        )
        with self._engine.begin() as connection:
            case_id = open_case(connection, cause)
            change = Change(State.PARKED, cause.reason, cause.message, case_id)
            move(connection, [due.id], {State.POSTING}, change, held_lease=lease)
            settle(connection, [due.id])

    def _record(self, connection: Connection, import_id: int, answer: Answer) -> None:
        """Rule 4: the answer is written whatever became of the lease."""
        request = lock_import(connection, import_id)
        accepted = answer.sort is Sort.ACCEPTED
        poll_in = poll_delay(0, self._chance()) if accepted else None
        if not write_answer(connection, import_id, answer, poll_in):
            return
        if accepted:
            self._given_up(connection, request)
        outcome = of_post(answer, len(request.entries))
        delay = 0.0
        if outcome.pause:
            delay = back_off(connection, request.firm_id, answer, self._chance())
        elif answer.sort is not Sort.UNKNOWN:
            self._turns.answered(connection, request.firm_id)
        apply(connection, request, outcome, answer.message, due_in=delay)

    @staticmethod
    def _given_up(connection: Connection, request: Import) -> None:
        """Rule 4: what was taken for absent before this answer came may be in Loop twice."""
        for entry in given_up(connection, request.id):
            place = (request.firm_id, request.folder_id)
            open_case(connection, of_entry(*place, entry, Reason.LANDED_TWICE, LATE_ANSWER))


def _body(folder: FolderRow, ready: Sequence[Ready]) -> bytes:
    entries = (one.encoded for one in ready)
    return encode_import(folder.code, entries, create_accounts=folder.create_accounts)
