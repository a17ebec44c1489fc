"""`python -m benchmarks.kills`: what is lost before intake where its worker is killed at work.

The hub keeps messages in the queue the whole time; the worker, as `passerelle up` starts it, is
killed with its processes at a random moment of its work and started again at once. At the end
`passerelle reconcile` says what of all that was sent is unknown; that is sent again, and delivered,
and must stand in the stand-in's books once as everything else.
"""

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
from celery import Celery
from redis import Redis
from sqlalchemy import Engine, text

from benchmarks.contenders import producer, product_environment, register
from benchmarks.ground import Ground, prepared
from benchmarks.load import Json, Load, origin_of
from benchmarks.processes import ROOT, BenchmarkError, Processes, running, stand_alone
from benchmarks.report import conditions
from config.settings import read_settings
from passerelle.runtime import Runtime
from tasks.names import DELIVERY, INTAKE, SUBMIT, UPKEEP
from workers.queues import CONSUMERS, worker_arguments

_LATENCY_MS, _IMPORT_MS = 5, 50
# What a dead worker held comes back within seconds, so that the run ends.
_QUICK = {
    "PASSERELLE_SEND_SECONDS": "1",
    "PASSERELLE_CALL_SECONDS": "5",
    "PASSERELLE_LEASE_SECONDS": "10",
    "PASSERELLE_VISIBILITY_SECONDS": "12",
}
# The worker never waits for a message, and little is left when it is started for the last time.
_BACKLOG = 50
_SLICE = 25
# From its start to its death a worker is at work for so long at most.
_WORK_SECONDS = 0.5
_LOOK_SECONDS = 0.01
_PROGRESS = 10


@dataclass(slots=True)
class Hub:
    """Sends one event a message, for as long as it is told to; knows what it has sent."""

    app: Celery
    broker: Redis
    load: Load
    sent: list[Json] = field(default_factory=list)

    def send(self, event: Json) -> None:
        self.app.send_task(SUBMIT, args=[event], queue=INTAKE)

    def keep_sending(self, enough: threading.Event) -> None:
        while not enough.wait(_LOOK_SECONDS):
            if int(str(self.broker.llen(INTAKE))) < _BACKLOG:
                for event in self.load.events(f"{len(self.sent):07}", _SLICE):
                    self.send(event)
                    self.sent.append(event)


@dataclass(slots=True)
class Trial:
    """`held` is what dead workers had noted, by tag: each comes back once."""

    processes: Processes
    hub: Hub
    engine: Engine
    scratch: Path
    held: set[bytes] = field(default_factory=set)

    def start(self, queue: str) -> None:
        [consumer] = [one for one in CONSUMERS if one.queue == queue]
        self.processes.start(
            queue, "-m", "celery", "-A", "workers.main", *worker_arguments(consumer)
        )

    def kill(self, chance: random.Random) -> None:
        """kill -9 of intake's worker at work, and its successor."""
        self.wait_until_ready(INTAKE)
        taken = self.count("events")
        self.processes.wait_until(lambda: self.count("events") > taken, "intake works")
        # Not when something is so: a crash comes at any moment.
        time.sleep(chance.uniform(0, _WORK_SECONDS))
        self.processes.kill_one(INTAKE)
        self.held |= set(self._unacked())
        self.start(INTAKE)

    def wait_until_ready(self, queue: str) -> None:
        self.processes.wait_until(
            lambda: " ready." in self.processes.log(queue), f"{queue} is ready"
        )

    def wait_until_taken_in(self) -> None:
        """Until no message is in the queue, and none on its way."""
        self.processes.wait_until(
            lambda: not (self.hub.broker.llen(INTAKE) or self._unacked()), "all is taken in"
        )

    def reconcile(self) -> list[Json]:
        """The names of what was sent and is unknown, by the product's own command."""
        path = self.scratch / "sent.ndjson"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(_name(event)) + "\n" for event in self.hub.sent)
        done = subprocess.run(
            [sys.executable, "-m", "passerelle.cli.main", "reconcile", str(path), "--json"],
            cwd=ROOT,
            env=self.processes.env,
            capture_output=True,
            check=False,
        )
        if done.returncode not in {0, 1} or not done.stdout:
            raise BenchmarkError(f"passerelle reconcile failed: {done.stderr.decode()}")
        unknown: list[Json] = json.loads(done.stdout)["unknown"]
        return unknown

    def deliver(self) -> None:
        self.processes.start(
            *("beat", "-m", "celery", "-A", "workers.main", "beat"),
            *("--schedule", str(self.scratch / "beat")),
        )
        for queue in (UPKEEP, DELIVERY):
            self.start(queue)
            self.wait_until_ready(queue)
        while left := self._left():
            # As long as more arrives it is waited for.
            self.processes.wait_until(partial(self._fewer_left, left), "more is synced")

    def count(self, table: str, where: str = "true") -> int:
        with self.engine.connect() as connection:
            counting = text(f"SELECT count(*) FROM {table} WHERE {where}")  # noqa: S608 ours
            return int(connection.execute(counting).scalar_one())

    def _left(self) -> int:
        return self.count("entries", "state <> 'synced'")

    def _fewer_left(self, than: int) -> bool:
        return self._left() < than

    def _unacked(self) -> list[bytes]:
        found: Any = self.hub.broker.hkeys("unacked")
        return list(found)


def _name(event: Json) -> Json:
    entry = event["entry"]
    return {
        "firm": event["firm"],
        "folder": event["folder"],
        "entry_id": entry["id"],
        "revision": entry["revision"],
    }


@contextmanager
def _trial(ground: Ground, load: Load) -> Iterator[Trial]:
    with ground.database() as database_url:
        scratch = ground.scratch / "kills"
        env = product_environment(ground, database_url, scratch) | _QUICK
        runtime = Runtime(read_settings(env, env_file=False))
        register(runtime, load)
        with (
            running(scratch, env) as processes,
            producer(ground.broker_url) as app,
            Redis.from_url(ground.broker_url) as broker,
        ):
            yield Trial(processes, Hub(app, broker, load), runtime.engine, scratch)
        runtime.close()


def _run(trial: Trial, ground: Ground, kills: int, chance: random.Random) -> None:
    enough, began = threading.Event(), time.monotonic()
    trial.start(INTAKE)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(trial.hub.keep_sending, enough)
        try:
            for number in range(1, kills + 1):
                trial.kill(chance)
                if number % _PROGRESS == 0:
                    click.echo(
                        f"{number} kills, {len(trial.hub.sent):,} messages, "
                        f"{time.monotonic() - began:.0f} s",
                        err=True,
                    )
        finally:
            enough.set()
        sending.result()
    trial.wait_until_taken_in()
    seconds = time.monotonic() - began
    sent, missing = trial.hub.sent, trial.reconcile()
    click.echo(f"messages sent                        {len(sent):,} in {seconds:.0f} s")
    click.echo(f"kills of the worker at work          {kills}")
    click.echo(f"noted by dead workers, and returned  {len(trial.held)}")
    click.echo(f"lost                                 {len(missing)}")
    click.echo(f"lost per kill                        {len(missing) / kills:.3f}")
    for event in sent:
        if _name(event) in missing:
            trial.hub.send(event)
    trial.wait_until_taken_in()
    click.echo(f"unknown after sending them again     {len(trial.reconcile())}")
    trial.deliver()
    once = {
        "events": trial.count("events"),
        "entries": trial.count("entries"),
        "in Loop's books": ground.booked().total(),
    }
    click.echo(", ".join(f"{count:,} {what}" for what, count in once.items()))
    if set(once.values()) != {len(sent)} or ground.booked() != Counter(map(origin_of, sent)):
        raise BenchmarkError(f"They are not {len(sent):,}, each once.")
    click.echo("each entry once")


@click.command(context_settings={"show_default": True})
@click.option("--kills", type=click.IntRange(min=1), default=200, help="Of intake's worker.")
@click.option("--seed", type=int, default=1, help="Of the moments at which it is killed.")
def main(kills: int, seed: int) -> None:
    """What is lost before intake where its worker is killed at work."""
    stand_alone()
    load = Load(entries=0, folders=10, firms=2)
    try:
        with prepared(_LATENCY_MS, _IMPORT_MS) as ground, _trial(ground, load) as trial:
            found = conditions(ground, load, 1, _LATENCY_MS, _IMPORT_MS)
            click.echo(f"python -m benchmarks.kills --kills {kills} --seed {seed}")
            for name in ("started_at", "cores", "load_average_before", "platform", "versions"):
                click.echo(f"{name}: {found[name]}")
            _run(trial, ground, kills, random.Random(seed))
    except BenchmarkError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
