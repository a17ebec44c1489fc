"""Faults on the wire, and when a rule acts."""

import copy
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from support.simulator import SimulatorHandle, running_simulator, until
from support.simulator_calls import body, landed, post


@pytest.fixture(scope="module")
def process() -> Iterator[SimulatorHandle]:
    with running_simulator({"import_ms": 0, "seed": 7}) as started:
        yield started


@pytest.fixture
def loop(process: SimulatorHandle) -> SimulatorHandle:
    process.reset()
    return process


@pytest.mark.parametrize(("fault", "stored"), [("reset", 0), ("dropped", 0), ("dropped_stored", 1)])
def test_a_connection_breaks_without_an_answer(
    loop: SimulatorHandle, fault: str, stored: int
) -> None:
    loop.set_faults({"fault": fault, "route": "importJson", "count": 1})
    with pytest.raises(requests.ConnectionError):
        post(loop)
    assert landed(loop) == stored
    assert loop.count("importJson", kind=fault) == 1
    assert post(loop).status_code == 200


def test_a_reset_comes_before_the_body_is_read(loop: SimulatorHandle) -> None:
    loop.set_faults({"fault": "reset"})

    def half() -> Iterator[bytes]:
        yield b'{"codeIbs": "D", '
        until(lambda: loop.count("importJson", kind="reset"), lambda times: times == 1)
        # The rest has nowhere to go; the second piece meets the reset.
        yield b" " * 1_000_000
        yield b" " * 1_000_000

    with pytest.raises(requests.ConnectionError):
        loop.call("POST", "importJson", data=half())


def test_a_reset_leaves_unread_what_came_together_with_the_headers(loop: SimulatorHandle) -> None:
    loop.set_faults({"fault": "reset"})
    content = json.dumps(body()).encode()
    head = (
        b"POST /importJson HTTP/1.1\r\nHost: x\r\nx-apikey: a:b\r\n"
        b"Ocp-Apim-Subscription-Key: c\r\nContent-Length: %d\r\n\r\n" % len(content)
    )
    address = ("127.0.0.1", int(loop.url.rpartition(":")[2]))
    with socket.create_connection(address) as connection:
        connection.sendall(head + content)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert loop.imports() == []


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize(("suffix", "stored"), [("", 0), ("_stored", 1)])
def test_a_server_error_comes_before_or_after_storing(
    loop: SimulatorHandle, status: int, suffix: str, stored: int
) -> None:
    loop.set_faults({"fault": f"http_{status}{suffix}", "count": 1})
    assert post(loop).status_code == status
    assert landed(loop) == stored


@pytest.mark.parametrize(
    ("fault", "content_type", "stored"),
    [
        ("html", "text/html", 0),
        ("html_stored", "text/html", 1),
        ("neither_key", "application/json", 0),
        ("neither_key_stored", "application/json", 1),
    ],
)
def test_a_200_may_say_nothing_of_use(
    loop: SimulatorHandle, fault: str, content_type: str, stored: int
) -> None:
    loop.set_faults({"fault": fault, "route": "importjson"})
    answer = post(loop)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(content_type)
    assert "accountingImportRequestId" not in answer.text
    assert "error" not in answer.text
    assert landed(loop) == stored


@pytest.mark.parametrize(
    "fault",
    [
        "rate_limited",
        "rate_limited_date",
        "quota_clock",
        "quota_days_clock",
        "quota_decimal_days",
        "subscription_key_missing",
        "subscription_key_refused",
        "api_key_refused",
        "api_key_forbidden",
    ],
)
def test_what_the_gateway_turns_away_never_reaches_loop(loop: SimulatorHandle, fault: str) -> None:
    loop.set_faults({"fault": fault})
    assert post(loop).status_code in {401, 403, 429}
    assert landed(loop) == 0


def test_a_truncated_answer_ends_half_way(loop: SimulatorHandle) -> None:
    loop.set_faults({"fault": "truncated"})
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        post(loop)
    assert landed(loop) == 1


@pytest.mark.parametrize(("fault", "stored"), [("slow", 0), ("slow_stored", 1)])
def test_a_slow_answer_is_worked_off_before_or_after_the_client_left(
    loop: SimulatorHandle, fault: str, stored: int
) -> None:
    loop.set_faults({"fault": fault, "seconds": 1.5, "count": 1})
    with pytest.raises(requests.ReadTimeout):
        loop.session.post(
            f"{loop.url}/importJson",
            json=body(),
            headers={"x-apikey": "a:b", "Ocp-Apim-Subscription-Key": "c"},
            timeout=0.3,
        )
    assert landed(loop) == stored
    assert until(loop.ledger, lambda entries: len(entries) == 1)


def test_a_trickled_answer_outlasts_a_timeout_that_counts_from_byte_to_byte(
    loop: SimulatorHandle,
) -> None:
    loop.set_faults({"fault": "trickled", "seconds": 1})
    began = time.monotonic()
    answer = loop.session.post(
        f"{loop.url}/importJson",
        json=body(),
        headers={"x-apikey": "a:b", "Ocp-Apim-Subscription-Key": "c"},
        timeout=0.5,
    )
    assert "accountingImportRequestId" in answer.json()
    assert time.monotonic() - began > 0.9


def statuses(loop: SimulatorHandle, times: int, **options: Any) -> list[int]:
    return [post(loop, **options).status_code for _ in range(times)]


def test_a_rule_lets_the_first_pass_and_acts_so_often(loop: SimulatorHandle) -> None:
    loop.set_faults({"fault": "http_503", "after": 1, "count": 2})
    assert statuses(loop, 5) == [200, 503, 503, 200, 200]
    rule = loop.faults()[0]
    assert (rule["fault"], rule["seen"], rule["fired"]) == ("http_503", 5, 2)


def test_a_rule_of_one_folder_and_route_leaves_the_others_alone(loop: SimulatorHandle) -> None:
    loop.set_faults({"fault": "http_503", "folder": "BAD", "route": "importJson"})
    assert statuses(loop, 1, folder="BAD") == [503]
    assert statuses(loop, 1, folder="GOOD") == [200]
    assert loop.call("GET", "journal", params={"codeDossier": "BAD"}).status_code == 200


def test_a_rule_of_a_folder_fits_the_status_of_its_imports(loop: SimulatorHandle) -> None:
    request_id = post(loop).json()["accountingImportRequestId"]
    loop.set_faults({"fault": "request_unknown", "folder": "D"})
    assert set(loop.status(request_id)) == {"error"}
    loop.set_faults({"fault": "request_unknown", "folder": "E"})
    assert set(loop.status(request_id)) == {"status"}


def test_chance_is_the_same_with_the_same_seed(loop: SimulatorHandle) -> None:
    rule = {"fault": "http_503", "chance": 0.5}
    loop.set_faults(rule)
    first = statuses(loop, 20)
    loop.set_faults(rule)
    assert statuses(loop, 20) == first
    assert set(first) == {200, 503}


def test_of_two_wire_faults_the_first_acts(loop: SimulatorHandle) -> None:
    loop.set_faults({"fault": "http_500", "count": 1}, {"fault": "http_502", "count": 1})
    assert statuses(loop, 3) == [500, 502, 200]


def test_a_wire_fault_and_an_import_fault_act_together(loop: SimulatorHandle) -> None:
    loop.set_faults({"fault": "http_504_stored"}, {"fault": "failed"})
    assert statuses(loop, 1) == [504]
    assert landed(loop) == 0
    assert loop.imports()[0]["status"] == 4


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"fault": "droped"},
        {"fault": "dropped", "route": "importXml"},
        {"fault": "late", "route": "getImportStatus"},
        {"fault": "status_as_text", "route": "importJson"},
        {"fault": "dropped", "seconds": 3},
        {"fault": "late", "seconds": -1},
        {"fault": "late", "rows": 3},
        {"fault": "failed", "language": "en"},
        {"fault": "access_refused", "language": "de"},
        {"fault": "reset", "folder": "D"},
        {"fault": "dropped", "count": -1},
        {"fault": "dropped", "count": 1.5},
        {"fault": "dropped", "chance": 2},
        {"fault": "dropped", "times": 2},
    ],
)
def test_a_wrong_rule_is_refused_and_the_rules_in_force_stay(
    loop: SimulatorHandle, rule: dict[str, Any]
) -> None:
    loop.set_faults({"fault": "http_503"})
    with pytest.raises(requests.HTTPError):
        loop.set_faults(copy.deepcopy(rule))
    assert [rule["fault"] for rule in loop.faults()] == ["http_503"]


def test_a_request_that_would_be_worked_off_late_is_forgotten_by_a_reset(
    loop: SimulatorHandle,
) -> None:
    loop.set_faults({"fault": "slow", "seconds": 1, "count": 1})
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(post, loop)
        until(loop.faults, lambda rules: rules[0]["fired"] == 1)
        loop.reset()
        assert isinstance(late.exception(30), requests.ConnectionError)
    assert landed(loop) == 0
    assert loop.requests()["total"] == 0
