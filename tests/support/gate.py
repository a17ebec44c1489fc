"""A way to a server that can be shut, and on which everything can stand still."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

from support.raw_server import serving

_SIZE = 262_144


class Gate:
    """Passes on what comes from either side of each connection to `target`."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._is_open = True
        self._flows = threading.Event()
        self._flows.set()
        self._sockets: set[socket.socket] = set()

    def shut(self) -> None:
        """All connections end, and a new one does at once."""
        self._is_open = False
        for one in self._sockets.copy():
            _end(one)

    def open(self) -> None:
        self._is_open = True

    def freeze(self) -> None:
        """Connections are taken, and nothing is passed on."""
        self._flows.clear()

    def thaw(self) -> None:
        self._flows.set()

    def lead(self, client: socket.socket) -> None:
        if not self._is_open:
            return
        with socket.create_connection(self._target) as server:
            self._sockets |= {client, server}
            back = threading.Thread(target=self._pass_on, args=(server, client))
            back.start()
            try:
                self._pass_on(client, server)
            finally:
                back.join()
                self._sockets -= {client, server}

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_SIZE):
                self._flows.wait()
                sink.sendall(data)
        for one in (source, sink):
            _end(one)


@contextlib.contextmanager
def gate_to(url: str) -> Iterator[tuple[Gate, str]]:
    """A gate to the server of a URL that names its port, and the URL that leads through it."""
    parts = urlsplit(url)
    gate = Gate((parts.hostname or "127.0.0.1", parts.port or 0))
    with serving(gate.lead) as through:
        user, at, _ = parts.netloc.rpartition("@")
        place = f"{user}{at}{urlsplit(through).netloc}"
        try:
            yield gate, parts._replace(netloc=place).geturl()
        finally:
            gate.thaw()
            gate.shut()


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
