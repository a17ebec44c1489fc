"""Taking events in: one transaction for many, a verdict for each, nothing lost.

A message is acknowledged after this has committed; what is refused is kept whole with its reasons.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from passerelle.domain.arrival import EVENT_CHANGED, Arrival, Verdict, compare
from passerelle.domain.event import Event, Fault
from passerelle.domain.fingerprint import entry_fingerprint, event_fingerprint
from passerelle.domain.limits import Limits
from passerelle.domain.mapping import auxiliary_code, short_auxiliary
from passerelle.domain.states import Reason, Scope, State
from passerelle.observe import log
from passerelle.store import arrivals, registry
from passerelle.store.arrivals import Refused, encode
from passerelle.store.cases import Cause, Hold, collision, hold, hold_of, open_case
from passerelle.store.doubts import doubt_arrivals
from passerelle.store.engine import transact
from passerelle.store.registry import Place
from passerelle.store.revisions import settle
from passerelle.store.transitions import Change, move, open_attempts
from schemas.event import build, faults

MANY = 1000
"""Events in one `entries.submit_many`, at most."""

FAILED = "passerelle failed on this event and has kept it: retry it after an upgrade."

ANOTHER_LINK = "The hub has sent another link to its document."

_TRIES = 5


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What became of the events; `folders` are those whose deliveries have something to do."""

    new: int = 0
    known: int = 0
    refused: int = 0
    folders: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class _Arriving:
    raw: dict[str, Any]
    event: Event
    event_print: bytes
    entry_print: bytes


@dataclass(frozen=True, slots=True)
class _Placed:
    """An event beside its firm and folder, which are locked."""

    arriving: _Arriving
    firm: Place
    folder: Place

    @property
    def event(self) -> Event:
        return self.arriving.event

    @property
    def name(self) -> arrivals.Name:
        return self.firm.id, self.folder.id, self.event.entry.id

    def auxiliaries(self) -> list[str]:
        """Its normalised auxiliary codes."""
        lines = self.event.entry.lines
        return [auxiliary_code(one.auxiliary.code) for one in lines if one.auxiliary is not None]

    def auxiliary(self, code: str) -> arrivals.Auxiliary:
        return self.firm.id, self.folder.id, code


@dataclass(slots=True)
class _Tally:
    """What one transaction has done so far."""

    new: int = 0
    known: int = 0
    refused: list[Refused] = field(default_factory=list)
    entries: list[int] = field(default_factory=list)
    folders: set[int] = field(default_factory=set)

    def refuse(self, arriving: _Arriving, fault: Fault) -> None:
        self.refused.append(Refused.of(encode(arriving.raw), [fault], arriving.raw))


class Intake:
    def __init__(self, engine: Engine, limits: Limits) -> None:
        self._engine = engine
        self._limits = limits

    def take_in(self, raws: Sequence[object]) -> TakenIn:
        """Take events in, in order; a bad one does not harm its neighbours.

        Raises:
            OperationalError: the database is away; nothing was taken in, ask again.
        """
        try:
            return self._take_in(raws)
        except OperationalError:
            raise
        # A bug, or something that the database does not take: find the event and keep it.
        except Exception:  # noqa: BLE001 idem
            if len(raws) == 1:
                log.exception("taking in failed")
                return self.refuse(encode(raws[0]), FAILED, raws[0])
        parts = [self.take_in([raw]) for raw in raws]
        return TakenIn(
            new=sum(part.new for part in parts),
            known=sum(part.known for part in parts),
            refused=sum(part.refused for part in parts),
            folders=frozenset().union(*(part.folders for part in parts)),
        )

    def _take_in(self, raws: Sequence[object]) -> TakenIn:
        refused: list[Refused] = []
        arriving: list[_Arriving] = []
        for raw in raws:
            found = faults(raw)
            if found or not isinstance(raw, dict):
                refused.append(Refused.of(encode(raw), found, raw))
                continue
            event = build(raw)
            arriving.append(
                _Arriving(raw, event, event_fingerprint(event), entry_fingerprint(event.entry))
            )
        tally = self._store(arriving, refused)
        if tally.entries:
            log.info("events were taken in", entries=tally.entries)
        return TakenIn(
            new=tally.new,
            known=tally.known,
            refused=len(tally.refused) + len(refused),
            folders=frozenset(tally.folders),
        )

    def take_in_many(self, raws: object) -> TakenIn:
        """`take_in` for a list of at most `MANY`; anything else is one refused event."""
        if not isinstance(raws, list):
            return self.refuse(encode(raws), "Expected a list of events.")
        if len(raws) > MANY:
            return self.refuse(
                encode(raws), f"Expected at most {MANY} events in a message, found {len(raws)}."
            )
        return self.take_in(raws)

    def refuse(self, body: bytes, message: str, raw: object = None) -> TakenIn:
        """Keep a message that is no event at all, as a refused event with its raw body; `raw` is
        what the body says, where it may be an event.
        """
        with self._engine.begin() as connection:
            arrivals.keep_refused(connection, [Refused.of(body, [Fault("", message)], raw)])
        return TakenIn(refused=1)

    def _store(self, arriving: list[_Arriving], refused: list[Refused]) -> _Tally:
        def store(connection: Connection) -> _Tally:
            tally = _Tally()
            self._arrive(connection, arriving, tally)
            arrivals.keep_refused(connection, [*refused, *tally.refused])
            return tally

        # Another intake may take in the same entry at the same time: the next try sees its rows.
        return transact(self._engine, store, tries=_TRIES)

    def _arrive(self, connection: Connection, arriving: Sequence[_Arriving], tally: _Tally) -> None:
        # An event id that comes with two contents in one message: the second is weighed when the
        # first was taken in or refused.
        rest = list(arriving)
        while rest:
            seen = arrivals.seen_events(connection, {one.event.event_id for one in rest})
            first: dict[uuid.UUID, _Arriving] = {}
            later: list[_Arriving] = []
            for one in rest:
                before = first.setdefault(one.event.event_id, one)
                if before is not one and before.event_print != one.event_print:
                    later.append(one)
                elif before is not one or seen.get(one.event.event_id) == one.event_print:
                    tally.known += 1
                elif one.event.event_id in seen:
                    tally.refuse(one, EVENT_CHANGED)
            self._take(connection, [one for id_, one in first.items() if id_ not in seen], tally)
            rest = later

    def _take(self, connection: Connection, fresh: Sequence[_Arriving], tally: _Tally) -> None:
        firms = self._places(connection, {one.event.firm for one in fresh}, None)
        folders = {
            code: self._places(
                connection, {one.event.folder for one in fresh if one.event.firm == code}, firm.id
            )
            for code, firm in sorted(firms.items())
            if isinstance(firm, Place)
        }
        placed: list[_Placed] = []
        for one in fresh:
            firm = firms[one.event.firm]
            if isinstance(firm, Fault):
                tally.refuse(one, firm)
                continue
            folder = folders[one.event.firm][one.event.folder]
            if isinstance(folder, Fault):
                tally.refuse(one, folder)
                continue
            placed.append(_Placed(one, firm, folder))
        _Arrivals(connection, self._limits, tally).arrive(placed)

    @staticmethod
    def _places(
        connection: Connection, codes: set[str], firm_id: int | None
    ) -> dict[str, Place | Fault]:
        """Firms (or folders of a firm), locked; made where new, refused where nearly equal."""

        def lock(these: Iterable[str]) -> dict[str, Place]:
            if firm_id is None:
                return registry.lock_firms(connection, list(these))
            return registry.lock_folders(connection, firm_id, list(these))

        def near(code: str) -> str | None:
            if firm_id is None:
                return registry.near_firm(connection, code)
            return registry.near_folder(connection, firm_id, code)

        found: dict[str, Place | Fault] = dict(lock(codes))
        word = "firm" if firm_id is None else "folder"
        for code in codes:
            place = found.get(code)
            if isinstance(place, Place) and place.registered:
                continue
            registered = near(code)
            if registered is not None:
                found[code] = Fault(
                    f"/{word}", f"No {word} has this code, but one is registered as {registered}."
                )
        missing = codes - found.keys()
        if missing:
            registry.add_codes(connection, sorted(missing), firm_id)
            found |= lock(missing)
        return found


class _Arrivals:
    """What comes into known folders, of whatever firms, within a transaction."""

    def __init__(self, connection: Connection, limits: Limits, tally: _Tally) -> None:
        self._connection = connection
        self._limits = limits
        self._tally = tally
        self._holds: dict[int, Hold] = {}
        # The cases of firms that nobody has registered.
        self._unknown: dict[int, int] = {}

    def arrive(self, arriving: Sequence[_Placed]) -> None:
        # An entry that comes twice in one message is weighed against its own first arrival, so
        # that one has to be a row by then.
        rest = list(arriving)
        while rest:
            round_: list[_Placed] = []
            later: list[_Placed] = []
            names: set[arrivals.Name] = set()
            for one in rest:
                (later if one.name in names else round_).append(one)
                names.add(one.name)
            self._round(round_, names)
            rest = later

    def _round(self, arriving: list[_Placed], names: set[arrivals.Name]) -> None:
        revisions = arrivals.lock_revisions(self._connection, names)
        news: list[tuple[_Placed, Arrival]] = []
        for one in arriving:
            known = revisions.get(one.name, ())
            arrival = compare(one.event.entry.revision, one.arriving.entry_print, known)
            if arrival.fault is not None:
                self._tally.refuse(one.arriving, arrival.fault)
            elif arrival.same is not None:
                self._known(one, arrival.same.id)
            else:
                news.append((one, arrival))
        self._insert(news)

    def _known(self, one: _Placed, entry: int) -> None:
        self._tally.known += 1
        attachment = one.arriving.raw["entry"].get("attachment")
        event = one.event
        cured = arrivals.replace_attachment(self._connection, entry, attachment, event.occurred_at)
        arrivals.insert_event(
            self._connection, event.event_id, one.arriving.event_print, one.firm.id, entry
        )
        if cured:
            self._go_on(one.folder, entry)

    def _go_on(self, folder: Place, entry: int) -> None:
        """Its case stays open: whoever closes one locks it before its entries, and this is locked.

        So nothing of the case is named here either, which would lock it, too.
        """
        change = Change(State.RECEIVED, message=ANOTHER_LINK)
        move(self._connection, [entry], {State.PARKED}, change)
        settle(self._connection, [entry])
        self._ring(folder)

    def _insert(self, news: list[tuple[_Placed, Arrival]]) -> None:
        if not news:
            return
        collided = self._register_auxiliaries([one for one, _ in news])
        rows = [self._row(one, arrival, collided) for one, arrival in news]
        ids = arrivals.insert_entries(self._connection, rows)
        doubt_arrivals(self._connection, ids)
        older = [id_ for _, arrival in news for id_ in arrival.replaces]
        if older:
            gone = sorted(set(older) - open_attempts(self._connection, older))
            unsent = {State.RECEIVED, State.WAITING, State.PARKED}
            move(self._connection, gone, unsent, Change(State.SUPERSEDED))
        if any(arrival.already_synced for _, arrival in news):
            settle(self._connection, ids)
        self._tally.new += len(ids)
        self._tally.entries += ids
        for (one, _), row in zip(news, rows, strict=True):
            if row.state is State.RECEIVED:
                self._ring(one.folder)

    def _ring(self, folder: Place) -> None:
        if not folder.busy:
            self._tally.folders.add(folder.id)

    def _hold(self, one: _Placed) -> Hold | None:
        """The case that holds whatever arrives there, if any."""
        firm, folder = one.firm, one.folder
        case_id = folder.held_by if firm.held_by is None else firm.held_by
        if case_id is None:
            if firm.registered:
                return None
            case_id = self._unknown_firm(firm)
        if case_id not in self._holds:
            self._holds[case_id] = hold_of(self._connection, case_id)
        return self._holds[case_id]

    def _unknown_firm(self, firm: Place) -> int:
        if firm.id not in self._unknown:
            message = f"No firm {firm.code} is registered: passerelle firm add."
            cause = Cause(Scope.FIRM, firm.id, None, Reason.UNKNOWN_FIRM, message)
            self._unknown[firm.id] = hold(self._connection, cause)
        return self._unknown[firm.id]

    def _register_auxiliaries(self, arriving: Sequence[_Placed]) -> set[arrivals.Auxiliary]:
        codes = {
            one.auxiliary(code): short_auxiliary(code, self._limits)
            for one in arriving
            for code in one.auxiliaries()
        }
        return arrivals.register_auxiliaries(self._connection, codes)

    def _row(
        self, one: _Placed, arrival: Arrival, collided: set[arrivals.Auxiliary]
    ) -> arrivals.NewEntry:
        event = one.event
        state, reason, message, case_id = State.RECEIVED, None, None, None
        if arrival.verdict is Verdict.OUTDATED:
            state = State.SUPERSEDED
        elif (held := self._hold(one)) is not None:
            state, reason = State.PARKED, held.reason
            message, case_id = held.message, held.case_id
        else:
            for code in one.auxiliaries():
                if one.auxiliary(code) in collided:
                    short = short_auxiliary(code, self._limits)
                    cause = collision(one.firm.id, one.folder.id, code, short)
                    state, reason, message = State.PARKED, cause.reason, cause.message
                    case_id = open_case(self._connection, cause)
                    break
        return arrivals.NewEntry(
            firm_id=one.firm.id,
            folder_id=one.folder.id,
            entry_id=event.entry.id,
            revision=event.entry.revision,
            event_id=event.event_id,
            occurred_at=event.occurred_at,
            entry=one.arriving.raw["entry"],
            fingerprint=one.arriving.entry_print,
            event_fingerprint=one.arriving.event_print,
            line_count=len(event.entry.lines),
            state=state,
            reason=reason,
            message=message,
            case_id=case_id,
        )
