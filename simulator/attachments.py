"""Fetching the documents of booked lines, as Loop does. Reference: Loop API 7.

In threads of their own, so that a host that is slow holds up no answer; daemons, so that none holds
up the end of the program either.
"""

import contextlib
import hashlib
import http.client
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

_AT_ONCE = 8
_SECONDS = 5.0
# Assumption 17 (reference: Loop API 10).
_MOST_BYTES = 10_000_000
_CHUNK = 65_536
_CONNECTIONS = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a link led to: `size` in bytes, `sha256` in hex; without a whole answer, an `error`."""

    uri: str
    status: int | None = None
    size: int | None = None
    sha256: str | None = None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


# Fetches a link some time later and gives what it led to, from any thread.
Fetch = Callable[[str, Callable[[Fetched], None]], None]


class Fetcher:
    def __init__(self) -> None:
        self._wanted: queue.SimpleQueue[tuple[str, Callable[[Fetched], None]]] = queue.SimpleQueue()
        self._threads = 0

    def __call__(self, uri: str, then: Callable[[Fetched], None]) -> None:
        self._wanted.put((uri, then))
        if self._threads < _AT_ONCE:
            self._threads += 1
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            uri, then = self._wanted.get()
            then(fetch(uri))


def fetch(uri: str) -> Fetched:
    """One GET; a redirect is an answer like any other and not followed."""
    try:
        return _get(uri)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Fetched(uri, error=f"{type(error).__name__}: {error}")


def _get(uri: str) -> Fetched:
    deadline = time.monotonic() + _SECONDS
    parts = urlsplit(uri)
    if parts.scheme not in _CONNECTIONS or parts.hostname is None:
        raise ValueError("neither http nor https")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = _CONNECTIONS[parts.scheme](parts.hostname, parts.port, timeout=_SECONDS)
    with contextlib.closing(connection):
        connection.request("GET", target)
        response = connection.getresponse()
        digest, size = hashlib.sha256(), 0
        while chunk := response.read1(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            if size > _MOST_BYTES:
                raise ValueError(f"more than {_MOST_BYTES} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError("timed out")
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        return Fetched(uri, response.status, size, digest.hexdigest())
