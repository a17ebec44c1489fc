"""Stands between a client and a server on loopback, and stops each request before it goes on.

What happens to one connection happens to the other: bytes, the end of them, a reset.
"""

import contextlib
import selectors
import socket
import struct
from collections.abc import Callable, Iterator

from support.raw_server import serving

_SIZE = 262_144
_AT_ONCE = struct.pack("ii", 1, 0)


@contextlib.contextmanager
def relaying(
    target: tuple[str, int], hold: Callable[[bytes, tuple[int, int]], None]
) -> Iterator[str]:
    """The URL of a relay to `target`.

    `hold` is called with the first bytes of a request and the ports of the client's connection,
    the client's own first; the request goes on when it returns.
    """
    servers: set[socket.socket] = set()

    def relay(client: socket.socket) -> None:
        ports = (client.getpeername()[1], client.getsockname()[1])
        try:
            with socket.create_connection(target) as server:
                servers.add(server)
                try:
                    _relay(client, server, lambda first: hold(first, ports))
                finally:
                    servers.discard(server)
        except OSError:
            _end_by_reset(client)

    with serving(relay) as url:
        try:
            yield url
        finally:
            # A server that says nothing more would keep its connection, and the relay, for ever.
            for server in servers.copy():
                with contextlib.suppress(OSError):
                    server.shutdown(socket.SHUT_RDWR)


def _relay(client: socket.socket, server: socket.socket, hold: Callable[[bytes], None]) -> None:
    """Until both have said all they had to say. Raises OSError: one of them is gone."""
    for connection in (client, server):
        # The bytes were waited for once already, by who sent them.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    begins = True
    with selectors.DefaultSelector() as ready:
        ready.register(client, selectors.EVENT_READ)
        ready.register(server, selectors.EVENT_READ)
        try:
            while ready.get_map():
                for key, _ in ready.select():
                    source, sink = (client, server) if key.fileobj is client else (server, client)
                    data = source.recv(_SIZE)
                    if not data:
                        ready.unregister(source)
                        sink.shutdown(socket.SHUT_WR)
                        continue
                    if source is client and begins:
                        hold(data)
                    begins = source is server
                    _pass(data, client, server, sink)
        except OSError:
            _end_by_reset(server)
            raise


def _pass(data: bytes, client: socket.socket, server: socket.socket, sink: socket.socket) -> None:
    try:
        sink.sendall(data)
    except OSError:
        # It may have answered before it went, as to a body that it did not want.
        if sink is server:
            with contextlib.suppress(OSError):
                while rest := server.recv(_SIZE):
                    client.sendall(rest)
        raise


def _end_by_reset(connection: socket.socket) -> None:
    """What is closed next is reset by that."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
