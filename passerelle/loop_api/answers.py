"""The total table from what came back to how it is sorted: engine rule 7.

What is not listed as harmless is UNKNOWN: it may have arrived.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from passerelle import wire
from passerelle.domain.outcome import Answer, Failure, Sort
from passerelle.domain.states import Reason
from passerelle.domain.text import normalise
from passerelle.loop_api.refusals import (
    is_quota,
    is_subscription_refusal,
    recognise,
    wait_in_words,
)
from schemas.loop import Accepted, Refused, import_answer

MESSAGE_LENGTH = 1000
"""Of Loop's words so much is kept, in code points."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What one call came to: an answer (`status`, `headers`, `body`) or a `failure` in words."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    failure: str = ""
    # Whether any byte of the request was written.
    written: bool = True

    @property
    def result(self) -> str:
        """In one word of few: an HTTP status, or why there is none."""
        if self.status is not None:
            return str(self.status)
        return self.failure.name.lower() if isinstance(self.failure, Failure) else "failed"


_NOT_JSON = object()


def body_of(exchange: Exchange) -> Any:
    """The decoded body; a value that no schema knows where it is no JSON."""
    try:
        return json.loads(exchange.body)
    except (ValueError, RecursionError):
        return _NOT_JSON


def _message_of(exchange: Exchange) -> str:
    """The gateway's or Loop's words; never a whole page."""
    body = body_of(exchange)
    if isinstance(body, dict):
        error = body.get("error")
        words = body.get("message") or (error.get("message") if isinstance(error, dict) else error)
        if isinstance(words, str):
            return normalise(words)[:MESSAGE_LENGTH]
    return ""


def sort_failure(exchange: Exchange) -> Answer:
    """No answer came: harmless only where nothing at all was written."""
    sort = Sort.UNKNOWN if exchange.written else Sort.AGAIN
    return Answer(sort, exchange.failure, down=True)


def sort_status(exchange: Exchange, at: datetime | None = None) -> Answer:
    """An HTTP status other than 200, on any route."""
    status = exchange.status or 0
    message = _message_of(exchange)
    shown = message or f"HTTP {status}"
    wait = wire.retry_after(
        exchange.headers, at or datetime.now(UTC), otherwise=wait_in_words(message)
    )
    if status == HTTPStatus.TOO_MANY_REQUESTS or (
        status == HTTPStatus.FORBIDDEN and is_quota(message)
    ):
        return Answer(Sort.PAUSE, shown, status, retry_after=wait)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        refusal = recognise(message)
        reason = refusal.reason or Reason.CREDENTIALS_REFUSED
        challenge = exchange.headers.get("WWW-Authenticate", "")
        if is_subscription_refusal(message, challenge):
            reason = Reason.CREDENTIALS_REFUSED
            shown = message or f"HTTP {status}: the gateway refuses the subscription key"
        return Answer(Sort.PERSON, shown, status, reason=reason)
    # A redirect leads to a page of somebody else's.
    down = (
        status >= HTTPStatus.INTERNAL_SERVER_ERROR
        or status == HTTPStatus.REQUEST_TIMEOUT
        or HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
    )
    return Answer(Sort.UNKNOWN, shown, status, retry_after=wait, down=down)


def unreadable(exchange: Exchange, message: str) -> Answer:
    """HTTP 200 with a body that says nothing; one that is no JSON is a page instead of Loop."""
    down = body_of(exchange) is _NOT_JSON
    return Answer(Sort.UNKNOWN, message, HTTPStatus.OK, down=down)


def sort_refusal(message: str) -> Answer:
    """A refusal under HTTP 200. Reference: Loop API 3.7 and 5."""
    refusal = recognise(message)
    shown = message[:MESSAGE_LENGTH]
    if refusal.reason is not None:
        return Answer(Sort.PERSON, shown, HTTPStatus.OK, reason=refusal.reason)
    sort = Sort.REFUSED if refusal.definite else Sort.UNKNOWN
    return Answer(sort, shown, HTTPStatus.OK)


def sort_import(exchange: Exchange) -> Answer:
    """The answer to `POST /importJson`: decided by the body, never by HTTP 200 alone."""
    if exchange.status is None:
        return sort_failure(exchange)
    if exchange.status != HTTPStatus.OK:
        return sort_status(exchange)
    match import_answer(body_of(exchange)):
        case Accepted(request_id):
            return Answer(Sort.ACCEPTED, "", HTTPStatus.OK, request_id=request_id)
        case Refused(_, message):
            return sort_refusal(message)
    return unreadable(exchange, "Loop answered HTTP 200 with neither a request id nor an error.")


_NO_ROUTE = "resource not found"


def sort_trial(exchange: Exchange) -> Answer:
    """The answer to a question about an import that does not exist: ACCEPTED where the keys pass.

    That Loop knows no such import, in whatever words, is said behind the keys. The gateway's own
    404 and a page are no words of Loop's. Reference: Loop API 3.10 and 4.
    """
    if exchange.status is None:
        return sort_failure(exchange)
    is_json = body_of(exchange) is not _NOT_JSON
    if exchange.status == HTTPStatus.OK and not is_json:
        return unreadable(exchange, "Loop's status cannot be read.")
    from_loop = exchange.status == HTTPStatus.NOT_FOUND and (
        not exchange.body.strip() or (is_json and _message_of(exchange).casefold() != _NO_ROUTE)
    )
    if exchange.status == HTTPStatus.OK or from_loop:
        return Answer(Sort.ACCEPTED, "", exchange.status)
    answer = sort_status(exchange)
    # No folder was named.
    return replace(answer, reason=answer.reason and Reason.CREDENTIALS_REFUSED)
