"""Ports on the loopback address."""

import contextlib
import errno
import socket

from passerelle.embedded.errors import EmbeddedError

LOOPBACK = "127.0.0.1"
_HIGHEST = 65_535


def require_free(port: int, name: str) -> None:
    """See that `name` can listen on `port`.

    Raises:
        EmbeddedError: somebody else listens there, or the system refuses the port.
    """
    with socket.socket() as probe:
        # As the servers do: connections that have just ended do not hold a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            raise EmbeddedError(
                f"Port {port} of {LOOPBACK}, which {name} needs, "
                f"{'is taken' if taken else f'cannot be had ({error.strerror})'}: "
                "choose others with --port-base, or end the program that holds it."
            ) from error


def free_base(first: int, count: int) -> int:
    """The first of `count` ports in a row that are free now, from `first` on.

    Raises:
        EmbeddedError: there are none.
    """
    for base in range(first, _HIGHEST - count + 1, count):
        with contextlib.suppress(EmbeddedError):
            for port in range(base, base + count):
                require_free(port, "a server")
            return base
    raise EmbeddedError(f"No {count} ports in a row are free from {first} on.")
