"""One trial: real workers under every fault and many kills; then peace, and a look at the books."""

import contextlib
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from operator import le

from sqlalchemy import text

from chaos.elsewhere import elsewhere
from chaos.incidents import Incidents
from chaos.plan import DELIVERIES, UPKEEP, Incident, Kill, Plan, Slice
from chaos.story import story_of
from chaos.told import untrue
from chaos.verdict import wrongs
from passerelle.registration import FolderTerms
from passerelle.store.case_history import Act
from passerelle.store.cases import Ending
from passerelle.store.outbox_models import Audience
from passerelle.store.revisions import end_case
from support.broker import running_broker
from support.raw_server import response
from support.receiver import SECRET, TAKEN, Receiver, receiving
from support.servers import Servers
from support.simulator import until
from support.stack import QUICK, Stack, running_stack

_SETTINGS = QUICK | {
    "PASSERELLE_VERIFY": "1",
    "PASSERELLE_PACE_START": "50",
    "PASSERELLE_PACE_MAX": "50",
    "PASSERELLE_WEBHOOK_NETWORKS": "127.0.0.0/8",
}
_NOT_TAKEN = (
    response("500 Internal Server Error"),
    response("413 Content Too Large"),
    b"\x00 garbage\r\n\r\n",
)
_PATIENCE = 240.0
_FAULTY_SECONDS = 20.0
_TOLD = 5
_NUDGE_SECONDS = 2.0
_OPEN_STATES = "('received', 'waiting', 'posting', 'posted', 'uncertain')"


@dataclass(slots=True)
class Result:
    """`fired` counts the faults that were injected; `wrong` are stories, none where all is well."""

    seed: int
    entries: int = 0
    synced: int = 0
    parked: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    stops: int = 0
    incidents: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    released: int = 0
    fired: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def line(self) -> str:
        parked = " ".join(f"{reason} {count}" for reason, count in sorted(self.parked.items()))
        phases = " ".join(f"{phase} {seconds:.0f}" for phase, seconds in self.seconds.items())
        return (
            f"seed {self.seed}: {self.entries} entries, {self.synced} synced, "
            f"{self.parked.total()} parked ({parked}), {self.kills} kills, {self.stops} stops, "
            f"{self.incidents.total()} incidents, "
            f"{self.requests} requests, {self.released} holds released, "
            f"{sum(self.seconds.values()):.0f} s ({phases})"
            + (f", {len(self.wrong)} WRONG" if self.wrong else "")
        )


def run(plan: Plan, servers: Servers, template: str) -> Result:
    scenario = {"import_ms": 50, "seed": plan.seed, "faults": list(plan.faults)}
    settings = _SETTINGS | {"PASSERELLE_BATCH_LINES": str(plan.batch_lines)}
    with (
        receiving() as hub,
        elsewhere(servers) if servers.broker_is == "named" else running_broker() as broker,
        running_stack(servers.with_broker(broker.url), template, scenario, **settings) as stack,
    ):
        return _Trial(plan, stack, Incidents(stack, servers, broker), hub).run()


class _Trial:
    def __init__(self, plan: Plan, stack: Stack, incidents: Incidents, hub: Receiver) -> None:
        self._plan = plan
        self._stack = stack
        self._incidents = incidents
        self._hub = hub
        self._starts: Counter[str] = Counter()
        self._nudged = 0.0
        self._result = Result(plan.seed)

    def run(self) -> Result:
        result = self._result
        try:
            with self._phase("start"):
                self._register()
                self._start()
            with self._phase("work"):
                self._work()
            with self._phase("ask"):
                self._ask()
            with self._phase("peace"):
                self._make_peace()
                self._settle()
        except (TimeoutError, subprocess.TimeoutExpired) as error:
            result.wrong.append(f"it took too long: {error}\n{self._last_words()}")
        except AssertionError as error:
            result.wrong.append(f"a worker did not end well: {error}")
        self._look()
        return result

    def _last_words(self) -> str:
        """What each process is at, as far as its log tells."""
        return "\n".join(
            f"    {name}, exit code {process.poll()}: {self._stack.log(name).splitlines()[-3:]}"
            for name, process in self._stack.processes.items()
        )

    @contextlib.contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._result.seconds[name] = time.monotonic() - began

    def _register(self) -> None:
        for firm in {folder.firm: None for folder in self._plan.folders}:
            self._stack.add_firm(firm)
            urls = {Audience.OUTCOME: self._hub.url}
            self._stack.runtime.subscribing.set_firm(firm, urls, SECRET)
        # One message in two is not taken, one way or the other.
        chance = random.Random(self._plan.seed)
        self._hub.answer = lambda _: chance.choice([TAKEN, TAKEN, TAKEN, *_NOT_TAKEN])
        for folder in self._plan.folders:
            if folder.registered:
                self._stack.runtime.registration.add_folder(folder.firm, folder.code, FolderTerms())

    def _start(self) -> None:
        beat = str(self._stack.scratch / "beat")
        self._stack.start("beat", "-A", "workers.main", "beat", "-s", beat)
        for name in (*DELIVERIES, UPKEEP):
            self._start_worker(name)

    def _start_worker(self, name: str, ahead: int = 0) -> None:
        queue = UPKEEP if name == UPKEEP else "delivery"
        app, env = (
            ("e2e.shifted_worker", {"CLOCK_AHEAD": str(ahead)}) if ahead else ("workers.main", {})
        )
        self._stack.start_worker(queue, app, name, **env)
        self._starts[name] += 1

    def _is_ready(self, name: str) -> bool:
        return self._stack.log(name).count(" ready.") >= self._starts[name]

    def _kill(self, kill: Kill) -> None:
        """At a moment of its own, and of a worker that is at work."""
        moment = time.monotonic() + kill.after
        until(lambda: time.monotonic() >= moment and self._is_ready(kill.worker), bool, 60)
        if kill.gently:
            self._stack.stop(kill.worker)
            self._result.stops += 1
        else:
            self._stack.kill(kill.worker)
            self._result.kills += 1
        self._start_worker(kill.worker, kill.ahead)

    def _work(self) -> None:
        """Events come and workers die as the work goes on."""
        for step in self._plan.steps:
            until(self._begun, partial(le, step.at), _PATIENCE, every=0.1)
            match step:
                case Slice():
                    self._stack.runtime.intake.take_in(step.events)
                case Kill():
                    self._kill(step)
                case Incident():
                    self._incidents.happen(step.kind)
                    self._result.incidents[step.kind] += 1
        until(lambda: self._count("state = 'received'"), lambda count: not count, _PATIENCE, 0.2)

    def _begun(self) -> int:
        """How many entries have left `received`."""
        self._time_passes()
        return self._count("state <> 'received'")

    def _count(self, where: str, table: str = "entries") -> int:
        [row] = self._stack.rows(f"SELECT count(*) FROM {table} WHERE {where}")  # noqa: S608
        return int(row["count"])

    def _ask(self) -> None:
        """Loop is asked about what is uncertain while it still fails, until every fault was met."""
        for kill in self._plan.late_kills:
            asked = self._count("true", "questions") + kill.at
            self._wait_for(partial(self._were_asked, asked))
            self._kill(kill)
        self._wait_for(lambda: not self._not_met())

    def _were_asked(self, questions: int) -> bool:
        return self._count("true", "questions") >= questions

    def _wait_for(self, met: Callable[[], bool]) -> None:
        """Not for ever: chance may have it that nothing is uncertain."""

        def met_by_now() -> bool:
            self._time_passes()
            return met()

        with contextlib.suppress(TimeoutError):
            until(met_by_now, bool, _FAULTY_SECONDS, every=0.1)

    def _not_met(self) -> set[str]:
        rules = self._stack.loop.faults()
        return {rule["fault"] for rule in rules} - {
            rule["fault"] for rule in rules if rule["fired"]
        }

    def _make_peace(self) -> None:
        for rule in self._stack.loop.faults():
            self._result.fired[rule["fault"]] += rule["fired"]
        self._stack.loop.set_faults()
        self._hub.answers(TAKEN)
        # What lands now shows that Loop can be asked again.
        self._stack.runtime.intake.take_in(self._plan.last)

    def _settle(self) -> None:
        def left() -> dict[str, int]:
            self._time_passes()
            self._release()
            rows = self._stack.rows(
                "SELECT state, count(*) FROM entries "  # noqa: S608 a literal of this module
                f"WHERE state IN {_OPEN_STATES} OR read_again_at IS NOT NULL GROUP BY state"
            )
            return {row["state"]: row["count"] for row in rows}

        until(left, lambda found: not found, _PATIENCE, every=0.5)
        until(self._untold, lambda count: not count, _PATIENCE, every=0.5)

    def _untold(self) -> int:
        self._time_passes()
        return self._count("told_at IS NULL", "messages") + self._count(
            "sequence IS NULL", "outcomes"
        )

    def _time_passes(self) -> None:
        """What is put off for long is due now; how long absence has to last stays as it is."""
        if time.monotonic() < self._nudged + _NUDGE_SECONDS:
            return
        self._nudged = time.monotonic()
        with self._stack.engine.begin() as connection:
            for statement in _TIME_PASSES:
                connection.execute(statement)

    def _release(self) -> None:
        """A person lets in again where a hold keeps something from being asked about.

        What a hold has parked stays parked under it unless it is of such a case.
        """
        with self._stack.engine.begin() as connection:
            for case_id in connection.execute(_STANDSTILL).scalars().all():
                end_case(connection, case_id, Ending(Act.RELEASED))
                self._result.released += 1

    def _look(self) -> None:
        result, stack = self._result, self._stack
        rows = {
            row["entry_id"]: row
            for row in stack.rows(
                "SELECT e.id, e.entry_id, e.state, e.reason, f.code AS firm "
                "FROM entries e JOIN firms f ON f.id = e.firm_id"
            )
        }
        states = Counter(row["state"] for row in rows.values())
        result.entries, result.synced = len(rows), states["synced"]
        result.parked = Counter(row["reason"] for row in rows.values() if row["state"] == "parked")
        result.requests = stack.loop.count("importJson")
        cases = stack.rows(_NEVER_TRUE_ALONE)
        found = list(wrongs(self._plan, rows, cases, stack.loop.ledger()))
        result.wrong += [
            f"{entry_id}: {problem}\n{story_of(stack, entry_id)}"
            for entry_id, problem in found[:_TOLD]
        ]
        if len(found) > _TOLD:
            result.wrong.append(f"and {len(found) - _TOLD} more")
        result.wrong += untrue(self._hub, rows)


# With the hub's id of the entry that a case is about, where it is about one.
_NEVER_TRUE_ALONE = """
SELECT c.*, e.entry_id FROM cases c LEFT JOIN entries e ON c.cause = 'entry ' || e.id
WHERE c.reason IN ('landed_twice', 'internal', 'import_stuck')
"""

# What a bell or a question has taken is at most five seconds away. Of a request one entry is asked
# for; when it is known the others are. Settling lasts twice as long as imports were seen to take,
# and what nobody could look at while broker or database was away did not take so long.
_TIME_PASSES = [
    text("""
UPDATE entries e SET due_at = now()
FROM attempts a
WHERE a.entry = e.id AND a.closed_at IS NULL
  AND e.state = 'uncertain' AND e.due_at > now() + interval '5.5 s'
  AND (NOT EXISTS (
        SELECT FROM attempts b WHERE b.import_id = a.import_id AND b.closed_at IS NULL
        AND b.entry < e.id)
    OR EXISTS (
        SELECT FROM attempts b WHERE b.import_id = a.import_id
        AND (b.closed_at IS NOT NULL OR b.absent_at IS NOT NULL)))
"""),
    text("UPDATE imports SET poll_at = now() WHERE poll_at > now() + interval '3.5 s'"),
    text(
        "UPDATE imports SET ended_at = sent_at + interval '5 s' "
        "WHERE status = 3 AND ended_at > sent_at + interval '5 s'"
    ),
    text("UPDATE endpoints SET due_at = now() WHERE due_at > now() + interval '3.5 s'"),
    # Whoever holds it has not sent anything for a while.
    text("UPDATE endpoints SET lease_until = now() WHERE lease_until < now() + interval '110 s'"),
    text("UPDATE messages SET due_at = now() WHERE due_at > now() + interval '3.5 s'"),
    text("UPDATE outages SET probe_at = now() WHERE probe_at > now() + interval '3.5 s'"),
    text(
        "UPDATE entries SET read_again_at = now() WHERE read_again_at > now() + interval '1000 s'"
    ),
]

# What is uncertain is not asked about and no sample read under a hold, and no import is followed
# under its firm's.
_STANDSTILL = text("""
SELECT DISTINCT c.id FROM cases c
JOIN entries e ON e.firm_id = c.firm_id AND (c.folder_id IS NULL OR c.folder_id = e.folder_id)
JOIN firms f ON f.id = e.firm_id JOIN folders fo ON fo.id = e.folder_id
WHERE c.state = 'open' AND c.id IN (f.held_by, fo.held_by)
  AND (e.state = 'uncertain' OR (
    e.state = 'posted' AND (c.id = f.held_by OR e.read_again_at IS NOT NULL)))
""")
