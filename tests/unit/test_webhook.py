"""Which addresses may be told, and how messages are signed (Standard Webhooks 1.0)."""

import base64
import datetime as dt
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from passerelle.domain.webhook import (
    LONGEST,
    SHORTEST,
    WebhookError,
    headers,
    host_of,
    is_plain,
    may_reach,
    parse_secrets,
)

NETWORKS = [ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00::/8")]
PUBLIC = ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"]
ALLOWED = ["10.1.2.3", "::ffff:10.1.2.3", "fd12::1", "64:ff9b::a01:203"]
FORBIDDEN = [
    *("127.0.0.1", "127.8.9.1", "0.0.0.0", "10.2.0.1", "172.16.0.1", "192.168.1.1"),  # noqa: S104
    *("169.254.169.254", "100.64.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "ff02::1", "fc00::1"),
    # Addresses that carry another one.
    *("::ffff:127.0.0.1", "::ffff:192.168.1.1", "64:ff9b::7f00:1", "2002:7f00:1::"),
    *("::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b:1::a00:1", "fec0::1"),
    *("2001:0:7f00:1::", "localhost", "", "8.8.8.8.8"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_told(address: str) -> None:
    assert may_reach(address, [])


@pytest.mark.parametrize("address", [*ALLOWED, *FORBIDDEN])
def test_no_other_may(address: str) -> None:
    assert not may_reach(address, [])


@pytest.mark.parametrize("address", ALLOWED)
def test_but_those_of_the_networks_that_are_named(address: str) -> None:
    assert may_reach(address, NETWORKS)


@pytest.mark.parametrize("address", FORBIDDEN)
def test_which_open_no_others(address: str) -> None:
    assert not may_reach(address, NETWORKS)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://hub.example/in", "hub.example", 443),
        ("https://hub.example:8443/in?for=passerelle", "hub.example", 8443),
        ("http://[::1]:80/", "::1", 80),
        ("http://hub", "hub", 80),
    ],
)
def test_host_and_port_of_an_address(url: str, host: str, port: int) -> None:
    assert host_of(url) == (host, port)
    assert is_plain(url) == url.startswith("http:")


@pytest.mark.parametrize(
    "url",
    [
        *("", "hub.example", "//hub.example", "ftp://hub.example/", "https://", "https:///in"),
        *("https://user:password@hub.example/", "https://user@hub.example", "https://hub/#top"),
        *(
            "https://hub.example:port/",
            "https://hub.example:99999/",
            "https://hub.example:0/",
            "https://[::1/",
        ),
        *("https://hub example/", "https://hub.example/\n", "file:///etc/passwd"),
        "https://public.example\\@10.0.0.1/",
    ],
)
def test_what_is_no_address_of_a_webhook_says_what_one_is(url: str) -> None:
    with pytest.raises(WebhookError, match="https://host/path"):
        host_of(url)


def written(length: int, byte: int = 7) -> str:
    return "whsec_" + base64.b64encode(bytes([byte]) * length).decode()


@pytest.mark.parametrize("length", [SHORTEST, 32, LONGEST])
def test_a_secret_may_have_24_to_64_bytes(length: int) -> None:
    [secret] = parse_secrets(f"  {written(length)}\n")
    assert len(secret) == length


@pytest.mark.parametrize(
    "text",
    ["", "\n", "whsec_", "secret", "whsec_é", written(SHORTEST - 1), written(LONGEST + 1),
     "\n".join(written(32) for _ in range(3)), written(32)[:-2]],
)  # fmt: skip
def test_another_secret_says_what_one_is(text: str) -> None:
    with pytest.raises(WebhookError, match="secret"):
        parse_secrets(text)


@given(text=st.text(), webhook_id=st.uuids())
def test_the_published_library_takes_our_signatures(text: str, webhook_id: object) -> None:
    now, secret = dt.datetime.now(dt.UTC), written(32)
    body = text.encode("utf-8", "replace")
    signed = headers(parse_secrets(secret), str(webhook_id), now, body)
    Webhook(secret).verify(body, signed, json_parse=False)


def test_while_a_secret_is_replaced_a_message_has_a_signature_of_each() -> None:
    now = dt.datetime.now(dt.UTC)
    new, old = written(32), written(24)
    signed = headers(parse_secrets(f"{new}\n{old}\n"), "id", now, b"{}")
    for text in (new, old):
        Webhook(text).verify(b"{}", signed)
    with pytest.raises(Exception, match="signature"):
        Webhook(written(32, 8)).verify(b"{}", signed)
    with pytest.raises(Exception, match="signature"):
        Webhook(new).verify(b"{ }", signed)
