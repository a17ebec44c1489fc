"""What the simulator does with the documents of an import: it fetches them, or refuses to."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from simulator.attachments import Fetched, fetch
from support.raw_server import read_request, response, serving
from support.simulator import SimulatorHandle, running_simulator, until
from support.simulator_calls import body, landed

PDF = b"%PDF-1.7 a document of two pages"


@pytest.fixture(scope="module")
def process() -> Iterator[SimulatorHandle]:
    with running_simulator({"import_ms": 0}) as started:
        yield started


@pytest.fixture
def loop(process: SimulatorHandle) -> SimulatorHandle:
    process.reset()
    return process


@pytest.fixture
def asked() -> list[bytes]:
    """The first line of each request that the host of documents got."""
    return []


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """What `/slow` waits for before it answers."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def host(asked: list[bytes], held: threading.Event) -> Iterator[str]:
    def handle(connection: socket.socket) -> None:
        line = read_request(connection).partition(b"\r\n")[0]
        asked.append(line)
        path = line.split()[1].partition(b"?")[0]
        if path == b"/slow":
            held.wait(20)
        answers = {
            b"/moved": response("302 Found", b"", "Location: /1.pdf"),
            b"/gone": response("403 Forbidden", b"expired"),
            b"/cut": response("200 OK", PDF).removesuffix(b"pages"),
            b"/nonsense": b"nonsense\r\n\r\n",
            b"/vast": response("200 OK", bytes(10_000_001)),
        }
        connection.sendall(answers.get(path, response("200 OK", PDF)))

    with serving(handle) as url:
        yield url


def imported(loop: SimulatorHandle, *links: str) -> str:
    """The id of an import with an entry for each link."""
    document = body(entries=len(links))
    for line, link in zip(document["data"]["ecritures"][::2], links, strict=True):
        line["fichier"] = {"uri": link}
    return str(loop.post(document)["accountingImportRequestId"])


def fetched(loop: SimulatorHandle, entries: int = 1) -> list[dict[str, Any]]:
    """What was got for each entry, once it was."""
    found = until(loop.ledger, lambda ledger: sum(len(e["attachments"]) for e in ledger) == entries)
    return [one for entry in found for one in entry["attachments"]]


def test_what_is_booked_has_its_document_fetched(
    loop: SimulatorHandle, host: str, asked: list[bytes]
) -> None:
    loop.patch_settings(fetch_attachments=True)
    link = f"{host}/1.pdf?sig=a%2Bb"
    assert loop.ended(imported(loop, link)) == {"status": 3}
    digest = hashlib.sha256(PDF).hexdigest()
    assert fetched(loop) == [
        {"uri": link, "status": 200, "size": len(PDF), "sha256": digest, "error": None}
    ]
    assert asked == [b"GET /1.pdf?sig=a%2Bb HTTP/1.1"]


def test_a_document_that_cannot_be_fetched_changes_nothing_of_the_import(
    loop: SimulatorHandle, host: str, asked: list[bytes]
) -> None:
    loop.patch_settings(fetch_attachments=True)
    links = [f"{host}/gone", f"{host}/moved", "http://127.0.0.1:1/1.pdf", "file:///etc/hostname"]
    assert loop.ended(imported(loop, *links)) == {"status": 3}
    got = {one["uri"]: one for one in fetched(loop, 4)}
    assert [got[link]["status"] for link in links] == [403, 302, None, None]
    assert got[links[0]]["size"] == len("expired")
    assert all(got[link]["error"] for link in links[2:])
    # A redirect is not followed.
    assert sorted(asked) == [b"GET /gone HTTP/1.1", b"GET /moved HTTP/1.1"]


def test_nothing_is_fetched_unless_it_is_wanted_or_where_nothing_landed(
    loop: SimulatorHandle, host: str, asked: list[bytes]
) -> None:
    loop.ended(imported(loop, f"{host}/1.pdf"))
    loop.patch_settings(fetch_attachments=True)
    loop.set_faults({"fault": "failed"})
    loop.ended(imported(loop, f"{host}/2.pdf"))
    loop.set_faults()
    loop.ended(imported(loop, f"{host}/3.pdf"))
    fetched(loop)
    assert asked == [b"GET /3.pdf HTTP/1.1"]


def test_a_slow_host_holds_up_nothing(
    loop: SimulatorHandle, host: str, asked: list[bytes], held: threading.Event
) -> None:
    loop.patch_settings(fetch_attachments=True)
    imported(loop, *[f"{host}/slow"] * 3)
    until(lambda: len(asked), lambda count: count == 3)
    assert loop.ended(imported(loop, f"{host}/1.pdf")) == {"status": 3}
    assert fetched(loop)[0]["uri"] == f"{host}/1.pdf"
    held.set()
    assert {one["status"] for one in fetched(loop, 4)} == {200}


@pytest.mark.parametrize("path", ["/cut", "/nonsense", "/vast"])
def test_what_is_no_whole_answer_is_an_error(host: str, path: str) -> None:
    got = fetch(f"{host}{path}")
    assert got == Fetched(f"{host}{path}", error=got.error)
    assert got.error


@pytest.mark.parametrize(
    "uri", ["", "http://", "http://x:port/", "http://[x/", "http://127.0.0.1/\n"]
)
def test_what_is_no_link_is_an_error(uri: str) -> None:
    assert fetch(uri).error


@pytest.mark.parametrize(
    ("fault", "entries"), [("attachment_refused", 0), ("attachment_refused_after", 2)]
)
def test_loop_may_refuse_a_document_before_it_books_or_after(
    loop: SimulatorHandle, fault: str, entries: int
) -> None:
    loop.set_faults({"fault": fault})
    links = ["https://files.example.com/1.pdf", "https://files.example.com/2.pdf"]
    ended = loop.ended(imported(loop, *links))
    assert ended["status"] == 4
    assert "fichier joint" in ended["message"]
    assert landed(loop) == entries


def test_where_there_is_no_document_none_is_refused(loop: SimulatorHandle) -> None:
    loop.set_faults({"fault": "attachment_refused", "count": 1})
    assert loop.ended(loop.post(body())["accountingImportRequestId"]) == {"status": 3}
    assert loop.faults()[0]["seen"] == 0
    assert loop.ended(imported(loop, "https://files.example.com/1.pdf"))["status"] == 4
