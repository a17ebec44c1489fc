"""How long the link to a document works, and what is said where that is too short."""

import datetime as dt

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from passerelle.domain.attachment import FETCHED_WITHIN, fault, signed_until
from passerelle.domain.event import Attachment

NOON = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
EPOCH = int(NOON.timestamp())
AZURE = (
    "https://depot.blob.core.windows.net/pieces/fa-1187.pdf?sv=2024-11-04&st=2026-11-13T12%3A00%3A00Z"
    "&se={}&sr=b&sp=r&sig=F%2BGRVAZ5Cdj2Pw4tgU7IlSTkWgn7bUkkAg8P6HESXwmf%3D"
)
AMAZON = (
    "https://pieces.s3.eu-west-3.amazonaws.com/fa-1187.pdf?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Credential=AKIAEXAMPLE%2F20261119%2Feu-west-3%2Fs3%2Faws4_request"
    "&X-Amz-Date={}&X-Amz-Expires={}&X-Amz-SignedHeaders=host&X-Amz-Signature=ab2f"
)
AMAZON_2 = (
    "https://pieces.s3.amazonaws.com/fa-1187.pdf?AWSAccessKeyId=AKIAEXAMPLE&Expires={}"
    "&Signature=vjbyPxybdZaNmGa%2ByT272YEAiv4%3D"
)
CLOUDFRONT = (
    "https://d111111abcdef8.cloudfront.net/fa-1187.pdf?Expires={}&Signature=nitfHRCrtziwO2HwPfWw~yYDhU"
    "&Key-Pair-Id=K2JCJMDEHXQW5F"
)
GOOGLE = (
    "https://storage.googleapis.com/pieces/fa-1187.pdf?X-Goog-Algorithm=GOOG4-RSA-SHA256"
    "&X-Goog-Credential=signer%40hub.iam.gserviceaccount.com%2F20261119%2Fauto%2Fstorage"
    "%2Fgoog4_request&X-Goog-Date={}&X-Goog-Expires={}&X-Goog-SignedHeaders=host"
    "&X-Goog-Signature=247a"
)
GOOGLE_2 = (
    "https://storage.googleapis.com/pieces/fa-1187.pdf?GoogleAccessId=signer%40hub.iam."
    "gserviceaccount.com&Expires={}&Signature=BClz9e4UA2MRRDX62TPd8sNpUCxVsqUDG3YGPWvPcwN%2BmQ"
)


end = signed_until
HOUR = dt.timedelta(hours=1)


@pytest.mark.parametrize(
    "url",
    [
        AZURE.format("2026-11-20T12%3A00%3A00Z"),
        AZURE.format("2026-11-20T12:00Z"),
        AZURE.format("2026-11-20T12:00:00.0000000Z"),
        AZURE.format("2026-11-20T13%3A00%3A00%2B01%3A00"),
        AZURE.format("2026-11-20T12:00:00"),
        AZURE.format("2026-11-20T12:00Z").replace("&se=", "&SE=").replace("&sig=", "&Sig="),
        AMAZON.format("20261119T120000Z", 86_400),
        AMAZON.format("20261113T120000Z", 604_800),
        AMAZON_2.format(EPOCH),
        CLOUDFRONT.format(EPOCH),
        GOOGLE.format("20261119T120000Z", 86_400),
        GOOGLE_2.format(EPOCH),
    ],
)
def test_a_signed_link_says_itself_when_it_expires(url: str) -> None:
    found = end(url)
    assert found == NOON
    assert found.tzinfo is dt.UTC


def test_a_shared_access_signature_may_end_with_a_day() -> None:
    assert end(AZURE.format("2026-11-21")) == dt.datetime(2026, 11, 21, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "url",
    [
        "https://files.example.com/d/1.pdf?sig=abc",
        "https://files.example.com/d/1.pdf",
        # Of nobody's signature, so perhaps another thing's end.
        f"https://files.example.com/d/1.pdf?Expires={EPOCH}",
        "https://files.example.com/d/1.pdf?se=2026-11-20",
        AMAZON_2.format(EPOCH).replace("Expires", "expires"),
        AMAZON_2.format(""),
        AMAZON_2.format("-1"),
        AMAZON_2.format("9" * 5000),
        AMAZON_2.format(EPOCH * 1000),
        AMAZON_2.format("%D9%A1"),
        AMAZON.format("20261119T120000Z", 0),
        AMAZON.format("20261119T120000Z", 604_801),
        AMAZON.format("20261119T120000Z", "one day"),
        AMAZON.format("20261399T120000Z", 86_400),
        AMAZON.format("99991231T235959Z", 86_400),
        AMAZON.replace("X-Amz-Date={}&", "").format(86_400),
        AZURE.format("soon"),
        AZURE.format("0001-01-01T00%3A00%3A00%2B14%3A00"),
        "https://[files.example.com/1.pdf?se=2026-11-20&sig=x",
    ],
)
def test_what_cannot_be_read_says_nothing(url: str) -> None:
    assert end(url) is None
    assert fault(Attachment(url), NOON, NOON) is None


def test_what_the_event_says_counts_for_what_ran_out_while_the_entry_waited() -> None:
    told = NOON.astimezone(dt.timezone(dt.timedelta(hours=2)))
    one = Attachment("https://files.example.com/1.pdf", expires_at=told)
    assert fault(one, NOON - HOUR, NOON - HOUR) is None
    words = fault(one, NOON - HOUR, NOON)
    assert words is not None
    assert "expired at 2026-11-20 12:00 UTC" in words
    # It was over when it came: its sender knew.
    assert fault(one, NOON, NOON + HOUR) is None
    # What the link itself says is in force all the same.
    signed = Attachment(AMAZON_2.format(EPOCH), expires_at=told + HOUR)
    assert fault(signed, NOON, NOON) is not None


def test_a_link_is_at_fault_once_it_is_over_or_lives_too_short_for_loop() -> None:
    one = Attachment(CLOUDFRONT.format(EPOCH))
    second = dt.timedelta(seconds=1)
    assert fault(one, NOON, NOON - FETCHED_WITHIN + HOUR) is None
    words = fault(one, NOON, NOON - FETCHED_WITHIN + HOUR + second)
    assert words is not None
    assert "until 2026-11-20 12:00 UTC" in words
    assert "24 hours" in words
    assert "24 hours" in (fault(one, NOON, NOON - second) or "")
    assert fault(one, NOON, NOON) == "The link to the document expired at 2026-11-20 12:00 UTC."
    assert fault(Attachment("https://files.example.com/1.pdf"), NOON, NOON) is None


_NAMES = st.sampled_from(
    ["se", "sig", "Expires", "Signature", "Key-Pair-Id", "AWSAccessKeyId", "GoogleAccessId"]
    + [f"X-{vendor}-{name}" for vendor in ("Amz", "Goog") for name in ("Date", "Expires")]
)
_VALUES = (
    st.text(max_size=20)
    | st.integers().map(str)
    | st.datetimes().map(lambda one: one.isoformat())
    | st.datetimes().map(lambda one: f"{one:%Y%m%dT%H%M%SZ}")
)


@given(
    st.text()
    | st.dictionaries(_NAMES, _VALUES).map(
        lambda given: "https://x/1?" + "&".join(f"{key}={value}" for key, value in given.items())
    ),
    st.none() | st.datetimes(timezones=st.just(dt.UTC)),
)
@example(AZURE.format("9999-12-31T23:59:59-14:00"), None)
def test_no_link_makes_it_fail(url: str, told: dt.datetime | None) -> None:
    found = end(url)
    assert found is None or found.tzinfo is dt.UTC
    fault(Attachment(url, expires_at=told), NOON, NOON)
