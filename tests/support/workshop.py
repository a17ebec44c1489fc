"""The engine of sending on a test's own database: its use cases, and a Loop that does as told."""

import contextlib
import datetime as dt
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from cryptography.fernet import Fernet
from sqlalchemy import Engine, insert, text

from passerelle.asking import Asking, AskingTerms
from passerelle.delivery import Delivery, Terms, Ways
from passerelle.domain.firm_keys import FirmKeys
from passerelle.domain.limits import Limits
from passerelle.domain.nights import Night
from passerelle.domain.outcome import Answer, Sort
from passerelle.domain.states import Reason
from passerelle.domain.verdict import Row
from passerelle.followup import FollowUp, FollowUpTerms
from passerelle.healing import Healing
from passerelle.intake import Intake, TakenIn
from passerelle.lookup import Lookup
from passerelle.loop_api.client import Credentials, EntryFilter, Loop, Status
from passerelle.meter import Counted, Key, Meter
from passerelle.preflight import Preflight
from passerelle.probing import Probing
from passerelle.referentials import Referentials, RefreshTerms
from passerelle.registration import FolderTerms, Registration
from passerelle.restoring import Restoring
from passerelle.retention import Retention
from passerelle.settling import Settling
from passerelle.store import counts, figures
from passerelle.store.arrivals import encode
from passerelle.store.case_history import Act
from passerelle.store.cases import Cause, Ending, hold, refusal
from passerelle.store.deployment import refused_events
from passerelle.store.identity import confirmed
from passerelle.store.revisions import end_case
from passerelle.store.vault import Vault
from passerelle.supposing import Supposing
from passerelle.turns import Turns
from passerelle.upkeep import Bells, Upkeep
from schemas.loop import sent_moves, sent_place
from support.simulator import until

FIRM, FOLDER = "CABINET42", "DEMO000001"
LEASE_SECONDS = 60.0
NIGHT = Night(dt.time(21), dt.timedelta(hours=7))
_T = TypeVar("_T")


def accepted(request_id: str = "11111111-2222-3333-4444-555555555555") -> Answer:
    return Answer(Sort.ACCEPTED, "", 200, request_id=request_id)


AGAIN = Answer(Sort.AGAIN, "Loop could not be reached in time.", down=True)
THROTTLED = Answer(Sort.PAUSE, "Rate limit is exceeded.", 429, retry_after=57.0)
REFUSED = Answer(Sort.REFUSED, "le SIRET est invalide", 200)
UNKNOWN = Answer(Sort.UNKNOWN, "Loop did not answer in time.", down=True)
ACCESS_DENIED = Answer(Sort.PERSON, "n'a pas accès au dossier", 200, reason=Reason.ACCESS_DENIED)
KEYS_REFUSED = Answer(Sort.PERSON, "HTTP 401", 401, reason=Reason.CREDENTIALS_REFUSED)


class Stop(threading.Event):
    """Whether the process is to end, as the product is told; nobody waits, but it is noted."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout or 0.0)
        return self.is_set()


class DiedError(Exception):
    """What ends a delivery as `kill -9` would."""


class ToldLoop(Loop):
    """Gives the answers it was told, the last one for ever; `during` runs while a POST is out."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__("http://127.0.0.1:9", send_seconds=1, call_seconds=2)
        self.answers: list[Answer] = list(answers) or [accepted()]
        # To reads of folders, and of the firm's keys alone.
        self.folder: Answer = accepted()
        self.keys: Answer = accepted()
        self.statuses: list[Status | Answer] = [Status(3, "")]
        # By origin: what is always found; and what else is told, in order.
        self.books: dict[str, list[Row]] = {}
        self.found: list[list[Row] | Answer] = [[]]
        self.by_piece: list[Row] | Answer = []
        self.bodies: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.during: Callable[[], None] = lambda: None

    def post_import(self, credentials: Credentials, body: bytes, started: float) -> Answer:  # noqa: ARG002 Loop's
        self.bodies.append(json.loads(body))
        self.during()
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def import_status(self, credentials: Credentials, request_id: str) -> Status | Answer:  # noqa: ARG002 idem
        self.asked.append(request_id)
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    def read_folder(self, credentials: Credentials, folder: str) -> Answer:  # noqa: ARG002 idem
        self.asked.append(folder)
        return self.folder

    def try_keys(self, credentials: Credentials) -> Answer:  # noqa: ARG002 idem
        self.asked.append("keys")
        return self.keys

    def find_entries(
        self,
        credentials: Credentials,  # noqa: ARG002 idem
        folder: str,  # noqa: ARG002 idem
        wanted: EntryFilter,
    ) -> list[Row] | Answer:
        """Everything stands under its piece as not lettered."""
        if wanted.origin is None:
            if wanted.lettered or wanted.place is None:
                return []
            self.asked.append(wanted.place.piece)
            return self.by_piece
        self.asked.append(wanted.origin)
        known = self.books.get(wanted.origin)
        if known is not None:
            return known
        return self.found.pop(0) if len(self.found) > 1 else self.found[0]

    def pieces(self) -> list[list[str]]:
        """The piece of each entry of each POST, in order."""
        return [
            list(dict.fromkeys(line["refPiece"] for line in body["data"]["ecritures"]))
            for body in self.bodies
        ]


class HandMeter(Meter):
    """Hands over when it is told to, and not when the test's database may have gone."""

    def _begin(self) -> None:
        pass


class Workshop:
    """Seconds that the product would have waited are in `stop.waited`."""

    def __init__(
        self,
        engine: Engine,
        loop: Loop | None = None,
        *,
        lease_seconds: float = LEASE_SECONDS,
        gather_seconds: float = 0.0,
        batch_lines: int = 500,
        batch_bytes: int = 1_000_000,
        pace: tuple[float, float] = (1000.0, 1000.0),
        send_origin: bool = True,
        atomic: bool = False,
        first_samples: int = 0,
        verify: int = 0,
        chance: Callable[[], float] = lambda: 0.5,
        stop: Stop | None = None,
    ) -> None:
        self.engine = engine
        self._chance = chance
        self.told = loop if isinstance(loop, ToldLoop) else ToldLoop()
        self.loop = loop or self.told
        self.stop = stop or Stop()
        self.limits = Limits(
            description=35,
            auxiliary_code=17,
            reference=35,
            batch_lines=batch_lines,
            batch_bytes=batch_bytes,
        )
        self.terms = Terms(
            limits=self.limits,
            send_origin=send_origin,
            lease_seconds=lease_seconds,
            gather_seconds=gather_seconds,
        )
        self.vault = Vault([SECRET_KEY])
        self.registration = Registration(engine, self.vault)
        self.intake = Intake(engine, self.limits)
        self.supposing = Supposing(engine, self.limits, send_origin=send_origin)
        self.restoring = Restoring(engine, self.supposing)
        self.meter = HandMeter(self.store_figures)
        self.upkeep = Upkeep(engine, self.limits, self._chance, self.supposing, self.meter)
        self.retention = Retention(engine, 30, self.stop, self.meter)
        self._atomic = atomic
        terms = FollowUpTerms(lease_seconds, 60.0, first_samples, verify)
        self.turns = Turns(engine, pace, self.stop)
        self.followup = FollowUp(engine, self.loop, self.vault, self.turns, terms, self._chance)
        self.probing = Probing(engine, self.loop, self.vault, self.turns)
        self.delivery = self.another_delivery()
        self.referentials = self.another_referentials()
        self.healing = self.another_healing()
        self.settling = Settling(engine)
        self.asking = self.another_asking(self.loop)

    def store_figures(self, counted: Mapping[Key, Counted]) -> None:
        with self.engine.begin() as connection:
            figures.add(connection, counted)

    def another_delivery(
        self, loop: Loop | None = None, checkpoint: Callable[[str], None] = lambda _: None
    ) -> Delivery:
        loop = loop or self.loop
        preflight = Preflight(self.engine, loop, self.turns, 20.0, self._chance)
        return Delivery(
            self.engine,
            Ways(loop, self.lookup(loop), preflight),
            self.vault,
            self.turns,
            self.terms,
            self._chance,
            checkpoint,
        )

    def another_referentials(self, loop: Loop | None = None) -> Referentials:
        terms = RefreshTerms(self.terms.lease_seconds, NIGHT)
        return Referentials(
            self.engine, loop or self.loop, self.vault, self.turns, terms, self._chance
        )

    def another_healing(self, loop: Loop | None = None) -> Healing:
        return Healing(
            self.engine,
            loop or self.loop,
            self.vault,
            self.turns,
            self.terms.lease_seconds,
            self._chance,
        )

    def lookup(self, loop: Loop) -> Lookup:
        return Lookup(self.engine, loop, self.vault, self.turns)

    def another_asking(self, loop: Loop) -> Asking:
        terms = AskingTerms(
            ask_seconds=60.0,
            allowed_seconds=320.0,
            settle_seconds=3600.0,
            read_gap_seconds=60.0,
            max_attempts=3,
            atomic=self._atomic,
        )
        return Asking(self.engine, self.lookup(loop), terms, self._chance)

    def add_firm(self, code: str = FIRM, *folders: str) -> None:
        self.registration.add_firm(code, FirmKeys(f"key-{code}", "secret", "subscription"))
        for folder in folders or (FOLDER,):
            self.registration.add_folder(code, folder, FolderTerms())

    def prove(self) -> None:
        """Loop has lately done what it took, in each folder."""
        with self.engine.begin() as connection:
            assert confirmed(connection)
        self.execute(
            "INSERT INTO imports (firm_id, folder_id, answer, request_id, status, ended_at) "
            "SELECT firm_id, id, 'accepted', 'earlier', 3, now() FROM folders"
        )

    def submit(self, *events: object) -> TakenIn:
        return self.intake.take_in(events)

    def folder_id(self, code: str = FOLDER) -> int:
        found: int = self.row("SELECT id FROM folders WHERE code = :code", code=code)["id"]
        return found

    def deliver(self, code: str = FOLDER) -> int | None:
        return self.delivery.deliver(self.folder_id(code))

    def dies_at(self, step: str, code: str = FOLDER) -> None:
        """A delivery that ends without a word once it has come to this step."""

        def checkpoint(reached: str) -> None:
            if reached == step:
                raise DiedError

        with contextlib.suppress(DiedError):
            self.another_delivery(checkpoint=checkpoint).deliver(self.folder_id(code))

    def deliver_all(self) -> None:
        """Deliver until nothing is due. Raises RuntimeError: there is no end to it."""
        for _ in range(200):
            folders = self.rows("SELECT id FROM folders ORDER BY id")
            # A list: every folder has its turn.
            following = [self.delivery.deliver(row["id"]) for row in folders]
            if not any(following):
                return
        raise RuntimeError("always something due")

    def follow_up(self) -> None:
        """Ask about every import that has not ended, as if its time had come."""
        self.execute("UPDATE imports SET poll_at = now() WHERE poll_at IS NOT NULL")
        rows = self.rows("SELECT id FROM imports WHERE poll_at IS NOT NULL ORDER BY id")
        self.followup.follow_up([row["id"] for row in rows])

    def ask(self) -> None:
        """Ask about everything that Loop is to be asked about, as if its time had come."""
        self.execute("UPDATE entries SET due_at = now() WHERE state = 'uncertain'")
        self.execute("UPDATE entries SET read_again_at = now() WHERE read_again_at > now()")
        self.execute("UPDATE outages SET since = NULL")
        rows = self.rows(
            "SELECT id FROM entries WHERE state = 'uncertain' OR read_again_at IS NOT NULL "
            "ORDER BY id"
        )
        self.asking.ask([row["id"] for row in rows])

    def sweep(self) -> Bells:
        return self.upkeep.sweep()

    def heal(self) -> None:
        """What the sweep rings for of cases, and what their entries ask for, to the end of it.

        Raises RuntimeError: there is no end to it.
        """
        for _ in range(20):
            self.execute("UPDATE cases SET rung_at = NULL")
            cases = self.sweep().cases
            for case_id in cases.to_probe:
                self.healing.probe(case_id)
            for case_id in cases.over:
                self.healing.release(case_id)
            if not cases.to_probe and not cases.over:
                return
            self.deliver_all()
            self.follow_up()
        raise RuntimeError("always something to heal")

    def lose_lease(self) -> None:
        """What a delivery that takes too long meets: its lease has run out and upkeep has come."""
        self.leases_run_out()
        self.sweep()

    def leases_run_out(self) -> None:
        self.execute("UPDATE entries SET lease_until = now() WHERE state = 'posting'")
        self.execute("UPDATE folders SET lease_until = now() WHERE lease IS NOT NULL")

    def time_passes(self) -> None:
        """Whatever waits for a time is due."""
        self.execute("UPDATE entries SET due_at = now() - interval '1 s' WHERE due_at > now()")
        self.execute(
            "UPDATE firms SET next_turn_at = NULL, paused_until = least(paused_until, now())"
        )
        self.execute("UPDATE imports SET poll_at = now(), rung_at = NULL WHERE poll_at > now()")
        self.execute("UPDATE folders SET rung_at = NULL")
        self.execute("UPDATE cases SET rung_at = NULL, probe_at = now() WHERE state = 'open'")
        self.execute("UPDATE outages SET since = NULL, probe_at = NULL")

    def hours_pass(self) -> None:
        """Settling is over, and what was seen to be absent may be looked for once more."""
        self.execute("UPDATE imports SET settled_seconds = settled_seconds + 4000")
        self.execute("UPDATE attempts SET absent_at = absent_at - interval '61 s'")
        self.time_passes()

    def ask_for_hours(self) -> None:
        """Long enough to see twice that something is not there."""
        for _ in range(3):
            self.hours_pass()
            self.ask()

    def years_pass(self) -> None:
        """What is settled was settled long ago."""
        self.execute(
            "UPDATE entries SET due_at = due_at - interval '900 days' "
            "WHERE state IN ('synced', 'superseded', 'discarded')"
        )

    def forget(self) -> int:
        """Years pass, and contents are erased; of how many entries."""
        self.years_pass()
        return self.retention.erase()

    def rows(self, statement: str, **values: object) -> list[Mapping[str, Any]]:
        # Committed: behind a rollback psycopg forgets the statements that it has prepared.
        with self.engine.begin() as connection:
            return [dict(row) for row in connection.execute(text(statement), values).mappings()]

    def row(self, statement: str, **values: object) -> Mapping[str, Any]:
        [found] = self.rows(statement, **values)
        return found

    def execute(self, statement: str, **values: object) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def entry(self, number: int = 1, revision: int = 1) -> Mapping[str, Any]:
        """The row of `purchase(number, revision=revision)`."""
        return self.row(
            "SELECT * FROM entries WHERE entry_id = :entry_id AND revision = :revision",
            entry_id=f"ach-2026-{number:06}",
            revision=revision,
        )

    def state(self, number: int = 1, revision: int = 1) -> str:
        return str(self.entry(number, revision)["state"])

    def states(self) -> Counter[str]:
        """Entries by state; the same that people are told."""
        engine = self.engine.execution_options(isolation_level="REPEATABLE READ")
        with engine.connect() as connection:
            found = Counter(connection.execute(text("SELECT state FROM entries")).scalars())
            assert counts.by_state(connection) == found
        return found

    def attempts(self) -> list[str | None]:
        """How each attempt was closed, in order; None for an open one."""
        return [row["closed_as"] for row in self.rows("SELECT closed_as FROM attempts ORDER BY id")]

    def cases(self) -> list[tuple[str, str, str]]:
        """Scope, reason and state of every case, in order."""
        rows = self.rows("SELECT scope, reason, state FROM cases ORDER BY id")
        return [(row["scope"], row["reason"], row["state"]) for row in rows]

    def refused(self) -> list[str]:
        """The path of each fault of each refused event, in order."""
        rows = self.rows("SELECT errors FROM refused_events ORDER BY id")
        return [error["path"] for row in rows for error in row["errors"]]

    def wait_for_lock(self, sessions: int = 1) -> None:
        """Until so many sessions of this database wait for a lock."""
        until(
            lambda: self.row(
                "SELECT count(*) AS waiting FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )["waiting"],
            lambda waiting: waiting == sessions,
        )

    @contextlib.contextmanager
    def open_intake(self, *events: object) -> Iterator[None]:
        """An intake that has stored these events and commits when the block ends.

        It waits at its end, for a refused event that another transaction has.
        """
        body = encode(_BAD)
        with ThreadPoolExecutor(1) as pool:
            with self.engine.begin() as connection:
                connection.execute(
                    insert(refused_events).values(
                        content_hash=hashlib.sha256(body).digest(), body=body, errors=[]
                    )
                )
                taken = pool.submit(self.submit, *events, _BAD)
                self.wait_for_lock()
                yield
            taken.result(30)

    def cause(self, reason: Reason = Reason.ACCESS_DENIED, folder: str = FOLDER) -> Cause:
        """A hold's: of the firm for `credentials_refused`, else of the folder."""
        row = self.row("SELECT id, firm_id FROM folders WHERE code = :code", code=folder)
        return refusal(row["firm_id"], row["id"], reason, "non")

    def hold(self, reason: Reason = Reason.ACCESS_DENIED, folder: str = FOLDER) -> int:
        with self.engine.begin() as connection:
            return hold(connection, self.cause(reason, folder))

    @contextlib.contextmanager
    def opening_hold(self, reason: Reason = Reason.ACCESS_DENIED) -> Iterator[None]:
        """A hold whose transaction commits when the block ends."""
        with self.engine.begin() as connection:
            hold(connection, self.cause(reason))
            yield

    def release(self, case_id: int) -> None:
        with self.engine.begin() as connection:
            end_case(connection, case_id, Ending(Act.RELEASED))


def shown(lines: Sequence[Mapping[str, Any]], **changes: Any) -> list[Row]:
    """Lines of one entry as Loop shows them; `changes` where it has them otherwise."""
    kept = [{**line, **{key: changes[key] for key in changes if key in line}} for line in lines]
    place = sent_place(kept)
    return [
        Row(move, line["compte"], line.get("ecritureOrigine"), place)
        for move, line in zip(sent_moves(kept), kept, strict=True)
    ]


_BAD = {"no": "event"}
SECRET_KEY = Fernet.generate_key().decode()


def background(work: Callable[[], _T]) -> Future[_T]:
    """`work` in a thread of its own, begun now."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return future


def all_at_once(works: list[Callable[[], _T]]) -> list[_T]:
    """Run each in a thread of its own, begun together; what they gave."""
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[], _T]) -> _T:
        barrier.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))
