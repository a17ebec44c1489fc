"""The gateway before Loop: keys, pace, and its own bodies. Reference: Loop API 1 and 4."""

import datetime as dt
import email.utils
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from simulator.answers import HTML, Answer, encoded, error

_CHALLENGE = (
    'AzureApiManagementKey realm="https://api.cegid.com/loop-api-publiques",'
    'name="Ocp-Apim-Subscription-Key",type="header"'
)
_MISSING = (
    "Access denied due to missing subscription key. "
    "Make sure to include subscription key when making requests to an API."
)
_INVALID = (
    "Access denied due to invalid subscription key. "
    "Make sure to provide a valid key for an active subscription."
)


@dataclass(frozen=True, slots=True)
class Key:
    """What a firm was given; `folders` None reaches every folder of its domain."""

    key: str
    secret: str
    subscription_key: str
    folders: frozenset[str] | None = None
    domain: str = ""

    def reaches(self, folder: str) -> bool:
        return self.folders is None or folder in self.folders


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many calls in so many seconds, per subscription key."""

    calls: int
    seconds: float


@dataclass(slots=True)
class _Window:
    ends_at: dt.datetime
    calls: int = 0


class Gateway:
    """Without keys any that is not blank passes; the domain is what it has before a slash."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = {(key.key, key.secret): key for key in keys}
        self._subscriptions = {key.subscription_key for key in self._keys.values()}
        self._windows: dict[str, _Window] = {}

    def admit(
        self, headers: Mapping[str, str], limit: RateLimit | None, now: dt.datetime
    ) -> Answer | Key:
        """Whose call it is, or the answer that turns it away."""
        subscription = headers.get("Ocp-Apim-Subscription-Key", "").strip()
        if not subscription:
            return subscription_key_missing()
        if self._keys and subscription not in self._subscriptions:
            return subscription_key_refused()
        wait = self._wait(subscription, limit, now) if limit is not None else 0
        if wait > 0:
            return rate_limited(wait)
        return self.key(headers) or api_key_refused(401)

    def key(self, headers: Mapping[str, str]) -> Key | None:
        """Whose the `x-apikey` is, whatever the subscription; None: nobody's."""
        # The secret may hold colons itself.
        key, _, secret = headers.get("x-apikey", "").strip().partition(":")
        if not key.strip() or not secret.strip():
            return None
        if self._keys:
            return self._keys.get((key, secret))
        return Key(key, secret, "", domain=key.rpartition("/")[0])

    def _wait(self, subscription: str, limit: RateLimit, now: dt.datetime) -> float:
        """Seconds until this call would pass; 0 lets it pass and counts it."""
        window = self._windows.get(subscription)
        if window is None or now >= window.ends_at:
            window = _Window(now + dt.timedelta(seconds=limit.seconds))
            self._windows[subscription] = window
        if window.calls >= limit.calls:
            return (window.ends_at - now).total_seconds()
        window.calls += 1
        return 0


def _own(status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    body = encoded({"statusCode": status, "message": message})
    return Answer(status, body, f"http_{status}", headers=headers or {})


def subscription_key_missing() -> Answer:
    return _own(401, _MISSING, {"WWW-Authenticate": _CHALLENGE})


def subscription_key_refused() -> Answer:
    return _own(401, _INVALID, {"WWW-Authenticate": _CHALLENGE})


def api_key_refused(status: int) -> Answer:
    """Loop's own refusal of credentials: neither the gateway's challenge nor its body.

    Status and body are assumptions (reference: Loop API 4 and 10, unknown 9).
    """
    return Answer(status, encoded(error("la clé d'API est invalide ou inactive")), f"http_{status}")


def rate_limited(seconds: float) -> Answer:
    wait = math.ceil(seconds)
    message = f"Rate limit is exceeded. Try again in {wait} seconds."
    return _own(429, message, {"Retry-After": str(wait)})


def rate_limited_until(seconds: float, now: dt.datetime) -> Answer:
    """The same with an HTTP date."""
    wait = math.ceil(seconds)
    until = email.utils.format_datetime(now + dt.timedelta(seconds=wait), usegmt=True)
    message = f"Rate limit is exceeded. Try again in {wait} seconds."
    return _own(429, message, {"Retry-After": until})


def out_of_quota(left: str) -> Answer:
    """`left` in one of the three forms below."""
    return _own(403, f"Out of call volume quota. Quota will be replenished in {left}.")


def clock(seconds: float) -> str:
    """`07:01:20`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest:02d}"


def days_and_clock(seconds: float) -> str:
    """`20.09:58:55`."""
    days, rest = divmod(round(seconds), 86_400)
    return f"{days}.{clock(rest)}"


def decimal_days(seconds: float) -> str:
    """`2.12 days`."""
    return f"{seconds / 86_400:.2f} days"


def failed(status: int) -> Answer:
    """A failure of the server or of what stands before it; the bodies are assumptions."""
    if status == 500:  # noqa: PLR2004 - the one status that the gateway words itself
        return _own(status, "Internal server error")
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
    return Answer(status, page.encode(), f"http_{status}", HTML)


def not_found() -> Answer:
    return _own(404, "Resource not found")


def page() -> Answer:
    """An HTML page under 200, such as a captive proxy gives."""
    return Answer(200, b"<!DOCTYPE html><html><body>Bienvenue</body></html>", "html", HTML)


def neither_key() -> Answer:
    """JSON under 200 that is neither an acceptance nor a refusal."""
    return Answer(200, encoded({"result": "ok"}), "neither_key")
