"""Keys, pace and the gateway's own bodies. Reference: Loop API 1 and 4."""

import datetime as dt
import email.utils
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from support.simulator import SimulatorHandle, running_simulator

KEY = "Kx1:s:ecret:"
SUBSCRIPTION = "0123456789abcdef"
GOOD = {"x-apikey": KEY, "Ocp-Apim-Subscription-Key": SUBSCRIPTION}
SCENARIO = {
    "import_ms": 0,
    "keys": [
        {"key": "Kx1", "secret": "s:ecret:", "subscription_key": SUBSCRIPTION, "folders": ["A"]}
    ],
}


@pytest.fixture(scope="module")
def process() -> Iterator[SimulatorHandle]:
    with running_simulator(SCENARIO) as started:
        yield started


@pytest.fixture
def loop(process: SimulatorHandle) -> SimulatorHandle:
    process.reset()
    return process


def deposit(loop: SimulatorHandle, headers: dict[str, str]) -> requests.Response:
    return requests.get(
        f"{loop.base_url}/getFileUrlDeposit",
        params={"filename": "x.txt"},
        headers=headers,
        timeout=10,
    )


MISSING = {
    "statusCode": 401,
    "message": "Access denied due to missing subscription key. Make sure to include "
    "subscription key when making requests to an API.",
}


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"x-apikey": KEY}, id="none"),
        pytest.param({"x-apikey": KEY, "Ocp-Apim-Subscription-Key": ""}, id="blank"),
    ],
)
def test_a_missing_subscription_key_gets_the_gateways_body_and_challenge(
    loop: SimulatorHandle, headers: dict[str, str]
) -> None:
    answer = deposit(loop, headers)
    assert answer.status_code == 401
    assert answer.json() == MISSING
    assert answer.headers["WWW-Authenticate"].startswith('AzureApiManagementKey realm="')
    assert answer.headers["WWW-Authenticate"].endswith(
        'name="Ocp-Apim-Subscription-Key",type="header"'
    )


def test_a_wrong_subscription_key_gets_the_gateways_body_and_challenge(
    loop: SimulatorHandle,
) -> None:
    answer = deposit(loop, GOOD | {"Ocp-Apim-Subscription-Key": "other"})
    assert answer.status_code == 401
    assert answer.json()["statusCode"] == 401
    assert answer.json()["message"].startswith("Access denied due to invalid subscription key.")
    assert "AzureApiManagementKey" in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "value",
    ["", "Kx1", "Kx1:", ":s:ecret:", "Kx1:s", "Kx1:s:ecret", "kx1:s:ecret:", "Kx1:S:ecret:"],
)
def test_a_wrong_api_key_is_refused_without_challenge_or_gateway_body(
    loop: SimulatorHandle, value: str
) -> None:
    answer = deposit(loop, GOOD | {"x-apikey": value})
    assert answer.status_code == 401
    assert "WWW-Authenticate" not in answer.headers
    assert "statusCode" not in answer.json()


def test_the_secret_begins_after_the_first_colon(loop: SimulatorHandle) -> None:
    assert deposit(loop, GOOD).status_code == 200


def test_header_names_have_no_case(loop: SimulatorHandle) -> None:
    headers = {"X-APIKEY": KEY, "ocp-apim-subscription-key": SUBSCRIPTION}
    assert deposit(loop, headers).status_code == 200


def test_without_keys_in_the_scenario_any_that_is_not_blank_passes() -> None:
    with running_simulator() as open_loop:
        assert deposit(open_loop, {"x-apikey": "a:b", "Ocp-Apim-Subscription-Key": "c"}).ok
        assert not deposit(open_loop, {"x-apikey": "a:", "Ocp-Apim-Subscription-Key": "c"}).ok
        assert not deposit(open_loop, {"x-apikey": "a:b"}).ok


def test_a_key_reaches_only_the_folders_ticked_for_it(loop: SimulatorHandle) -> None:
    def journals(code: str) -> Any:
        query = {"codeDossier": code}
        return loop.call("GET", "journal", params=query, headers=GOOD).json()

    assert journals("A") == []
    assert "n'a pas accès au dossier B" in journals("B")["error"]["message"]
    body = {"codeIbs": "B", "data": {"options": {"multiPeriode": True}, "ecritures": []}}
    refusal = loop.call("POST", "importJson", json=body, headers=GOOD).json()
    assert "n'a pas accès au dossier B" in refusal["error"]["message"]


def test_a_rate_limit_turns_away_what_is_over_it_and_says_for_how_long(
    loop: SimulatorHandle,
) -> None:
    loop.patch_settings(rate_limit={"calls": 2, "seconds": 57})
    answers = [deposit(loop, GOOD) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    wait = answers[2].headers["Retry-After"]
    assert 30 < int(wait) <= 57
    assert answers[2].json() == {
        "statusCode": 429,
        "message": f"Rate limit is exceeded. Try again in {wait} seconds.",
    }


def test_a_rate_limit_lets_pass_again_when_its_time_is_over(loop: SimulatorHandle) -> None:
    loop.patch_settings(rate_limit={"calls": 1, "seconds": 0.05})
    assert deposit(loop, GOOD).status_code == 200
    deadline = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=10)
    while deposit(loop, GOOD).status_code != 200:
        assert dt.datetime.now(dt.UTC) < deadline


@pytest.mark.parametrize(
    ("rule", "status", "message"),
    [
        (
            {"fault": "quota_clock"},
            403,
            "Out of call volume quota. Quota will be replenished in 07:01:20.",
        ),
        (
            {"fault": "quota_days_clock"},
            403,
            "Out of call volume quota. Quota will be replenished in 20.09:58:55.",
        ),
        (
            {"fault": "quota_decimal_days"},
            403,
            "Out of call volume quota. Quota will be replenished in 2.12 days.",
        ),
        ({"fault": "rate_limited"}, 429, "Rate limit is exceeded. Try again in 57 seconds."),
        (
            {"fault": "rate_limited", "seconds": 3},
            429,
            "Rate limit is exceeded. Try again in 3 seconds.",
        ),
        ({"fault": "subscription_key_missing"}, 401, MISSING["message"]),
    ],
)
def test_the_gateways_refusals_can_be_called_up(
    loop: SimulatorHandle, rule: dict[str, Any], status: int, message: str
) -> None:
    loop.set_faults(rule)
    answer = deposit(loop, GOOD)
    assert answer.status_code == status
    assert answer.json() == {"statusCode": status, "message": message}


def test_retry_after_may_be_a_date(loop: SimulatorHandle) -> None:
    loop.set_faults({"fault": "rate_limited_date", "seconds": 90})
    answer = deposit(loop, GOOD)
    until = email.utils.parsedate_to_datetime(answer.headers["Retry-After"])
    left = until - dt.datetime.now(dt.UTC)
    assert answer.status_code == 429
    assert dt.timedelta(seconds=60) < left <= dt.timedelta(seconds=91)


@pytest.mark.parametrize(
    ("fault", "status", "scheme"),
    [
        ("subscription_key_refused", 401, "AzureApiManagementKey"),
        ("api_key_refused", 401, ""),
        ("api_key_forbidden", 403, ""),
    ],
)
def test_both_kinds_of_refused_keys_can_be_called_up(
    loop: SimulatorHandle, fault: str, status: int, scheme: str
) -> None:
    loop.set_faults({"fault": fault})
    answer = deposit(loop, GOOD)
    assert answer.status_code == status
    assert answer.headers.get("WWW-Authenticate", "").partition(" ")[0] == scheme
    assert "quota" not in answer.text
