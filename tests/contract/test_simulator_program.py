"""The simulator as a program: start, end, what it says when it cannot, and its own door."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from support.simulator import KEYS, ROOT, SimulatorHandle, running_simulator


@pytest.fixture(scope="module")
def process() -> Iterator[SimulatorHandle]:
    with running_simulator({"latency_ms": 0, "folders": [{"code": "D"}]}) as started:
        yield started


@pytest.fixture
def loop(process: SimulatorHandle) -> SimulatorHandle:
    process.reset()
    return process


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simulator", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_a_second_even_while_it_answers(number: signal.Signals) -> None:
    with running_simulator({"faults": [{"fault": "slow"}]}) as loop:
        with contextlib.suppress(requests.ReadTimeout):
            loop.session.get(f"{loop.url}/getFileUrlDeposit", timeout=0.1)
        began = time.monotonic()
        os.kill(loop.process.pid, number)
        assert loop.process.wait(timeout=10) == 0
        assert time.monotonic() - began < 1


def test_a_taken_port_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("--port", str(port))
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == f"Cannot listen on 127.0.0.1:{port}: Address already in use.\n"


def test_a_port_that_was_just_freed_is_taken_again() -> None:
    with running_simulator() as first:
        assert first.call("GET", "journal", params={"codeDossier": "D"}).ok
        port = int(first.url.rpartition(":")[2])
    with running_simulator(port=port) as second:
        assert second.url == first.url


@pytest.mark.parametrize("port", ["x", "-1", "65536", "8\u0966"])
def test_a_port_that_is_none_is_wrong_usage(port: str) -> None:
    assert run("--port", port).returncode == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("missing.toml", None),
        ("broken.toml", "seed = "),
        ("broken.json", "{"),
        ("list.json", "[]"),
        ("binary.toml", "\x00"),
    ],
)
def test_an_unreadable_scenario_is_one_sentence(
    tmp_path: Path, name: str, text: str | None
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text, encoding="utf-8")
    ended = run("--port", "0", "--scenario", str(path))
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert str(path) in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_wrong_scenario_names_every_fault(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(
        """
        latency_ms = -1
        colour = "blue"
        [rate_limit]
        calls = 0
        [[folders]]
        code = "A"
        access = "maybe"
        [[folders]]
        code = "B"
        open_from = 2026-12-31
        open_to = 2026-01-01
        accounts = [{ code = "601", closed = "no" }, { label = "x" }]
        [[faults]]
        fault = "droped"
        """,
        encoding="utf-8",
    )
    ended = run("--port", "0", "--scenario", str(path))
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    for place in (
        "latency_ms",
        "colour",
        "rate_limit.calls",
        "rate_limit.seconds",
        "folders[0].access",
        "folders[1].accounts[0].closed",
        "folders[1].accounts[1].code",
        "faults[0].fault",
    ):
        assert f" {place}: " in ended.stderr


def test_a_scenario_in_toml_is_played(tmp_path: Path) -> None:
    path = tmp_path / "night.toml"
    text = (ROOT / "simulator" / "scenario.py").read_text(encoding="utf-8")
    # The example in the module's own documentation.
    example = text.split('"""')[1].partition("optional.")[2].rpartition("A list of accounts")[0]
    path.write_text(example, encoding="utf-8")
    started = subprocess.Popen(
        [sys.executable, "-m", "simulator", "--port", "0", "--scenario", str(path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with started:
        try:
            assert started.stdout is not None
            url = started.stdout.readline().removeprefix("READY ").strip()
            answer = requests.get(
                f"{url}/compte",
                params={"codeDossier": "CEGID003"},
                headers={"x-apikey": "KEY:may:hold:colons", "Ocp-Apim-Subscription-Key": "SUB"},
                timeout=10,
            )
            assert [account["numero"] for account in answer.json()] == ["60100000"]
        finally:
            started.kill()


def test_it_listens_on_loopback_and_says_where(loop: SimulatorHandle) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", loop.url)
    assert loop.admin("GET", "health") == {"status": "ok"}


def test_requests_are_counted_by_route_folder_and_kind(loop: SimulatorHandle) -> None:
    loop.call("GET", "journal", params={"codeDossier": "D"})
    loop.call("GET", "JOURNAL", params={"codeDossier": "D"})
    loop.call("GET", "journal")
    loop.call("GET", "journal", headers={"x-apikey": ""})
    loop.call("GET", "nothing")
    found = loop.requests()
    assert found["total"] == 5
    assert {
        (row["route"], row["folder"], row["kind"], row["count"]) for row in found["counts"]
    } == {
        ("journal", "D", "answered", 2),
        ("journal", None, "refused", 1),
        ("journal", None, "http_401", 1),
        ("unknown", None, "http_404", 1),
    }
    assert [row["method"] for row in found["last"]] == ["GET"] * 5
    assert all(row["at"].endswith("+00:00") and row["seconds"] >= 0 for row in found["last"])


def test_latency_delays_every_answer_of_loop_and_none_of_this_door(loop: SimulatorHandle) -> None:
    loop.patch_settings(latency_ms=300)
    began = time.monotonic()
    loop.call("GET", "journal", params={"codeDossier": "D"})
    assert time.monotonic() - began >= 0.3
    assert loop.requests()["last"][0]["seconds"] >= 0.3


def test_the_time_between_two_requests_of_a_connection_is_no_time_of_an_answer(
    loop: SimulatorHandle,
) -> None:
    query = {"codeDossier": "D"}
    loop.patch_settings(latency_ms=300)
    with requests.Session() as session:
        session.headers.update(KEYS)
        session.get(f"{loop.url}/journal", params=query, timeout=10)
        loop.patch_settings(latency_ms=0)
        # Another connection's slow answer is the pause.
        loop.set_faults({"fault": "slow_stored", "seconds": 0.5, "count": 1})
        loop.call("GET", "journal", params=query)
        session.get(f"{loop.url}/journal", params=query, timeout=10)
    assert loop.requests()["last"][-1]["seconds"] < 0.4


def test_settings_are_changed_one_by_one(loop: SimulatorHandle) -> None:
    limit = {"calls": 5, "seconds": 1.0}
    loop.patch_settings(import_ms=5)
    assert loop.patch_settings(rate_limit=limit, strict_folders=True) == {
        "latency_ms": 0,
        "import_ms": 5,
        "strict_folders": True,
        "fetch_attachments": False,
        "rate_limit": limit,
    }
    assert loop.patch_settings(rate_limit=None)["rate_limit"] is None


def test_a_folder_is_made_and_changed(loop: SimulatorHandle) -> None:
    loop.patch_settings(strict_folders=True)
    loop.patch_folder("N/É", journals=[{"code": "ACH"}])
    query = {"codeDossier": "N/É"}
    assert len(loop.call("GET", "journal", params=query).json()) == 1
    loop.patch_folder("N/É", journals=None, open_from="2026-01-01")
    assert loop.call("GET", "journal", params=query).json() == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "nothing", None, 404),
        ("POST", "ledger", None, 404),
        ("GET", "folders/D", None, 405),
        ("GET", "ledger?limit=x", None, 400),
        ("GET", "ledger?offset=-1", None, 400),
        ("PATCH", "folders/D", "{", 400),
        ("PATCH", "folders/D", '{"access": "maybe"}', 400),
        ("PATCH", "folders/D", '{"code": "E"}', 400),
        ("PATCH", "folders/D", "[]", 400),
        ("PATCH", "settings", '{"latency": 3}', 400),
        ("PATCH", "settings", '{"latency_ms": true}', 400),
        ("PUT", "faults", "{}", 400),
        ("PUT", "faults", '{"faults": [{"fault": "x"}]}', 400),
    ],
)
def test_a_wrong_request_to_this_door_names_its_faults(
    loop: SimulatorHandle, method: str, path: str, body: str | None, status: int
) -> None:
    answer = loop.session.request(method, f"{loop.url}/_simulator/{path}", data=body, timeout=10)
    assert answer.status_code == status
    assert answer.json()["errors"]


def test_reset_goes_back_to_the_scenario(loop: SimulatorHandle) -> None:
    line = {"date": "2026-01-01", "journal": "ACH", "compte": "601"}
    body: dict[str, Any] = {
        "codeIbs": "D",
        "data": {"options": {"multiPeriode": True}, "ecritures": [line, line]},
    }
    loop.patch_folder("D", collaborator="X")
    loop.patch_settings(latency_ms=1, import_ms=60_000)
    loop.set_faults({"fault": "twin"})
    request_id = loop.post(body)["accountingImportRequestId"]
    assert loop.status(request_id) == {"status": 1}
    loop.reset()
    assert "error" in loop.status(request_id)
    assert loop.imports() == []
    assert loop.faults() == []
    assert loop.patch_settings()["latency_ms"] == 0
    assert loop.requests()["total"] == 1


def test_the_ledger_comes_in_pages(loop: SimulatorHandle) -> None:
    loop.patch_settings(import_ms=0)
    lines = [
        {"date": "2026-01-01", "journal": "ACH", "compte": "601", "refPiece": str(number)}
        for number in range(30)
    ]
    data = {"options": {"multiPeriode": True}, "ecritures": lines}
    loop.ended(loop.post({"codeIbs": "D", "data": data})["accountingImportRequestId"])
    page = loop.admin("GET", "ledger", folder="D", limit=4, offset=28)
    assert page["total"] == 30
    assert [entry["piece_ref"] for entry in page["entries"]] == ["28", "29"]
    assert len(loop.ledger()) == 30


def test_a_body_that_breaks_off_harms_no_other_request(loop: SimulatorHandle) -> None:
    address = ("127.0.0.1", int(loop.url.rpartition(":")[2]))
    with socket.create_connection(address) as connection:
        connection.sendall(b"POST /importJson HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
    assert loop.admin("GET", "health") == {"status": "ok"}
    assert loop.call("GET", "journal", params={"codeDossier": "D"}).json() == []


def test_a_connection_is_kept_from_request_to_request(loop: SimulatorHandle) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", int(loop.url.rpartition(":")[2]))
    with contextlib.closing(connection):
        sockets = set()
        for _ in range(3):
            connection.request("POST", "/importJson", b"{}", KEYS)
            assert connection.getresponse().read().startswith(b'{"error":')
            sockets.add(connection.sock)
        assert len(sockets) == 1
