"""Loop's routes, as far as they are called. Reference: Loop API 1 to 3."""

import datetime as dt
import functools
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol, TypeVar

import requests
from urllib3.exceptions import HTTPError, NameResolutionError, ProtocolError, ReadTimeoutError

from passerelle import wire
from passerelle.domain.outcome import Answer, Failure, Sort
from passerelle.domain.referential import Kind, Page
from passerelle.domain.states import Reason
from passerelle.domain.verdict import Place, Row
from passerelle.loop_api.answers import (
    MESSAGE_LENGTH,
    Exchange,
    body_of,
    sort_failure,
    sort_import,
    sort_refusal,
    sort_status,
    sort_trial,
    unreadable,
)
from passerelle.loop_api.refusals import is_subscription_refusal, recognise
from schemas.loop import Refused, entry_rows, import_answer, records, status_answer
from schemas.referentials import folder_page, referential_page

PAGE_SIZE = 100
"""Records asked for at once; how many Loop gives at most is not known (reference: Loop API 2)."""

_ROUTES = {
    Kind.ACCOUNT: "compte",
    Kind.JOURNAL: "journal",
    Kind.CUSTOMER: "tiersClient",
    Kind.SUPPLIER: "tiersFournisseur",
    Kind.EMPLOYEE: "tiersSalarie",
    Kind.OTHER: "tiersDivers",
}
_CODE_FIELDS = {Kind.ACCOUNT: "numero"}
_T = TypeVar("_T")
_CONNECT_SECONDS = 5.0
_LARGEST_BODY = 32_000_000


class Sealed(Protocol):
    """What holds a firm's keys as they are stored."""

    @property
    def api_key(self) -> bytes: ...

    @property
    def api_secret(self) -> bytes: ...

    @property
    def subscription_key(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Credentials:
    """A firm's keys, decrypted; never shown."""

    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    subscription_key: str = field(repr=False)

    @classmethod
    def opened(cls, sealed: Sealed, unseal: Callable[[bytes], str]) -> "Credentials":
        """`unseal` decrypts one; what it raises passes through."""
        return cls(
            unseal(sealed.api_key), unseal(sealed.api_secret), unseal(sealed.subscription_key)
        )

    def headers(self) -> dict[str, str]:
        return {
            "x-apikey": f"{self.api_key}:{self.api_secret}",
            "Ocp-Apim-Subscription-Key": self.subscription_key,
            "Content-Type": "application/json",
            "Accept": "application/json",
        }


@dataclass(frozen=True, slots=True)
class Status:
    """An import's status: 1 waiting, 2 running, 3 done, 4 failed, others unknown.

    `reason` is what the message speaks of, where it is known. `known` False: Loop does not know
    the request id.
    """

    status: int | None
    message: str
    reason: Reason | None = None
    known: bool = True


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which lines of entries Loop is asked for: all that is given holds (reference: Loop API 3.6).

    The origin or the lettering has to be given.
    """

    origin: str | None = None
    lettered: bool | None = None
    place: Place | None = None
    account: str | None = None

    @property
    def text(self) -> str:
        """Strings are written as JSON writes them (reference: Loop API 2)."""
        conditions = []
        if self.lettered is not None:
            conditions.append(f"codeLettrage{'!=' if self.lettered else '=='}null")
        equal = {"ecritureOrigine": self.origin}
        if self.place is not None:
            equal |= {
                "journalCode": self.place.journal,
                "refPiece": self.place.piece,
                "datePiece": self.place.date,
            }
        equal["compteNumero"] = self.account
        conditions += [
            f"{name}=={json.dumps(value, ensure_ascii=False)}"
            for name, value in equal.items()
            if value is not None
        ]
        return " && ".join(conditions)


@dataclass(frozen=True, slots=True)
class Door:
    """What stands at Loop's address: its answer to whoever shows no keys, and its clock."""

    answer: Answer
    date: dt.datetime | None
    asks_for_keys: bool
    """In the words of Loop's gateway."""


class Loop:
    """Calls Loop; every call ends in an answer, none raises. One session a thread.

    `told` is called with route, result (an HTTP status or a `Failure`'s name) and seconds of each.
    """

    def __init__(
        self,
        base_url: str,
        *,
        send_seconds: float,
        call_seconds: float,
        told: Callable[[str, str, float], None] = lambda *_: None,
    ) -> None:
        self._base_url = base_url
        self._send_seconds = send_seconds
        self._call_seconds = call_seconds
        self._told = told
        self._sessions = wire.Sessions()

    def post_import(self, credentials: Credentials, body: bytes, started: float) -> Answer:
        """Ask Loop to import. The deadlines count from `started`, on the clock of `wire.now`."""
        return sort_import(self._call("importJson", credentials, body=body, started=started))

    def try_keys(self, credentials: Credentials) -> Answer:
        """Whether Loop takes these keys, by a read that needs no folder; ACCEPTED where it does."""
        query = {"accountingImportRequestId": str(uuid.uuid4())}
        return sort_trial(self._call("getImportStatus", credentials, query))

    def knock(self, seconds: float) -> Door:
        """See within so many seconds what is at Loop's address, for no firm; nothing is counted."""
        exchange = self._exchange("getImportStatus", {}, None, None, wire.now(), seconds)
        answer = sort_trial(exchange)
        challenge = exchange.headers.get("WWW-Authenticate", "")
        asks = answer.sort is Sort.PERSON and is_subscription_refusal(answer.message, challenge)
        return Door(answer, wire.date_of(exchange.headers.get("Date", "")), asks)

    def import_status(self, credentials: Credentials, request_id: str) -> Status | Answer:
        """How far an import is; an Answer where Loop did not say."""
        query = {"accountingImportRequestId": request_id}
        exchange = self._call("getImportStatus", credentials, query)
        if exchange.status == HTTPStatus.NOT_FOUND:
            return Status(None, "Loop does not know this import request.", known=False)
        refused = self._not_ok(exchange)
        if refused is not None:
            return refused
        body = body_of(exchange)
        found = status_answer(body)
        message = (found.message or "")[:MESSAGE_LENGTH]
        reason = recognise(message).reason
        if found.status is not None:
            return Status(found.status, message, reason)
        if reason is not None:
            return Answer(Sort.PERSON, message, HTTPStatus.OK, reason=reason)
        if isinstance(import_answer(body), Refused):
            return Status(None, message, known=False)
        return unreadable(exchange, "Loop's status cannot be read.")

    def read_folder(self, credentials: Credentials, folder: str) -> Answer:
        """A cheap read that shows whether the key reaches a folder; ACCEPTED where it does.

        A refusal in words that are not known is the folder's own: a read harms nothing, and a
        person sees the words.
        """
        exchange = self._call(
            "journal", credentials, {"codeDossier": folder, "skip": "0", "take": "1"}
        )
        refused = self._not_ok(exchange)
        if refused is not None:
            return refused
        body = body_of(exchange)
        if isinstance(answer := import_answer(body), Refused):
            reason = recognise(answer.message).reason or Reason.UNKNOWN_FOLDER
            return Answer(
                Sort.PERSON, answer.message[:MESSAGE_LENGTH], HTTPStatus.OK, reason=reason
            )
        if records(body) is None:
            return unreadable(exchange, "Loop's list cannot be read.")
        return Answer(Sort.ACCEPTED, "", HTTPStatus.OK)

    def list_page(
        self, credentials: Credentials, folder: str, kind: Kind, skip: int
    ) -> Page | Answer:
        """Up to `PAGE_SIZE` records of a list after the first `skip`; an Answer where Loop did not
        say. It may give more than it was asked for.
        """
        read = functools.partial(referential_page, kind)
        return self._page(_ROUTES[kind], credentials, skip, read, codeDossier=folder)

    def find_code(
        self, credentials: Credentials, folder: str, kind: Kind, code: str
    ) -> Page | Answer:
        """As `list_page`, of the records with this code; others as well where Loop does not
        filter.
        """
        read = functools.partial(referential_page, kind)
        wanted = f"{_CODE_FIELDS.get(kind, 'code')}=={json.dumps(code, ensure_ascii=False)}"
        return self._page(_ROUTES[kind], credentials, 0, read, codeDossier=folder, filter=wanted)

    def folder_page(self, credentials: Credentials, route: str, skip: int) -> Page | Answer:
        """As `list_page`, of the folders that the key reaches."""
        return self._page(route, credentials, skip, folder_page)

    def _page(
        self,
        route: str,
        credentials: Credentials,
        skip: int,
        read: Callable[[object], Page | None],
        **query: str,
    ) -> Page | Answer:
        query |= {"skip": str(skip), "take": str(PAGE_SIZE)}
        exchange = self._call(route, credentials, query)
        return self._read(exchange, read, "Loop's list cannot be read.")

    def find_entries(
        self, credentials: Credentials, folder: str, wanted: EntryFilter
    ) -> list[Row] | Answer:
        """The lines that Loop shows, at most `MOST_ROWS`; an Answer where it did not say."""
        query = {"codeDossier": folder, "filter": wanted.text}
        exchange = self._call("EcritureComptable", credentials, query)
        return self._read(exchange, entry_rows, "Loop's entries cannot be read.")

    def _read(
        self, exchange: Exchange, read: Callable[[object], _T | None], unread: str
    ) -> _T | Answer:
        """What a body says; an Answer where Loop refused, or in the words of `unread`."""
        refused = self._not_ok(exchange)
        if refused is not None:
            return refused
        body = body_of(exchange)
        if isinstance(answer := import_answer(body), Refused):
            return sort_refusal(answer.message)
        found = read(body)
        return unreadable(exchange, unread) if found is None else found

    @staticmethod
    def _not_ok(exchange: Exchange) -> Answer | None:
        if exchange.status is None:
            return sort_failure(exchange)
        return None if exchange.status == HTTPStatus.OK else sort_status(exchange)

    def _call(
        self,
        route: str,
        credentials: Credentials,
        query: Mapping[str, str] | None = None,
        *,
        body: bytes | None = None,
        started: float | None = None,
    ) -> Exchange:
        began = wire.now()
        headers = credentials.headers()
        exchange = self._exchange(
            route, headers, query, body, began if started is None else started, self._call_seconds
        )
        self._told(route, exchange.result, wire.now() - began)
        return exchange

    def _exchange(
        self,
        route: str,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None,
        body: bytes | None,
        start: float,
        call_seconds: float,
    ) -> Exchange:
        with wire.calling(start + self._send_seconds, start + call_seconds) as call:
            try:
                response = self._sessions.session.request(
                    "GET" if body is None else "POST",
                    f"{self._base_url}/{route}",
                    params=query,
                    data=body,
                    headers=headers,
                    timeout=(min(_CONNECT_SECONDS, call_seconds), call_seconds),
                    allow_redirects=False,
                    stream=True,
                )
                with response:
                    content = response.raw.read(_LARGEST_BODY + 1, decode_content=True)
            # ValueError: what requests makes of a URL or header that it cannot send.
            except (requests.RequestException, HTTPError, OSError, ValueError) as error:
                # Cut by us, it looks like a connection that broke.
                failure = Failure.NOT_IN_TIME if call.ended else _in_words(error)
                return Exchange(failure=failure, written=call.written)
        if call.ended:
            return Exchange(failure=Failure.NOT_IN_TIME)
        if len(content) > _LARGEST_BODY:
            return Exchange(failure=Failure.TOO_LARGE)
        return Exchange(response.status_code, response.headers, content)


# A proxy that has no address is the proxy's failure; a refused or unknown host is no mere cut.
_FAILURES: tuple[tuple[type[BaseException], Failure], ...] = (
    (wire.SendDeadlineError, Failure.NOT_SENT),
    (requests.exceptions.SSLError, Failure.TLS),
    (requests.exceptions.ProxyError, Failure.PROXY),
    (requests.exceptions.ConnectTimeout, Failure.NOT_REACHED),
    (NameResolutionError, Failure.NO_ADDRESS),
    (ConnectionRefusedError, Failure.REFUSED),
    (requests.exceptions.Timeout, Failure.NOT_IN_TIME),
    (ReadTimeoutError, Failure.NOT_IN_TIME),
    (requests.exceptions.ConnectionError, Failure.CUT),
    (ProtocolError, Failure.CUT),
)


def _in_words(error: Exception) -> str:
    """A failure without addresses and without what was sent."""
    failure = wire.known(error, _FAILURES)
    return failure or f"The call to Loop failed ({type(error).__name__})."
