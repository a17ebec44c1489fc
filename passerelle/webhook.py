"""Messages to receivers on the web: where they may go, and what was said.

Source: Standard Webhooks 1.0, sections on SSRF and on how a receiver answers.
"""

import contextlib
import datetime as dt
import socket
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus

import requests
from urllib3.exceptions import HTTPError

from passerelle import wire
from passerelle.domain.webhook import Network, WebhookError, host_of, is_plain, may_reach

SECONDS = 15.0
"""A receipt comes within this time, contract section 8."""

_CONNECT_SECONDS = 5.0
_BUSY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
_LONGEST_WAIT = 3600.0
"""Seconds for which a receiver may ask to be left alone."""

_MOST_READ = 65_536
"""Bytes of an answer that are read, so that its connection can serve again; nobody looks at it."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a receiver said. `told`: it has the message. `status`: None where no answer came.

    `retry_after`: seconds it asked to be left alone for.
    """

    told: bool
    words: str
    status: int | None = None
    retry_after: float | None = None

    @property
    def busy(self) -> bool:
        """It asks to be left alone for a while."""
        return self.status in _BUSY

    @property
    def too_large(self) -> bool:
        return self.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE

    @property
    def gone(self) -> bool:
        """It wants no more messages."""
        return self.status == HTTPStatus.GONE


class Webhooks:
    """`networks` may be reached besides public addresses; `may_be_plain` says of a host whether it
    may be reached without TLS. One session a thread.
    """

    def __init__(
        self,
        networks: Collection[Network],
        may_be_plain: Callable[[str], bool],
        seconds: float = SECONDS,
    ) -> None:
        self._networks = networks
        self._may_be_plain = may_be_plain
        self._seconds = seconds
        # Through a proxy, whose address it is would not be seen; and no passwords of .netrc.
        self._sessions = wire.Sessions(trust_env=False)

    def check(self, url: str) -> None:
        """Whether messages may go there, as far as it can be told now.

        Raises: WebhookError.
        """
        host, port = self._place(url)
        try:
            addresses = wire.addresses_of(host, port)
        # UnicodeError: what is no host name.
        except (OSError, UnicodeError):
            raise WebhookError(f"{host} has no address; see that the name is right.") from None
        for address in addresses:
            if not self._allows(address):
                raise WebhookError(_not_allowed(f"{host} ({address})"))

    def _place(self, url: str) -> tuple[str, int]:
        host, port = host_of(url)
        if is_plain(url) and not self._may_be_plain(host):
            raise WebhookError(
                f"{host} would be reached without TLS; use https://, or name the host in "
                "PASSERELLE_PLAIN_HTTP_HOSTS."
            )
        return host, port

    def _allows(self, address: str) -> bool:
        return may_reach(address, self._networks)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Receipt:
        """Send a message; every call ends in a receipt, none raises."""
        end_by = wire.now() + self._seconds
        with wire.calling(end_by, end_by, self._allows) as call:
            try:
                self._place(url)
                response = self._sessions.session.post(
                    url,
                    data=body,
                    headers={
                        **headers,
                        "Content-Type": "application/json",
                        "User-Agent": "passerelle",
                    },
                    timeout=(min(_CONNECT_SECONDS, self._seconds), self._seconds),
                    allow_redirects=False,
                    stream=True,
                )
            # ValueError: what requests makes of a URL that it cannot send.
            except (requests.RequestException, HTTPError, OSError, ValueError) as error:
                return Receipt(told=False, words=self._in_words(error, ended=call.ended))
            except WebhookError as error:
                return Receipt(told=False, words=str(error))
            # The status is the receipt, however the rest of the answer ends.
            with response, contextlib.suppress(requests.RequestException, HTTPError, OSError):
                response.raw.read(_MOST_READ)
        return _receipt(response)

    def _in_words(self, error: Exception, *, ended: bool) -> str:
        """A failure without addresses and without what was sent."""
        if ended or isinstance(error, requests.Timeout):
            return self._late()
        words = wire.known(error, _FAILURES.items())
        return words or f"The connection broke ({type(error).__name__})."

    def _late(self) -> str:
        return f"It did not answer within {self._seconds:g} s."


def _not_allowed(what: str) -> str:
    return (
        f"{what} is none that webhooks may reach: only public addresses are, and those of "
        "PASSERELLE_WEBHOOK_NETWORKS."
    )


_FAILURES: dict[type[BaseException], str] = {
    wire.ForbiddenAddressError: _not_allowed("Its address"),
    socket.gaierror: "Its name has no address.",
    ConnectionRefusedError: "It refuses connections.",
    requests.exceptions.SSLError: "Its certificate is not accepted, or TLS fails otherwise.",
    TimeoutError: "It could not be reached in time.",
}


def _receipt(response: requests.Response) -> Receipt:
    status = response.status_code
    told = HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
    wait = None
    if status in _BUSY:
        wait = wire.retry_after(response.headers, dt.datetime.now(dt.UTC))
    # A slip there must not silence alerts for days.
    longest = None if wait is None else min(wait, _LONGEST_WAIT)
    return Receipt(told, f"HTTP {status}", status, longest)
