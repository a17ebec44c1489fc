"""How long the link to an entry's document works, as far as anybody says."""

import datetime as dt
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, urlsplit

from passerelle.domain.event import Attachment

FETCHED_WITHIN = dt.timedelta(hours=24)
"""Loop fetches the document some time after the import, and wants the link to live so long.

Reference: Loop API 7, validity.
"""

_SLACK = dt.timedelta(hours=1)
"""So much of it may be gone when the entry is sent: a hub may sign for a day and no more."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# Both vendors refuse a link of version 4 that is to live longer.
_SEVEN_DAYS = 604_800
_STAMP = "%Y%m%dT%H%M%S%z"
# Signed links that tell their end in seconds since 1970 as `Expires`, and what else they hold: S3
# (version 2), CloudFront, Google (version 2).
_BY_EPOCH = (
    {"AWSAccessKeyId", "Signature"},
    {"Key-Pair-Id", "Signature"},
    {"GoogleAccessId", "Signature"},
)


def signed_until(url: str) -> dt.datetime | None:
    """Until when, in UTC, a signed link works by its own words; None where it says nothing."""
    return min(_signed_ends(url), default=None)


def fault(attachment: Attachment, came_at: dt.datetime, now: dt.datetime) -> str | None:
    """Why Loop could not fetch the document, for a person; None where nothing speaks against it.

    What the link says is in force wherever it is fetched. What the event says counts for what ran
    out while the entry waited here, since `came_at`: whoever sends a link knows what he says of it.
    """
    end, told = signed_until(attachment.url), attachment.expires_at
    if told is not None and came_at < told <= now and (end is None or told < end):
        end = told
    if end is None or end - now >= FETCHED_WITHIN - _SLACK:
        return None
    moment = end.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    if end <= now:
        return f"The link to the document expired at {moment}."
    return f"The link to the document works until {moment} only; Loop needs it for 24 hours."


def _signed_ends(url: str) -> Iterator[dt.datetime]:
    """The end of each kind of signature whose parameters the link holds."""
    try:
        given = dict(parse_qsl(urlsplit(url).query))
    except ValueError:
        return
    for read in (_azure, _amazon, _google, _by_epoch):
        try:
            yield read(given)
        except (KeyError, ValueError, OverflowError):
            # Not of this kind, or not to be read: it says nothing.
            continue


def _azure(given: Mapping[str, str]) -> dt.datetime:
    """A shared access signature: `se`, a date or a time, UTC where it names no zone."""
    lowered = {name.lower(): value for name, value in given.items()}
    if "sig" not in lowered:
        raise KeyError("sig")
    end = dt.datetime.fromisoformat(lowered["se"])
    return end.replace(tzinfo=end.tzinfo or dt.UTC).astimezone(dt.UTC)


def _amazon(given: Mapping[str, str]) -> dt.datetime:
    return _version_4(given, "X-Amz")


def _google(given: Mapping[str, str]) -> dt.datetime:
    return _version_4(given, "X-Goog")


def _version_4(given: Mapping[str, str], prefix: str) -> dt.datetime:
    """So many seconds after it was signed."""
    signed = dt.datetime.strptime(given[f"{prefix}-Date"], _STAMP).astimezone(dt.UTC)
    seconds = _whole(given[f"{prefix}-Expires"])
    if not 0 < seconds <= _SEVEN_DAYS:
        raise ValueError(seconds)
    return signed + dt.timedelta(seconds=seconds)


def _by_epoch(given: Mapping[str, str]) -> dt.datetime:
    if not any(names <= given.keys() for names in _BY_EPOCH):
        raise KeyError("Signature")
    return _EPOCH + dt.timedelta(seconds=_whole(given["Expires"]))


def _whole(text: str) -> int:
    """A number in plain digits; others than these are no vendor's."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)
