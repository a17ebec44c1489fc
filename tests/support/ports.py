"""Ports for servers of tests."""

import contextlib
import secrets
import socket


def free_port() -> int:
    """A port of the loopback address on which nobody listens.

    Not one of those that the system gives to outgoing connections: one could have it a moment
    later. By the system's chance, not by `random`: pytest-randomly seeds all processes alike.
    """
    while True:
        port = 15_000 + secrets.randbelow(15_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
