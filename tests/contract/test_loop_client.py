"""The client against the stand-in for Loop, and on the wire (rules 5 and 7, Loop API 3.7 to 5)."""

import contextlib
import gzip
import http.client
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from passerelle import wire
from passerelle.domain.key_trial import PASSED, sentence
from passerelle.domain.outcome import Answer, Sort
from passerelle.domain.states import Reason
from passerelle.domain.verdict import Found, Row, Verdict, judge_by_origin
from passerelle.loop_api.client import Credentials, EntryFilter, Loop, Status
from schemas.loop import encode, sent_moves
from support.certificate import Trusted, make_certificate
from support.ports import free_port
from support.simulator import SimulatorHandle, until
from support.simulator_bodies import GIVEN, ISO, OTHER_SIREN, SAME_SIREN, SIRET, body

KEYS = Credentials("KEY-HUSH", "s:ecret-HUSH", "SUBSCRIPTION-HUSH")
BODY = encode(body())
ACCEPTED = {"accountingImportRequestId": "11111111-2222-3333-4444-555555555555"}
LARGEST = 32_000_000
_T = TypeVar("_T")


def discreet(said: _T) -> _T:
    """The same, once it is sure that it gives no secret away. Every answer here goes through it."""
    assert "HUSH" not in repr(said)
    return said


def client(url: str, send: float = 10, call: float = 20) -> Loop:
    return Loop(url, send_seconds=send, call_seconds=call)


def post(loop: Loop, content: bytes = BODY, started: float | None = None) -> Answer:
    return discreet(loop.post_import(KEYS, content, wire.now() if started is None else started))


def status(loop: Loop, request_id: str = "x") -> Status | Answer:
    return discreet(loop.import_status(KEYS, request_id))


def folder(loop: Loop, code: str = "GIVEN") -> Answer:
    return discreet(loop.read_folder(KEYS, code))


# Servers of a test's own, for what the stand-in cannot do.

Play = Callable[[socket.socket], object]


@contextlib.contextmanager
def serving(*plays: Play, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The URL of a server that plays once on each connection, in order; all must be called."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(20)
        # Small, so that it is soon full; what is accepted has it from the listener.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        played = pool.submit(_serve, listener, plays, tls)
        scheme = "http" if tls is None else "https"
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        played.result(20)


def _serve(listener: socket.socket, plays: tuple[Play, ...], tls: ssl.SSLContext | None) -> None:
    for play in plays:
        connection, _ = listener.accept()
        connection.settimeout(20)
        # A client that has left ends a play.
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(connection)
            if tls is not None:
                connection = stack.enter_context(tls.wrap_socket(connection, server_side=True))
            play(connection)


@dataclass(frozen=True, slots=True)
class Request:
    line: str
    headers: http.client.HTTPMessage
    body: bytes


def read_request(connection: socket.socket) -> Request:
    with connection.makefile("rb") as stream:
        line = stream.readline().decode().strip()
        headers = http.client.parse_headers(stream)
        return Request(line, headers, stream.read(int(headers.get("Content-Length", "0"))))


def read_all(connection: socket.socket) -> bytes:
    """What comes until the client has left; with a reset, what came before it."""
    found = bytearray()
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(1_000_000):
            found += piece
    return bytes(found)


def response(code: int, content: bytes | object, **headers: str) -> bytes:
    """An HTTP response; an underscore in a header's name stands for a hyphen."""
    text = content if isinstance(content, bytes) else encode(content)
    lines = [f"HTTP/1.1 {code} X", f"Content-Length: {len(text)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + text


def saying(one: bytes) -> Play:
    """Answers one request, then closes the connection."""

    def play(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(one)

    return play


def holding(start: bytes) -> Play:
    """Answers no more than this, and waits until the client leaves."""

    def play(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(start)
        read_all(connection)

    return play


def until_is(moment: float) -> None:
    until(wire.now, lambda now: now > moment)


def trickling(connection: socket.socket) -> None:
    """Begins an answer and goes on with it byte by byte, until the client leaves."""
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
    while True:
        connection.sendall(b" ")
        until_is(wire.now() + 0.05)


def said(one: bytes, ask: Callable[[Loop], _T]) -> _T:
    """What the client makes of a response."""
    with serving(saying(one)) as url:
        return ask(client(url))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Trusted:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["http", "https"])
def tls(
    request: pytest.FixtureRequest, certificate: Trusted, monkeypatch: pytest.MonkeyPatch
) -> ssl.SSLContext | None:
    """None for plain HTTP, then TLS with a certificate that the client trusts."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.file))
    return certificate.context if request.param == "https" else None


# What is asked.


def test_an_import_is_asked_for_as_loops_pages_say(tls: ssl.SSLContext | None) -> None:
    requests: list[Request] = []

    def play(connection: socket.socket) -> None:
        for _ in range(2):
            requests.append(read_request(connection))
            connection.sendall(response(200, ACCEPTED, Set_Cookie="a=b"))

    with serving(play, tls=tls) as url:
        loop = client(f"{url}/loop")
        answers = [post(loop), post(loop)]
    assert [answer.sort for answer in answers] == [Sort.ACCEPTED] * 2
    assert answers[0].request_id == ACCEPTED["accountingImportRequestId"]
    for one in requests:
        assert one.line == "POST /loop/importJson HTTP/1.1"
        assert one.body == BODY
        assert one.headers["x-apikey"] == "KEY-HUSH:s:ecret-HUSH"
        assert one.headers["Ocp-Apim-Subscription-Key"] == "SUBSCRIPTION-HUSH"
        assert one.headers["Content-Type"] == one.headers["Accept"] == "application/json"
        assert "Cookie" not in one.headers


def test_an_import_is_taken_and_followed_to_its_end(loop: SimulatorHandle) -> None:
    mine = client(loop.base_url)
    answer = post(mine)
    assert answer == Answer(Sort.ACCEPTED, "", 200, request_id=answer.request_id)
    assert answer.request_id is not None
    until(lambda: status(mine, answer.request_id or ""), lambda found: found == Status(3, ""))
    assert len(loop.ledger()) == 1


# Refusals under HTTP 200. Reference: Loop API 3.7 and 5.


def lines(value: object) -> dict[str, Any]:
    changed: dict[str, Any] = body()
    changed["data"]["ecritures"] = value
    return changed


@pytest.mark.parametrize(
    ("asked", "fragment"),
    [
        (None, "pas de payload"),
        ([], "pas de payload"),
        (body(options={"multiPeriode": False}), "contexte est obligatoire"),
        (lines([]), "pas d'écritures"),
        (lines({"a": 1}), "de tableau"),
        (lines([{}]), "au moins deux lignes"),
        (body(context={"from": "1/1/26", "to": ISO}), "format ISO"),
        (body({"dateJustif": "15/01/2026"}), "format ISO"),
        (body({"debCutOff": "x", "finCutOff": ISO}), "format ISO"),
        (body({"debCutOff": ISO, "finCutOff": "x"}), "format ISO"),
        (body({"debCutOff": ISO}), "renseignées ensemble"),
        (body({}, {"SIRET": "123"}), "SIRET est invalide"),
        (body({}, {"SIRET": SIRET[:-1] + "5"}), "SIRET est invalide"),
        (body({"SIRET": SIRET}, {"SIRET": OTHER_SIREN}), "SIREN identique"),
        (body({"SIRET": SAME_SIREN}), "n'est pas reconnu"),
        (body(folder=""), "codeIbs n'est pas"),
    ],
)
def test_a_request_that_loop_refuses_for_what_it_holds_is_refused(
    loop: SimulatorHandle, asked: object, fragment: str
) -> None:
    loop.patch_folder("GIVEN", **GIVEN)
    answer = post(client(loop.base_url), b"" if asked is None else encode(asked))
    assert fragment in answer.message
    assert answer == Answer(Sort.REFUSED, answer.message, 200)
    assert loop.imports() == []


def test_an_unknown_folder_needs_a_person(loop: SimulatorHandle) -> None:
    loop.patch_settings(strict_folders=True)
    for answer in (post(client(loop.base_url)), folder(client(loop.base_url))):
        assert "n'existe pas sur le domaine" in answer.message
        assert (answer.sort, answer.reason) == (Sort.PERSON, Reason.UNKNOWN_FOLDER)


@pytest.mark.parametrize("language", ["en", "fr", "fr_curly", "fr_plain", "fr_curly_plain"])
def test_a_refusal_of_access_needs_a_person_wherever_it_shows(
    loop: SimulatorHandle, language: str
) -> None:
    mine = client(loop.base_url)
    loop.patch_folder("GIVEN", access="refused_at_end", language=language)
    request_id = post(mine).request_id or ""
    under_way = [Status(1, ""), Status(2, "")]
    ended = until(lambda: status(mine, request_id), lambda found: found not in under_way)
    assert isinstance(ended, Status)
    assert (ended.status, ended.reason) == (4, Reason.ACCESS_DENIED)
    loop.patch_folder("GIVEN", access="refused_at_post", language=language)
    for answer in (post(mine), folder(mine)):
        assert "GIVEN" in answer.message
        assert (answer.sort, answer.reason) == (Sort.PERSON, Reason.ACCESS_DENIED)
    assert loop.ledger() == []


# What the stand-in cannot be brought to say, and what is near to what it says.
WORDS = [
    ("il faut une URL ou un chemin d'accès URI", Sort.REFUSED, None),
    ("Ambiguité : URL et URI sont données", Sort.REFUSED, None),
    (
        (
            "An error occurred during the JSON import request: The collaborator [C7] does not have "
            "access to the folder [SARL DUPONT]"
        ),
        Sort.PERSON,
        Reason.ACCESS_DENIED,
    ),
    ("LE COLLABORATEUR 7 N'A PAS ACCE\u0300S AU DOSSIER 8", Sort.PERSON, Reason.ACCESS_DENIED),
    ("le dossier 8 n\u2019existe pas sur le domaine", Sort.PERSON, Reason.UNKNOWN_FOLDER),
    ("le collaborateur 7 n'existe pas", Sort.UNKNOWN, None),
    ("le collaborateur 7 n'a pas accès au journal ACH", Sort.UNKNOWN, None),
    ("The collaborator does not have access to the account", Sort.UNKNOWN, None),
    ("le dossier 8 est fermé", Sort.UNKNOWN, None),
    ("le compte 471000 est fermé", Sort.UNKNOWN, None),
    ("Une erreur interne est survenue", Sort.UNKNOWN, None),
]


@pytest.mark.parametrize(("words", "sort", "reason"), WORDS)
def test_a_refusal_is_sorted_by_its_words(words: str, sort: Sort, reason: Reason | None) -> None:
    answer = said(response(200, {"error": {"instanceId": "x", "message": words}}), post)
    assert (answer.sort, answer.reason, answer.request_id) == (sort, reason, None)


# The gateway. Reference: Loop API 4.


@pytest.mark.parametrize("ask", [post, status, folder])
@pytest.mark.parametrize(
    ("fault", "code", "seconds"),
    [
        ("rate_limited", 429, 57),
        ("rate_limited_date", 429, 57),
        ("quota_clock", 403, 25_280),
        ("quota_days_clock", 403, 1_763_935),
        ("quota_decimal_days", 403, 183_168),
    ],
)
def test_a_gateway_that_throttles_says_for_how_long(
    loop: SimulatorHandle,
    ask: Callable[[Loop], Status | Answer],
    fault: str,
    code: int,
    seconds: float,
) -> None:
    loop.set_faults({"fault": fault})
    answer = ask(client(loop.base_url))
    assert isinstance(answer, Answer)
    assert (answer.sort, answer.http_status, answer.down) == (Sort.PAUSE, code, False)
    # A date is told in whole seconds.
    assert answer.retry_after == pytest.approx(seconds, abs=2)


@pytest.mark.parametrize(
    ("header", "seconds"), [("12", 12), ("Fri, 20 Nov 2026 12:01:30 GMT", 90), ("soon", 57)]
)
def test_a_header_that_says_for_how_long_goes_before_the_words(header: str, seconds: int) -> None:
    words = {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 57 seconds."}
    date = "Fri, 20 Nov 2026 12:00:00 GMT"
    answer = said(response(429, words, Date=date, Retry_After=header), post)
    assert (answer.sort, answer.retry_after) == (Sort.PAUSE, seconds)


@pytest.mark.parametrize("ask", [post, status, folder])
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("subscription_key_missing", 401),
        ("subscription_key_refused", 401),
        ("api_key_refused", 401),
        ("api_key_forbidden", 403),
    ],
)
def test_refused_keys_need_a_person(
    loop: SimulatorHandle, ask: Callable[[Loop], Status | Answer], fault: str, code: int
) -> None:
    loop.set_faults({"fault": fault})
    answer = ask(client(loop.base_url))
    assert isinstance(answer, Answer)
    assert (answer.sort, answer.http_status) == (Sort.PERSON, code)
    assert answer.reason is Reason.CREDENTIALS_REFUSED


# Answers that leave it open. Engine rule 7.


@pytest.mark.parametrize(
    "fault",
    [
        *("reset", "dropped", "dropped_stored", "truncated"),
        *(f"http_{code}{stored}" for code in (500, 502, 503, 504) for stored in ("", "_stored")),
        *("html", "html_stored", "neither_key", "neither_key_stored"),
    ],
)
def test_an_answer_that_leaves_it_open_is_unknown_and_asked_for_once(
    loop: SimulatorHandle, fault: str
) -> None:
    loop.set_faults({"fault": fault, "count": 1})
    mine = client(loop.base_url)
    answer = post(mine)
    assert (answer.sort, answer.reason, answer.request_id) == (Sort.UNKNOWN, None, None)
    assert answer.message
    # Who answers in JSON is at work.
    assert answer.down is not fault.startswith("neither_key")
    assert loop.count("importJson") == 1
    # What broke is not used again.
    assert post(mine).sort is Sort.ACCEPTED


@pytest.mark.parametrize("ask", [status, folder])
@pytest.mark.parametrize("fault", ["dropped", "truncated", "http_503", "html", "neither_key"])
def test_a_read_that_fails_says_nothing(
    loop: SimulatorHandle, ask: Callable[[Loop], Status | Answer], fault: str
) -> None:
    loop.set_faults({"fault": fault})
    answer = ask(client(loop.base_url))
    assert isinstance(answer, Answer)
    assert (answer.sort, answer.reason) == (Sort.UNKNOWN, None)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(code: int) -> None:
    with serving(saying(response(200, ACCEPTED))) as elsewhere:
        answer = said(response(code, b"", Location=f"{elsewhere}/importJson"), post)
        assert (answer.sort, answer.http_status) == (Sort.UNKNOWN, code)
        # It is there to be found.
        assert post(client(elsewhere)).sort is Sort.ACCEPTED


@pytest.mark.parametrize(("code", "down"), [(201, False), (204, False), (404, False), (408, True)])
def test_any_other_status_is_unknown_whatever_its_body(code: int, *, down: bool) -> None:
    answer = said(response(code, ACCEPTED), post)
    assert (answer.sort, answer.http_status, answer.down) == (Sort.UNKNOWN, code, down)


GARBAGE = {
    "nothing": b"",
    "blank": b"\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00",
    "half a line": b"HTTP/1.1 200",
    "no status": b"HTTP/1.1 OK 200\r\n\r\n",
    "status 99": b"HTTP/1.1 99 X\r\n\r\n",
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    "a long header": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n" + encode(ACCEPTED),
    "no chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + encode(ACCEPTED),
    "no gzip": response(200, b"no gzip", Content_Encoding="gzip"),
    "half a gzip": response(200, gzip.compress(encode(ACCEPTED))[:-12], Content_Encoding="gzip"),
    "deep": response(200, b"[" * 100_000),
}


@pytest.mark.parametrize("garbage", GARBAGE)
def test_an_answer_that_is_no_http_or_no_json_is_unknown(garbage: str) -> None:
    assert said(GARBAGE[garbage], post).sort is Sort.UNKNOWN


@pytest.mark.parametrize(
    ("size", "sort"),
    [(LARGEST, Sort.ACCEPTED), (LARGEST + 1, Sort.UNKNOWN), (LARGEST + 10**7, Sort.UNKNOWN)],
)
@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_of_more_than_32_megabytes_is_unknown(
    *, packed: bool, size: int, sort: Sort
) -> None:
    content = encode(ACCEPTED).ljust(size)
    one = (
        response(200, gzip.compress(content, 1), Content_Encoding="gzip")
        if packed
        else response(200, content)
    )
    with serving(saying(one), saying(response(200, ACCEPTED))) as url:
        loop = client(url)
        assert post(loop).sort is sort
        # Its rest is not taken for the next one's beginning.
        assert post(loop).sort is Sort.ACCEPTED


# Where nothing was written it certainly never arrived.


def test_a_refused_connection_may_be_tried_again() -> None:
    answer = post(client(f"http://127.0.0.1:{free_port()}"))
    assert (answer.sort, answer.down) == (Sort.AGAIN, True)


def test_a_host_without_an_address_may_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # A proxy would be asked instead.
    monkeypatch.setenv("no_proxy", "*")
    answer = post(client("https://loop.invalid"))
    assert (answer.sort, answer.down) == (Sort.AGAIN, True)


@pytest.mark.parametrize(
    "play", [lambda _: None, lambda connection: connection.sendall(response(400, b""))]
)
def test_a_server_that_speaks_no_tls_may_be_tried_again(play: Play) -> None:
    with serving(play) as url:
        answer = post(client(url.replace("http:", "https:")))
    assert (answer.sort, answer.down) == (Sort.AGAIN, True)


def test_a_certificate_that_nobody_vouches_for_gets_no_request(certificate: Trusted) -> None:
    received: list[bytes] = []
    with serving(lambda c: received.append(read_all(c)), tls=certificate.context) as url:
        answer = post(client(url))
    assert (answer.sort, answer.down) == (Sort.AGAIN, True)
    assert not any(received)


@pytest.mark.parametrize("secret", ["HUSH\r\nX: y", "HUSH\u20ac"])
def test_a_secret_that_no_header_can_hold_is_not_told(loop: SimulatorHandle, secret: str) -> None:
    keys = Credentials("KEY-HUSH", secret, "SUBSCRIPTION-HUSH")
    answer = discreet(client(loop.base_url).post_import(keys, BODY, wire.now()))
    assert answer.sort is Sort.AGAIN
    assert loop.count("importJson") == 0
    discreet(keys)


# Deadlines. Engine rule 5.


@pytest.mark.parametrize(
    # The trickled one's bytes come more often than any timeout between two of them.
    ("fault", "seconds"),
    [("slow", 60), ("slow_stored", 60), ("trickled", 10)],
)
def test_a_slow_answer_ends_with_the_call(
    loop: SimulatorHandle, fault: str, seconds: float
) -> None:
    loop.set_faults({"fault": fault, "seconds": seconds})
    mine = client(loop.base_url, send=0.5, call=0.5)
    began = wire.now()
    answer = post(mine, started=began)
    assert 0.5 <= wire.now() - began < 5
    assert (answer.sort, answer.down) == (Sort.UNKNOWN, True)


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Half",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        # Its end is the connection's end.
        b'HTTP/1.1 200 OK\r\n\r\n{"accountingImportRequestId": "1',
        b'HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"accountingImportRequestId": "1"}',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{}  \r\n",
    ],
)
def test_an_answer_that_stops_half_way_ends_with_the_call(
    tls: ssl.SSLContext | None, start: bytes
) -> None:
    with serving(holding(start), tls=tls) as url:
        began = wire.now()
        answer = post(client(url, send=0.5, call=0.5), started=began)
        assert 0.5 <= wire.now() - began < 5
    assert answer.sort is Sort.UNKNOWN


def test_an_answer_that_trickles_in_ends_with_the_call(tls: ssl.SSLContext | None) -> None:
    with serving(trickling, tls=tls) as url:
        began = wire.now()
        answer = post(client(url, send=0.5, call=0.5), started=began)
        assert 0.5 <= wire.now() - began < 5
    assert (answer.sort, answer.down) == (Sort.UNKNOWN, True)


def test_after_its_deadline_nothing_is_written(tls: ssl.SSLContext | None) -> None:
    received: list[bytes] = []
    with serving(lambda c: received.append(read_all(c)), tls=tls) as url:
        answer = post(client(url), started=wire.now() - 11)
    assert (answer.sort, answer.down) == (Sort.AGAIN, True)
    assert received == [b""]


def test_a_connection_that_takes_longer_than_the_deadline_gets_no_request(
    certificate: Trusted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.file))
    received: list[bytes] = []
    began = wire.now()

    def play(connection: socket.socket) -> None:
        until_is(began + 0.6)
        with certificate.context.wrap_socket(connection, server_side=True) as shaken:
            received.append(read_all(shaken))

    with serving(play) as url:
        answer = post(client(url.replace("http:", "https:"), send=0.5), started=began)
    assert (answer.sort, answer.down) == (Sort.AGAIN, True)
    assert received == [b""]


def test_a_server_that_stops_reading_gets_nothing_after_the_deadline(
    tls: ssl.SSLContext | None,
) -> None:
    content = b" " * LARGEST
    received: list[bytes] = []
    began = wire.now()

    def play(connection: socket.socket) -> None:
        until_is(began + 1.5)
        received.append(read_all(connection))

    with serving(play, tls=tls) as url:
        answer = post(client(url, send=1), content, began)
    assert (answer.sort, answer.down) == (Sort.UNKNOWN, True)
    assert received[0].startswith(b"POST /importJson HTTP/1.1\r\n")
    # What had gone before the deadline fills the buffers on the way, and no more comes after it.
    assert len(received[0]) < LARGEST


def test_a_server_that_stops_reading_is_left_at_the_deadline(tls: ssl.SSLContext | None) -> None:
    left = threading.Event()
    with serving(lambda _: left.wait(20), tls=tls) as url:
        began = wire.now()
        answer = post(client(url, send=0.5), b" " * LARGEST, began)
        assert 0.5 <= wire.now() - began < 4
        left.set()
    assert (answer.sort, answer.down) == (Sort.UNKNOWN, True)


# A connection that is kept.


@pytest.mark.parametrize("linger", [None, struct.pack("ii", 1, 0)], ids=["closed", "reset"])
def test_a_connection_that_was_closed_while_idle_is_not_used(
    tls: ssl.SSLContext | None, linger: bytes | None
) -> None:
    idle, closed = threading.Event(), threading.Event()

    def play(connection: socket.socket) -> None:
        saying(response(200, ACCEPTED))(connection)
        idle.wait(20)
        if linger is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.close()
        closed.set()

    with serving(play, saying(response(200, ACCEPTED)), tls=tls) as url:
        loop = client(url)
        assert post(loop).sort is Sort.ACCEPTED
        idle.set()
        assert closed.wait(20)
        assert post(loop).sort is Sort.ACCEPTED


def test_a_kept_connection_that_is_closed_on_a_request_is_unknown_and_not_asked_again() -> None:
    def play(connection: socket.socket) -> None:
        saying(response(200, ACCEPTED))(connection)
        read_request(connection)

    with serving(play, saying(response(200, ACCEPTED))) as url:
        loop = client(url)
        assert [post(loop).sort for _ in range(3)] == [Sort.ACCEPTED, Sort.UNKNOWN, Sort.ACCEPTED]


# How far an import is. Reference: Loop API 3.10.


@pytest.mark.parametrize(
    ("fault", "end"),
    [
        ("stuck_waiting", Status(1, "")),
        ("stuck_running", Status(2, "")),
        ("failed", Status(4, "")),
        ("status_unknown", Status(7, "")),
        ("status_as_text", Status(3, "")),
        ("status_as_statut", Status(3, "")),
    ],
)
def test_a_status_is_read_however_it_is_spelt(
    loop: SimulatorHandle, fault: str, end: Status
) -> None:
    loop.set_faults({"fault": fault})
    mine = client(loop.base_url)
    request_id = post(mine).request_id or ""
    until(lambda: status(mine, request_id), lambda found: found == end)


def test_an_import_that_loop_does_not_know_is_told_from_an_unknown_answer(
    loop: SimulatorHandle,
) -> None:
    found = status(client(loop.base_url), "11111111-2222-3333-4444-555555555555")
    assert isinstance(found, Status)
    assert (found.status, found.known) == (None, False)
    found = said(response(404, b""), status)
    assert isinstance(found, Status)
    assert (found.status, found.known) == (None, False)


def test_the_query_of_a_status_and_of_a_folder_is_escaped() -> None:
    lines: list[str] = []

    def play(connection: socket.socket) -> None:
        lines.append(read_request(connection).line)
        connection.sendall(response(200, b"[]"))

    with serving(play, play) as url:
        status(client(url), "a&b=c")
        folder(client(url), "É &+1")
    assert lines == [
        "GET /getImportStatus?accountingImportRequestId=a%26b%3Dc HTTP/1.1",
        "GET /journal?codeDossier=%C3%89+%26%2B1&skip=0&take=1 HTTP/1.1",
    ]


# Whether a folder is there.


def test_a_folder_whose_list_can_be_read_is_reached(loop: SimulatorHandle) -> None:
    loop.patch_folder("GIVEN", **GIVEN)
    assert folder(client(loop.base_url)) == Answer(Sort.ACCEPTED, "", 200)
    assert said(response(200, {"data": []}), folder).sort is Sort.ACCEPTED


def test_a_folder_refused_in_words_that_are_not_known_needs_a_person() -> None:
    answer = said(response(200, {"error": {"message": "dossier archivé"}}), folder)
    assert (answer.sort, answer.reason) == (Sort.PERSON, Reason.UNKNOWN_FOLDER)
    assert answer.message == "dossier archivé"


def test_a_status_that_speaks_of_access_needs_a_person() -> None:
    words = "Le collaborateur 7 n'a pas accès au dossier X"
    body = f'{{"error": {{"instanceId": "1", "message": "{words}"}}}}'.encode()
    found = said(response(200, body), status)
    assert isinstance(found, Answer)
    assert (found.sort, found.reason) == (Sort.PERSON, Reason.ACCESS_DENIED)


# The lines of an entry, by its origin.

ORIGIN = "24d61dbb-674d-5d13-a9e7-91b519531d88"


def entry(loop: Loop, code: str = "GIVEN", origin: str = ORIGIN) -> list[Row] | Answer:
    return discreet(loop.find_entries(KEYS, code, EntryFilter(origin=origin)))


def by_origin(found: list[Row] | Answer) -> Verdict:
    assert isinstance(found, list)
    sent = sent_moves(body()["data"]["ecritures"])
    return judge_by_origin(sent, Found(found, complete=True), ORIGIN)


def test_an_entry_is_found_by_its_origin_with_what_its_lines_move(loop: SimulatorHandle) -> None:
    assert entry(client(loop.base_url)) == []
    answer = post(client(loop.base_url))
    loop.ended(str(answer.request_id))
    assert by_origin(entry(client(loop.base_url))) is Verdict.PRESENT
    other = entry(client(loop.base_url), origin="8c5f2f0e-3b0e-5d0b-9c4e-7a1f0c9d2e55")
    assert other == []


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        ({"fault": "filter_ignored", "route": "EcritureComptable"}, Verdict.PRESENT),
        ({"fault": "waiting_third_party"}, Verdict.DIFFERENT),
        ({"fault": "origin_dropped"}, Verdict.ABSENT),
        ({"fault": "origin_rewritten"}, Verdict.ABSENT),
        ({"fault": "hidden", "seconds": 60}, Verdict.ABSENT),
        ({"fault": "row_cap", "route": "EcritureComptable", "rows": 1}, Verdict.PARTIAL),
    ],
)
def test_what_went_wrong_shows_in_the_verdict(
    loop: SimulatorHandle, fault: dict[str, Any], verdict: Verdict
) -> None:
    loop.set_faults(fault)
    answer = post(client(loop.base_url))
    loop.ended(str(answer.request_id))
    assert by_origin(entry(client(loop.base_url))) is verdict


@pytest.mark.parametrize(
    "answer",
    [
        {"rows": []},
        [{"compteNumero": "601"}],
        [{"debit": 1, "credit": 0}],
        [{"compteNumero": 601, "debit": 1, "credit": 0}],
        [{"compteNumero": "601", "debit": "x", "credit": 0}],
        [{"compteNumero": "601", "debit": 1e400, "credit": 0}],
        [{"compteNumero": "601", "debit": [1], "credit": 0}],
        ["601"],
    ],
)
def test_lines_that_cannot_be_read_are_no_absence(answer: object) -> None:
    found = said(response(200, answer), entry)
    assert isinstance(found, Answer)
    assert found.sort is Sort.UNKNOWN


def test_lines_are_read_under_each_likely_name() -> None:
    rows = [
        {"compte": "401000", "tiers": "F1", "debit": {"amount": 1}, "credit": None},
        {"numeroCompte": "401000", "codeTiers": "F1", "debit": "1.00", "credit": 0},
        {"compteNumero": "401000", "tiersCode": "F1", "debit": 1.0, "credit": 0.0},
    ]
    found = said(
        response(200, {"data": [{**row, "ecritureOrigine": ORIGIN} for row in rows]}), entry
    )
    assert isinstance(found, list)
    assert len({row.moved for row in found}) == 1


def test_a_refused_question_is_sorted_as_any_refusal(loop: SimulatorHandle) -> None:
    loop.patch_folder("SHUT", access="refused_at_post")
    answer = entry(client(loop.base_url), "SHUT")
    assert isinstance(answer, Answer)
    assert answer.reason is Reason.ACCESS_DENIED
    down = said(response(503, b""), entry)
    assert isinstance(down, Answer)
    assert (down.sort, down.down) == (Sort.UNKNOWN, True)


def test_the_filter_of_a_question_is_escaped() -> None:
    lines: list[str] = []

    def play(connection: socket.socket) -> None:
        lines.append(read_request(connection).line)
        connection.sendall(response(200, b"[]"))

    with serving(play) as url:
        entry(client(url), "A&B")
    query = f"codeDossier=A%26B&filter=ecritureOrigine%3D%3D%22{ORIGIN}%22"
    assert lines == [f"GET /EcritureComptable?{query} HTTP/1.1"]


# Keys are tried by a read that needs no folder, and what came of it is one sentence.


def tried(url: str, call: float = 20) -> str:
    """The sentence for the person who gave the keys."""
    return discreet(sentence(discreet(client(url, send=call, call=call).try_keys(KEYS))))


NOT_FOUND = {"statusCode": 404, "message": "Resource not found"}
UNKNOWN_REQUEST = {"error": {"message": "la demande d'import est inconnue"}}
CHALLENGE = 'AzureApiManagementKey realm="x",name="Ocp-Apim-Subscription-Key",type="header"'
TRIED = {
    "an import that is not known": (response(200, UNKNOWN_REQUEST), PASSED),
    "a status": (response(200, {"status": 3}), PASSED),
    "not found, in Loop's words": (response(404, UNKNOWN_REQUEST), PASSED),
    "not found, without a word": (response(404, b""), PASSED),
    "not found, by the gateway": (response(404, NOT_FOUND), "no Loop API at this address"),
    "not found, by a web server": (response(404, b"<html>"), "no Loop API at this address"),
    "a page": (response(200, b"<html>"), "A page came instead of an answer"),
    "nothing": (response(200, b""), "A page came instead of an answer"),
    "a redirect": (response(302, b"", Location="https://login.example"), "leads elsewhere"),
    "a proxy's login": (response(407, b""), "The proxy on the way"),
    "a challenge alone": (
        response(401, b"", WWW_Authenticate=CHALLENGE),
        "subscription key is wrong",
    ),
    "unauthorised": (response(401, b""), "Loop refuses the API key"),
    "no access, in the words of a folder": (
        response(403, {"message": "n'a pas accès au dossier"}),
        "Loop refuses the API key",
    ),
    "no HTTP": (b"garbage\r\n\r\n", "failed or was cut"),
    "nothing at all": (b"", "failed or was cut"),
}


@pytest.mark.parametrize("answer", TRIED)
def test_what_a_trial_of_keys_came_to_is_told(answer: str) -> None:
    one, words = TRIED[answer]
    with serving(saying(one)) as url:
        assert words in tried(url)


FAULTS = {
    "subscription_key_missing": "subscription key did not reach Loop",
    "subscription_key_refused": "subscription key is wrong",
    "api_key_refused": "Loop refuses the API key",
    "api_key_forbidden": "Loop refuses the API key",
    "rate_limited": "try again in 57 s.",
    "rate_limited_date": "asked too often",
    "quota_clock": "used up; try again in 7 h 2 min.",
    "quota_days_clock": "used up; try again in 20 d 10 h.",
    "quota_decimal_days": "used up; try again in 2 d 3 h.",
    "html": "A page came instead of an answer",
    "http_500": "Loop is down (HTTP 500)",
    "http_502": "Loop is down (HTTP 502)",
    "http_503": "Loop is down (HTTP 503)",
    "http_504": "Loop is down (HTTP 504)",
    "dropped": "failed or was cut",
    "truncated": "failed or was cut",
    "request_unknown": PASSED,
    "status_unknown": PASSED,
    "neither_key": PASSED,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_trial_of_keys_meets_every_fault(loop: SimulatorHandle, fault: str) -> None:
    loop.set_faults({"fault": fault, "route": "getImportStatus"})
    assert FAULTS[fault] in tried(loop.base_url)


def test_a_trial_on_a_wrong_path_is_told(loop: SimulatorHandle) -> None:
    assert "no Loop API at this address" in tried(f"{loop.url}/loop-api-publique")


def test_a_trial_that_takes_too_long_is_told(loop: SimulatorHandle) -> None:
    loop.set_faults({"fault": "slow", "seconds": 60})
    assert "did not answer in time" in tried(loop.base_url, call=1)


def test_a_trial_that_reaches_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nothing listens" in tried(f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{free_port()}")
    assert "proxy on the way" in tried("https://loop.invalid")
    monkeypatch.setenv("no_proxy", "*")
    assert "no address" in tried("https://loop.invalid")


def test_a_trial_over_tls_that_nobody_vouches_for_is_told(certificate: Trusted) -> None:
    received: list[bytes] = []
    with serving(lambda c: received.append(read_all(c)), tls=certificate.context) as url:
        assert "not to be trusted" in tried(url)
    assert not any(received)
    with serving(lambda connection: connection.sendall(response(400, b""))) as url:
        assert "not to be trusted" in tried(url.replace("http:", "https:"))
