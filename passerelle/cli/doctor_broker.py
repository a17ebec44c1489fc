"""What `passerelle doctor` tries at the broker: whether it keeps messages, and who takes them."""

import threading
from collections.abc import Iterator, Mapping
from queue import Empty, SimpleQueue
from typing import Any

from config.settings import Settings
from passerelle.cli.broker import Broker, Traffic
from passerelle.cli.errors import sentence
from passerelle.domain.finding import Finding
from tasks.names import QUEUES
from workers.about import names_of_keys, version
from workers.kinds import REMEDY, KindError

_SECONDS = 30.0
"""Celery asks again without end where a broker goes away at the wrong moment."""

_SEE_URL = (
    "See that PASSERELLE_BROKER_URL is right (host, port, user, password, number) and that it "
    "runs; what was taken in waits."
)


def examine(settings: Settings) -> list[Finding]:
    """What is behind a broker that does not answer is left out."""
    if settings.broker_url is None:
        return [Finding("broker", "PASSERELLE_BROKER_URL is not set.", _SEE_URL)]
    try:
        broker = Broker(settings)
        failures = broker.failures
    # Its text would show what is wrong, and that may be a part of the password.
    except (ValueError, TypeError, KeyError):
        return [Finding("broker", "PASSERELLE_BROKER_URL cannot be understood.", _SEE_URL)]
    answers: SimpleQueue[list[Finding]] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(list(_asked(broker, settings)))
        except failures as error:
            told = sentence(error) or f"It refuses or is cut off: {type(error).__name__}."
            answers.put([Finding("broker", told, _SEE_URL)])
        except (ValueError, TypeError, KeyError):
            told = "Its URL or its answers cannot be understood."
            answers.put([Finding("broker", told, _SEE_URL)])

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=_SECONDS)
    except Empty:
        return [Finding("broker", f"It has not answered for {_SECONDS:.0f} s.", _SEE_URL)]


def _asked(broker: Broker, settings: Settings) -> Iterator[Finding]:
    try:
        broker.check_kinds()
    except KindError as error:
        yield Finding("broker")
        yield Finding("queues of the broker", str(error), REMEDY)
        return
    traffic = broker.look()
    yield Finding("broker")
    yield Finding(
        "broker takes messages",
        traffic.refuses,
        "Give it memory, or see to its disk, its replicas, and what its user may do; what was "
        "taken in waits.",
    )
    yield from _keeping(broker)
    if traffic.refuses is not None:
        return
    ours = [name for name in traffic.workers if name.startswith(QUEUES)]
    about = broker.about(ours) if ours else {}
    yield from _workers(traffic, about)
    if about:
        yield from _about(about, settings)


def _keeping(broker: Broker) -> Iterator[Finding]:
    keeping = broker.keeping()
    if keeping is None:
        return
    yield Finding(
        "broker forgets nothing",
        f"Where its memory is full it forgets messages ({keeping.policy})."
        if keeping.may_forget
        else None,
        "Set maxmemory-policy noeviction: then it refuses, and producers send again.",
    )
    yield Finding(
        "broker writes down",
        None
        if keeping.log_of_changes
        else "It keeps no log of changes; started again, it has lost what waited in it.",
        "Set appendonly yes and appendfsync everysec. `passerelle reconcile` finds what was lost.",
        grave=False,
    )


def _workers(traffic: Traffic, about: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    consumed = {queue for said in about.values() for queue in said.get("queues", ())}
    for queue in QUEUES:
        # One of the version before does not say what it consumes.
        named = any(name.startswith(f"{queue}@") for name in traffic.workers)
        nobody = queue not in consumed and not named
        yield Finding(
            f"worker of {queue}",
            f"Nobody answers; {traffic.queues[queue]} messages wait." if nobody else None,
            f"Start it: celery -A workers.main worker --queues {queue} (see docker-compose.yml).",
        )
    ticks = any(name.startswith("celerybeat@") for name in traffic.workers)
    yield Finding(
        "beat",
        None if ticks else "It does not answer, or has not ticked for a minute.",
        "Start it: celery -A workers.main beat. Without it nothing that waits goes on.",
    )


def _about(about: Mapping[str, Mapping[str, Any]], settings: Settings) -> Iterator[Finding]:
    here = version()
    # A worker of the version before may not know the question.
    versions = {name: said.get("version", "another version") for name, said in about.items()}
    others = [f"{name} is of {one}" for name, one in sorted(versions.items()) if one != here]
    yield Finding(
        "versions",
        f"This is {here}, and {', '.join(others)}." if others else None,
        "Replace these workers; while you are upgrading that is all as it should be.",
        grave=False,
    )
    answers = {name: said for name, said in sorted(about.items()) if "version" in said}
    mine = {*names_of_keys(settings)}
    lacking = [name for name, said in answers.items() if mine - {*said["keys"]}]
    yield Finding(
        "secret keys of workers",
        f"{', '.join(lacking)} lack a key that PASSERELLE_SECRET_KEYS has here."
        if lacking
        else None,
        "Give all processes the same keys and start them again; until then they send nothing for "
        "firms whose keys were stored with it (docs/runbook.md, Secret keys).",
    )
    wrong = [
        f"{name} has {said['visibility_seconds']} s, and a task there has run for "
        f"{said['longest_seconds']:.0f} s"
        for name, said in answers.items()
        if said["longest_seconds"] > said["visibility_seconds"]
    ]
    theirs = {said["visibility_seconds"] for said in answers.values()}
    if theirs - {settings.visibility_seconds}:
        seconds = ", ".join(f"{one} s" for one in sorted(theirs))
        wrong.append(f"the workers have {seconds}, and here it is {settings.visibility_seconds} s")
    yield Finding(
        "visibility timeout",
        f"{'; '.join(wrong)}." if wrong else None,
        "Give PASSERELLE_VISIBILITY_SECONDS the same value everywhere, longer than any task: the "
        "shortest holds for all, and what it is too short for is done twice, which costs time.",
        grave=False,
    )
