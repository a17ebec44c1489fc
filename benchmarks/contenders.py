"""Who is measured: each takes its turn alone, with a database and a broker that are empty."""

import contextlib
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import requests
from celery import Celery
from cryptography.fernet import Fernet
from redis import Redis
from sqlalchemy import text

from benchmarks.bodies import bodies, headers
from benchmarks.ground import Ground, scalar
from benchmarks.load import SECRET, SUBSCRIPTION, WARM_UP, Json, Load, api_key
from benchmarks.processes import ROOT, Processes, running
from config.settings import read_settings
from passerelle.domain.firm_keys import FirmKeys
from passerelle.registration import FolderTerms
from passerelle.runtime import Runtime
from tasks.names import INTAKE, SUBMIT, SUBMIT_MANY
from workers.queues import CONSUMERS, worker_arguments

MESSAGE = 100
"""Events in one `entries.submit_many`."""


@dataclass(frozen=True, slots=True)
class Running:
    """A contender whose workers listen. `send` enqueues events, `synced` counts entries done.

    `ended`: when the last was done, in seconds since 1970, where that is noted. `states`: entries
    by state, where the contender has any. `all_read`: whether the lists of all folders have been
    read, where the contender reads any.
    """

    processes: Processes
    send: Callable[[Sequence[Json]], None]
    synced: Callable[[], int]
    ended: Callable[[], float] | None = None
    states: Callable[[], Counter[str]] = Counter
    all_read: Callable[[], bool] = lambda: True


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    start: Callable[[Ground, Load, Path], AbstractContextManager[Running]]


def environment(**variables: str) -> dict[str, str]:
    """Of processes of ours, with these variables besides."""
    # Celery warns of a root user because of pickle, which nobody accepts here.
    return {**os.environ, "PYTHONPATH": str(ROOT), "C_FORCE_ROOT": "1", **variables}


def product_environment(ground: Ground, database_url: str, scratch: Path) -> dict[str, str]:
    """Of the product's processes, with default settings."""
    return environment(
        PASSERELLE_DATABASE_URL=database_url,
        PASSERELLE_BROKER_URL=ground.broker_url,
        PASSERELLE_SECRET_KEYS=Fernet.generate_key().decode(),
        PASSERELLE_LOOP_URL=ground.loop_url,
        PASSERELLE_DATA_DIR=str(scratch),
    )


@contextlib.contextmanager
def producer(broker_url: str) -> Iterator[Celery]:
    """What a hub has: an app that knows the broker and nothing of ours."""
    with Celery("hub", broker=broker_url, set_as_current=False) as app:
        yield app


def _wait_for_workers(processes: Processes, app: Celery, names: Iterable[str]) -> None:
    wanted = set(names)

    def all_answer() -> bool:
        replies = app.control.ping(timeout=0.5)
        return wanted <= {name.partition("@")[0] for reply in replies for name in reply}

    processes.wait_until(all_answer, f"{', '.join(sorted(wanted))} answer a ping")


def celery(without: str) -> tuple[str, ...]:
    """What follows `python`; `without` names the parts that `benchmarks/unwatched.py` leaves out,
    by comma.
    """
    return ("-m", "celery", "-A", "benchmarks.unwatched" if without else "workers.main")


@contextlib.contextmanager
def product(
    message: int,
    ground: Ground,
    load: Load,
    scratch: Path,
    *,
    without: str = "",
    start: bool = True,
) -> Iterator[Running]:
    """The processes of `passerelle up` but for Flower, with default settings, unless nothing is to
    be started yet; `message` events go into one message. `without`: see `celery`.
    """
    with ground.database() as database_url:
        env = product_environment(ground, database_url, scratch) | {"UNWATCHED": without}
        runtime = Runtime(read_settings(env, env_file=False))
        register(runtime, load)
        count = text("SELECT state, count(*) AS n FROM entries GROUP BY state")
        last = text("SELECT extract(epoch FROM max(synced_at)) FROM entries")
        unread = text("SELECT count(*) FROM folders WHERE refreshed_at IS NULL")

        def send(events: Sequence[Json]) -> None:
            if message == 1:
                for event in events:
                    app.send_task(SUBMIT, args=[event], queue=INTAKE)
                return
            rest = iter(events)
            while some := list(itertools.islice(rest, message)):
                app.send_task(SUBMIT_MANY, args=[some], queue=INTAKE)

        def states() -> Counter[str]:
            with runtime.engine.connect() as connection:
                return Counter({row.state: row.n for row in connection.execute(count)})

        def synced() -> int:
            return states()["synced"]

        def ended() -> float:
            return float(scalar(runtime.engine, last))

        def all_read() -> bool:
            return not scalar(runtime.engine, unread)

        with running(scratch, env) as processes, producer(ground.broker_url) as app:
            if start:
                _start_all(processes, app, scratch, without)
            yield Running(processes, send, synced, ended, states, all_read)
        runtime.close()


def _start_all(processes: Processes, app: Celery, scratch: Path, without: str) -> None:
    for consumer in CONSUMERS:
        arguments = worker_arguments(consumer)
        processes.start(f"worker-{consumer.queue}", *celery(without), *arguments)
    processes.start("beat", *celery(without), "beat", "--schedule", str(scratch / "beat"))
    _wait_for_workers(processes, app, ["celerybeat", *(consumer.queue for consumer in CONSUMERS)])


def register(runtime: Runtime, load: Load) -> None:
    for firm in sorted({firm for firm, _ in load.places()}):
        runtime.registration.add_firm(firm, FirmKeys(api_key(firm), SECRET, SUBSCRIPTION))
    for firm, folder in load.places():
        runtime.registration.add_folder(firm, folder, FolderTerms())


@contextlib.contextmanager
def _plain(
    options: Sequence[str], sessions: str, ground: Ground, _load: Load, scratch: Path
) -> Iterator[Running]:
    """A worker with these options; `sessions`: whether each thread has one, or each request."""
    env = environment(
        CELERY_BROKER_URL=ground.broker_url, LOOP_URL=ground.loop_url, PLAIN_SESSIONS=sessions
    )
    with (
        running(scratch, env) as processes,
        producer(ground.broker_url) as app,
        Redis.from_url(ground.broker_url) as redis,
    ):
        processes.start(
            "worker-plain",
            *("-m", "celery", "-A", "benchmarks.plain", "worker", "--hostname", "plain@%h"),
            *options,
        )
        _wait_for_workers(processes, app, ["plain"])

        def send(events: Sequence[Json]) -> None:
            for event in events:
                app.send_task("plain.submit", args=[event])

        def synced() -> int:
            # redis-py's types leave open whether a client is asynchronous.
            return int(str(redis.get("plain:synced") or b"0", "ascii"))

        yield Running(processes, send, synced)


@contextlib.contextmanager
def _bare(ground: Ground, load: Load, scratch: Path) -> Iterator[Running]:
    """No Celery, no follow-up: bodies made before the clock starts, through one session."""
    ready = {
        events[0]["event_id"]: bodies(events)
        for events in (load.events("warm", WARM_UP), load.events("entry", load.entries))
    }
    done = Counter[str]()
    with running(scratch, os.environ) as processes, requests.Session() as session:

        def send(events: Sequence[Json]) -> None:
            for firm, body in ready[events[0]["event_id"]]:
                url = f"{ground.loop_url}/importJson"
                session.post(url, data=body, headers=headers(firm), timeout=60).raise_for_status()
            done["sent"] += len(events)

        yield Running(processes, send, lambda: done["sent"])


PLAIN = Contender("plain", partial(_plain, ("--pool", "prefork", "--concurrency", "8"), ""))
# What served it best of prefork 16 and 32 and threads 16, 32 and 64: docs/performance.md.
PLAIN_AT_ITS_BEST = Contender(
    "plain at its best", partial(_plain, ("--pool", "prefork", "--concurrency", "32"), "1")
)
PRODUCT = Contender("product, submit_many", partial(product, MESSAGE))
CONTENDERS = (
    Contender("product, submit", partial(product, 1)),
    PRODUCT,
    PLAIN,
    PLAIN_AT_ITS_BEST,
    Contender("bare", _bare),
)
