"""What intake refused, and which processes were there before and after."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import psutil

from support.simulator import until
from support.stack import Stack


def deliveries(stack: Stack) -> Counter[bytes]:
    """How often each body that is kept was refused, by its SHA-256."""
    rows = stack.rows("SELECT content_hash, deliveries FROM refused_events")
    return Counter({bytes(row["content_hash"]): row["deliveries"] for row in rows})


def until_refused(
    stack: Stack, before: Counter[bytes], bodies: Iterable[bytes], seconds: float = 60
) -> None:
    """Wait until each of these bodies was refused once more than before, or as often as it is
    named. Raises: TimeoutError, with the bodies that are missing.
    """
    named = list(bodies)
    wanted = Counter(digest(body) for body in named)

    def missing() -> list[bytes]:
        rest = wanted - (deliveries(stack) - before)
        return [body[:200] for body in named if digest(body) in rest]

    until(missing, lambda found: not found, seconds)


def listed(stack: Stack, bodies: Iterable[bytes]) -> list[dict[str, Any]]:
    """What `passerelle intake list --json` says of each body, in the order given."""
    done = stack.cli("intake", "list", "--json")
    assert done.returncode == 0, done.stderr
    told = {row["id"]: row for row in map(json.loads, done.stdout.splitlines())}
    rows = stack.rows("SELECT id, content_hash FROM refused_events")
    ids = {bytes(row["content_hash"]): row["id"] for row in rows}
    return [told[ids[digest(body)]] for body in bodies]


def paths(row: dict[str, Any]) -> frozenset[str]:
    return frozenset(error["path"] for error in row["errors"])


def digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def process_ids(stack: Stack) -> dict[str, set[int]]:
    """Each worker's own process id and those of its pool."""
    return {
        name: {process.pid, *(child.pid for child in psutil.Process(process.pid).children())}
        for name, process in stack.processes.items()
    }
