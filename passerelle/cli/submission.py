"""Submitting many events: in parts, through the broker or straight into the database."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import click

from config.settings import Settings
from passerelle.cli import deployment
from passerelle.cli.broker import Broker, ring
from passerelle.cli.errors import telling_how_far
from passerelle.cli.output import print_facts, print_json
from passerelle.domain.errors import PasserelleError
from passerelle.intake import MANY
from passerelle.store.schema import revisions

_MOST_BYTES = 1_000_000
"""Of the bodies of one part; a larger event goes alone."""


@dataclass(frozen=True, slots=True)
class Item:
    """An event as JSON gave it, or a `body` that gave none, and then the `fault` that says why.

    `place` is where it was read, for people.
    """

    body: bytes
    event: object
    fault: str | None = None
    place: str = ""


class Door(Protocol):
    """Where events go. `counts` tells by name what has become of them."""

    counts: dict[str, int]

    def take(self, items: list[Item]) -> None:
        """At most `MANY` items; they are safe when this returns."""

    def close(self) -> None: ...


class _Queue:
    """Workers find out which events are new, known or refused."""

    def __init__(self, settings: Settings) -> None:
        self.counts = {"events": 0, "messages": 0}
        self._broker = Broker(settings)

    def take(self, items: list[Item]) -> None:
        # What is no JSON travels as a string: intake keeps it among the refused, and its
        # neighbours are unharmed.
        self._broker.submit(
            [
                item.event if item.fault is None else item.body.decode(errors="surrogateescape")
                for item in items
            ]
        )
        self.counts["events"] += len(items)
        self.counts["messages"] += 1

    def close(self) -> None:
        pass


class _Database:
    def __init__(self, settings: Settings) -> None:
        self.counts = {"events": 0, "new": 0, "known": 0, "refused": 0}
        self._runtime = deployment.runtime(settings)
        self._folders: set[int] = set()
        # Told before the first event: intake would take it for an event's fault.
        current, needed = revisions(self._runtime.engine)
        if current != needed:
            raise PasserelleError(
                f"The database's schema is {current or 'missing'}, and this version needs "
                f"{needed}: run `passerelle db upgrade`."
            )

    def take(self, items: list[Item]) -> None:
        intake = self._runtime.intake
        takings = [intake.refuse(item.body, item.fault) for item in items if item.fault is not None]
        events = [item.event for item in items if item.fault is None]
        if events:
            takings.append(intake.take_in(events))
        self.counts["events"] += len(items)
        for taken in takings:
            self.counts["new"] += taken.new
            self.counts["known"] += taken.known
            self.counts["refused"] += taken.refused
            self._folders |= taken.folders

    def close(self) -> None:
        # Once a folder; what is due before is found by upkeep.
        ring(self._runtime.settings, self._folders)


def door(*, direct: bool) -> Door:
    """Raises: SettingsError; PasserelleError, where the schema is another version's."""
    settings = deployment.settings()
    return _Database(settings) if direct else _Queue(settings)


def submit_all(items: Iterable[Item], to: Door, advance: Callable[[int], object]) -> None:
    """Submit in parts; `advance` is told the bytes of each that is safe.

    Raises:
        PasserelleError: interrupted, or something does not answer; the text tells how far it came.
    """

    def so_far() -> str:
        return (
            f"{to.counts['events']:,} events were submitted before; submitting the same file "
            "again is harmless."
        )

    with telling_how_far(so_far):
        for part in parts(items):
            to.take(part)
            advance(sum(len(item.body) for item in part))
        to.close()


def parts(items: Iterable[Item]) -> Iterator[list[Item]]:
    """At most `MANY` items in each, and bytes that fit into memory."""
    part: list[Item] = []
    size = 0
    for item in items:
        if part and (len(part) == MANY or size + len(item.body) > _MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(item)
        size += len(item.body)
    if part:
        yield part


def print_counts(to: Door, *, as_json: bool) -> None:
    if as_json:
        print_json(to.counts)
        return
    print_facts({name: f"{count:,}" for name, count in to.counts.items()})
    if to.counts.get("refused"):
        click.echo("Why events were refused: passerelle intake list", err=True)
