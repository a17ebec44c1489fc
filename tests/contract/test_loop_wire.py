"""What no stand-in for Loop shows: our client's sockets, and when it writes (engine rule 5)."""

import socket
import threading
from collections.abc import Callable

import pytest

from passerelle import wire
from passerelle.domain.outcome import Answer, Sort
from passerelle.loop_api.client import Credentials, Loop
from support.raw_server import read_request, response, serving

KEYS = Credentials("KEY", "SECRET", "SUBSCRIPTION")
YES = b'{"accountingImportRequestId": "11111111-2222-3333-4444-555555555555"}'
SECONDS = 0.4


def post(
    url: str, body: bytes = b"{}", *, late: float = 0, send: float = 5, call: float = 10
) -> Answer:
    """POST by a client of its own, which set out `late` seconds ago."""
    client = Loop(url, send_seconds=send, call_seconds=call)
    return client.post_import(KEYS, body, wire.now() - late)


def answering(
    answer: bytes, requests: list[bytes] | None = None
) -> Callable[[socket.socket], None]:
    """Gives the same answer to every request of a connection."""

    def handle(connection: socket.socket) -> None:
        while request := read_request(connection):
            if requests is not None:
                requests.append(request)
            connection.sendall(answer)

    return handle


def test_an_answer_that_ends_with_its_connection_is_read_whole() -> None:
    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + YES)

    with serving(handle) as url:
        assert post(url).sort is Sort.ACCEPTED


def test_a_head_that_comes_byte_by_byte_is_not_waited_for() -> None:
    def handle(connection: socket.socket) -> None:
        read_request(connection)
        pause = threading.Event()
        for byte in response("200 OK", YES):
            connection.sendall(bytes([byte]))
            pause.wait(0.05)

    start = wire.now()
    with serving(handle) as url:
        answer = post(url, send=SECONDS / 2, call=SECONDS)
        assert SECONDS - 0.05 <= wire.now() - start <= SECONDS + 1
    assert answer.sort is Sort.UNKNOWN


def test_an_answer_that_we_cut_off_is_not_taken_for_a_whole_one() -> None:
    """Without a length, an answer ends with its connection; our own cut looks just like it."""

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.0 403 Forbidden\r\n\r\n{")
        connection.recv(1)

    with serving(handle) as url:
        answer = post(url, send=SECONDS / 2, call=SECONDS)
    assert answer == Answer(Sort.UNKNOWN, "Loop did not answer in time.", down=True)


def test_a_body_that_the_server_takes_slowly_stops_at_the_deadline() -> None:
    """Each single write would end in time."""
    received: list[int] = []

    def handle(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 50_000)
        pause, total = threading.Event(), 0
        while part := connection.recv(200_000):
            total += len(part)
            pause.wait(0.02)
        received.append(total)

    with serving(handle) as url:
        start = wire.now()
        answer = post(url, b" " * 60_000_000, send=SECONDS, call=20)
        assert wire.now() - start <= SECONDS + 1
    assert answer.sort is Sort.UNKNOWN
    assert received[0] < 60_000_000


def test_the_send_deadline_counts_on_a_kept_connection_too() -> None:
    requests: list[bytes] = []
    with serving(answering(response("200 OK", YES), requests)) as url:
        client = Loop(url, send_seconds=5, call_seconds=10)
        assert client.post_import(KEYS, b"{}", wire.now()).sort is Sort.ACCEPTED
        assert client.post_import(KEYS, b"{}", wire.now() - 6).sort is Sort.AGAIN
        assert client.post_import(KEYS, b"{}", wire.now()).sort is Sort.ACCEPTED
    assert len(requests) == 2


def test_a_cookie_is_not_kept() -> None:
    requests: list[bytes] = []
    answer = response("200 OK", YES, "Set-Cookie: session=1; Path=/")
    with serving(answering(answer, requests)) as url:
        client = Loop(url, send_seconds=5, call_seconds=10)
        for _ in range(2):
            client.post_import(KEYS, b"{}", wire.now())
    assert not any(b"cookie" in request.lower() for request in requests)


def test_a_socket_notices_a_peer_that_acknowledges_nothing() -> None:
    with (
        serving(answering(response("200 OK", YES))) as url,
        wire.make_session() as session,
        wire.calling(wire.now() + 5, wire.now() + 10) as call,
        session.get(url) as _,
    ):
        assert call.sock is not None
        timeout = call.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert 0 < timeout <= 20_000
        assert call.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_no_request_leaves_outside_of_a_call() -> None:
    with (
        serving(answering(response("200 OK", YES))) as url,
        wire.make_session() as session,
        pytest.raises(RuntimeError, match="outside"),
    ):
        session.get(url)
