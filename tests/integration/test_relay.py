"""The relay between workers and the simulator: what a server does to it, it does to the client."""

import socket
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
import requests

from support.raw_server import read_request, response, serving
from support.relay import relaying
from support.simulator import until


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


def held(_: bytes, __: tuple[int, int]) -> None:
    return


def said(handle: Callable[[socket.socket], None]) -> bytes:
    """All that a client is told until the end. Raises ConnectionResetError."""
    told = b""
    with (
        serving(handle) as server,
        relaying(address(server), held) as relay,
        socket.create_connection(address(relay)) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while part := client.recv(100):
            told += part
    return told


def reset(connection: socket.socket) -> None:
    """What it has not read is how a close becomes a reset."""
    connection.recv(1)


def test_a_close_is_a_close() -> None:
    assert said(lambda connection: (read_request(connection), None)[1]) == b""


def test_a_close_behind_half_an_answer_is_that() -> None:
    def half(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")

    assert said(half) == b"HTTP/1.1 200 OK\r\nContent-Le"


def test_a_reset_is_a_reset() -> None:
    with pytest.raises(ConnectionResetError):
        said(reset)


def test_a_server_that_is_not_there_is_a_reset() -> None:
    with serving(reset) as server:
        gone = address(server)
    with (
        relaying(gone, held) as relay,
        socket.create_connection(address(relay)) as client,
        pytest.raises(ConnectionResetError),
    ):
        client.recv(1)


def test_each_request_of_a_connection_is_held_once_before_it_goes_on() -> None:
    steps: list[str] = []

    def serve(connection: socket.socket) -> None:
        while request := read_request(connection):
            steps.append(f"read {request.count(b'#')}")
            connection.sendall(response("200 OK", b"x" * 300_000))

    with (
        serving(serve) as server,
        relaying(address(server), lambda first, _: steps.append(f"held {first[:6]!r}")) as relay,
        requests.Session() as session,
    ):
        for _ in range(2):
            answer = session.post(f"{relay}/a", data=b"#" * 1_000_000, timeout=5)
            assert answer.content == b"x" * 300_000
    assert steps == ["held b'POST /'", "read 1000000"] * 2


def test_a_client_that_is_gone_is_gone_for_the_server() -> None:
    ended = threading.Event()

    def wait(connection: socket.socket) -> None:
        read_request(connection)
        assert connection.recv(1) == b""
        ended.set()

    with serving(wait) as server, relaying(address(server), held) as relay:
        with socket.create_connection(address(relay)) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        until(ended.is_set, bool)
