"""Webhooks as Standard Webhooks 1.0 has them: addresses that may be asked, secrets, signatures.

Source: the specification of Standard Webhooks 1.0, sections on signatures, secrets and SSRF.
"""

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import ipaddress
from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from passerelle.domain.errors import PasserelleError

SECRET_PREFIX = "whsec_"  # noqa: S105 what a secret begins with
SHORTEST, LONGEST = 24, 64
"""Bytes of a secret."""

MOST_SECRETS = 2
"""The new one and the one that it replaces."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NO_ADDRESS = "A webhook address is a URL such as https://host/path, without user and fragment."

# Of IPv6 nothing else is public; parts of the rest lead to IPv4 addresses in other ways.
_UNICAST = ipaddress.ip_network("2000::/3")
# Leads to the IPv4 address in its last four bytes.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class WebhookError(PasserelleError):
    """An address or a secret that webhooks cannot have."""


def parse_secrets(text: str) -> tuple[bytes, ...]:
    """The secrets in a text, one a line, newest first: each message is signed with every one.

    Raises: WebhookError.
    """
    secrets = [_secret(line) for line in text.split()]
    if not 1 <= len(secrets) <= MOST_SECRETS:
        raise WebhookError(
            "Expected one secret, or two while it is replaced: the new one and then the old, a "
            f"line each; found {len(secrets)}."
        )
    return tuple(secrets)


def _secret(text: str) -> bytes:
    try:
        secret = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not SHORTEST <= len(secret) <= LONGEST:
        raise WebhookError(
            f"A webhook secret is `{SECRET_PREFIX}` and {SHORTEST} to {LONGEST} bytes of chance in "
            f'base64: echo "{SECRET_PREFIX}$(openssl rand -base64 32)"'
        )
    return secret


def headers(
    secrets: Sequence[bytes], webhook_id: str, at: dt.datetime, body: bytes
) -> dict[str, str]:
    """What makes a message's sender and time certain."""
    timestamp = str(int(at.timestamp()))
    signed = b".".join([webhook_id.encode(), timestamp.encode(), body])
    signatures = (
        base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode() for secret in secrets
    )
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def host_of(url: str) -> tuple[str, int]:
    """Host and port of an address that a webhook may have.

    Raises: WebhookError.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise WebhookError(_NO_ADDRESS) from None
    # A user's name would carry a password into listings.
    odd = "@" in url or "#" in url or any(not one.isprintable() or one.isspace() for one in url)
    if odd or not host or port == 0 or parts.scheme not in {"https", "http"}:
        raise WebhookError(_NO_ADDRESS)
    return host, port or (443 if parts.scheme == "https" else 80)


def is_plain(url: str) -> bool:
    """Whether it is reached without TLS."""
    return urlsplit(url).scheme == "http"


def may_reach(address: str, networks: Collection[Network]) -> bool:
    """Whether an IP address is a public one, or in one of the networks that are allowed besides.

    What carries another address is judged by that one.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    carried = found
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            carried = found.ipv4_mapped
        elif found in _NAT64:
            carried = ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)
        elif found.sixtofour is not None:
            carried = found.sixtofour
    if any(carried in network for network in networks):
        return True
    if isinstance(carried, ipaddress.IPv6Address) and carried not in _UNICAST:
        return False
    return carried.is_global and not carried.is_multicast
