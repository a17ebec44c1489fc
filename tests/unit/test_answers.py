"""The table from what came back to how it is sorted: engine rule 7, reference: Loop API 3.7, 4."""

import datetime as dt
import email.utils
import json
from typing import Any

import pytest

from passerelle.domain.outcome import Sort
from passerelle.domain.states import Reason
from passerelle.loop_api.answers import (
    MESSAGE_LENGTH,
    Exchange,
    sort_failure,
    sort_import,
    sort_status,
)

NOW = dt.datetime(2026, 11, 20, 12, 0, tzinfo=dt.UTC)
GUID = "11111111-2222-3333-4444-555555555555"


def ok(body: object) -> Exchange:
    return Exchange(200, body=json.dumps(body).encode())


def gateway(status: int, message: str, **headers: str) -> Exchange:
    body = json.dumps({"statusCode": status, "message": message}).encode()
    return Exchange(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, body
    )


def test_an_accepted_import_has_a_request_id() -> None:
    answer = sort_import(ok({"accountingImportRequestId": GUID}))
    assert (answer.sort, answer.request_id, answer.http_status) == (Sort.ACCEPTED, GUID, 200)


@pytest.mark.parametrize(
    "body",
    [
        *(None, [], {}, "", 7, {"result": "ok"}, {"accountingImportRequestId": ""}),
        *({"accountingImportRequestId": None}, {"accountingImportRequestId": 7}),
        {"accountingImportRequestId": GUID, "error": {"message": "SIRET est invalide"}},
        *({"error": None}, {"error": "x"}, {"error": {"message": ""}}, {"error": {}}),
        [{"accountingImportRequestId": GUID}],
    ],
)
def test_a_200_that_is_neither_yes_nor_no_is_unknown(body: object) -> None:
    answer = sort_import(ok(body))
    assert (answer.sort, answer.down) == (Sort.UNKNOWN, False)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{", b"\xff\xfe", b'{"accountingImportRequestId"', b"[" * 100_000]
)
def test_a_200_that_is_no_json_is_unknown(body: bytes) -> None:
    answer = sort_import(Exchange(200, body=body))
    assert (answer.sort, answer.down) == (Sort.UNKNOWN, True)


@pytest.mark.parametrize(
    ("message", "sort", "reason"),
    [
        ("ligne 3 : le SIRET est invalide", Sort.REFUSED, None),
        ("X n'a pas accès au dossier Y", Sort.PERSON, Reason.ACCESS_DENIED),
        ("le dossier n'existe pas sur le domaine", Sort.PERSON, Reason.UNKNOWN_FOLDER),
        ("Une erreur est survenue", Sort.UNKNOWN, None),
    ],
)
def test_a_refusal_under_200_is_sorted_by_its_words(
    message: str, sort: Sort, reason: Reason | None
) -> None:
    answer = sort_import(ok({"error": {"instanceId": GUID, "message": message}}))
    assert (answer.sort, answer.reason, answer.message) == (sort, reason, message)


@pytest.mark.parametrize("status", [100, 201, 202, 204, 400, 404, 413, 422])
def test_any_other_status_is_unknown(status: int) -> None:
    answer = sort_import(Exchange(status, body=b'{"accountingImportRequestId": "x"}'))
    assert (answer.sort, answer.down) == (Sort.UNKNOWN, False)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_leads_away_from_loop(status: int) -> None:
    answer = sort_import(Exchange(status, body=b'{"accountingImportRequestId": "x"}'))
    assert (answer.sort, answer.down) == (Sort.UNKNOWN, True)


@pytest.mark.parametrize("status", [408, 500, 501, 502, 503, 504, 520, 599])
def test_a_server_that_is_out_of_order_may_have_taken_it(status: int) -> None:
    answer = sort_import(Exchange(status, body=b"<html>"))
    assert (answer.sort, answer.down) == (Sort.UNKNOWN, True)


def test_a_503_that_asks_for_time_is_unknown_all_the_same() -> None:
    answer = sort_import(Exchange(503, {"Retry-After": "5"}))
    assert (answer.sort, answer.retry_after) == (Sort.UNKNOWN, 5)


@pytest.mark.parametrize(
    ("exchange", "seconds"),
    [
        (gateway(429, "Try again in 57 seconds."), 57),
        (gateway(429, "", Retry_After="12"), 12),
        (gateway(429, "Try again in 57 seconds.", Retry_After="12"), 12),
        (gateway(429, "", Retry_After="Fri, 20 Nov 2026 12:01:00 GMT"), 60),
        (
            gateway(
                *(429, ""),
                Retry_After="Fri, 20 Nov 2026 12:01:00 GMT",
                Date="Fri, 20 Nov 2026 12:00:30 GMT",
            ),
            30,
        ),
        (gateway(429, "", Retry_After="Fri, 20 Nov 2026 11:00:00 GMT"), 0),
        (gateway(429, "Try again in 57 seconds.", Retry_After="soon"), 57),
        (gateway(429, "", Retry_After="Mon, 01 Jan 99999999999 00:00:00 GMT"), None),
        (gateway(429, ""), None),
        (Exchange(429), None),
        (gateway(403, "Out of call volume quota. Quota will be replenished in 07:01:20."), 25_280),
        (
            gateway(403, "Out of call volume quota. Quota will be replenished in 2.12 days."),
            183_168,
        ),
    ],
)
def test_a_throttled_request_was_not_taken_and_waits(
    exchange: Exchange, seconds: float | None
) -> None:
    answer = sort_status(exchange, NOW)
    assert answer.sort is Sort.PAUSE
    assert answer.retry_after == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("exchange", "reason"),
    [
        (gateway(401, "Access denied due to missing subscription key."), "credentials_refused"),
        (gateway(401, "x", WWW_Authenticate="AzureApiManagementKey x"), "credentials_refused"),
        (gateway(401, "la clé d'API est invalide"), "credentials_refused"),
        (Exchange(403, body=b"<html>"), "credentials_refused"),
        (Exchange(401), "credentials_refused"),
        (
            Exchange(403, body=b'{"error": {"message": "does not have access to the folder"}}'),
            "access_denied",
        ),
    ],
)
def test_refused_credentials_need_a_person(exchange: Exchange, reason: str) -> None:
    answer = sort_import(exchange)
    assert (answer.sort, answer.reason) == (Sort.PERSON, reason)


@pytest.mark.parametrize(("written", "sort"), [(True, Sort.UNKNOWN), (False, Sort.AGAIN)])
def test_no_answer_is_harmless_only_where_nothing_was_written(*, written: bool, sort: Sort) -> None:
    answer = sort_failure(Exchange(failure="cut", written=written))
    assert (answer.sort, answer.down, answer.message) == (sort, True, "cut")
    assert sort_import(Exchange(failure="cut", written=written)) == answer


@pytest.mark.parametrize(
    "body",
    [
        {"message": "a\0b\ud800c" + "x" * 5000},
        {"error": {"message": "a\0b\ud800c" + "x" * 5000}},
        {"error": "a\0b\ud800c" + "x" * 5000},
    ],
)
@pytest.mark.parametrize("status", [200, 401, 403, 429, 500])
def test_loops_words_can_be_stored(status: int, body: dict[str, Any]) -> None:
    message = sort_import(Exchange(status, body=json.dumps(body).encode())).message
    message.encode()
    assert "\0" not in message
    assert len(message) <= MESSAGE_LENGTH


def test_a_page_is_never_shown() -> None:
    assert sort_status(Exchange(500, body=b"<html>secret</html>")).message == "HTTP 500"


@pytest.mark.parametrize("off", [-300, 300])
def test_a_clock_that_is_off_changes_no_wait_that_is_told_otherwise(off: int) -> None:
    """Without the server's `Date` its words count, and not this machine's clock."""
    until = email.utils.format_datetime(NOW + dt.timedelta(seconds=2), usegmt=True)
    body = b'{"message": "Rate limit is exceeded. Try again in 2 seconds."}'
    ours = NOW + dt.timedelta(seconds=off)
    assert sort_status(Exchange(429, {"Retry-After": until}, body), ours).retry_after == 2
    told = {"Retry-After": until, "Date": email.utils.format_datetime(NOW, usegmt=True)}
    assert sort_status(Exchange(429, told), ours).retry_after == 2
