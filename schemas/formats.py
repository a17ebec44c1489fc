"""What the contract's strings may hold: validators for marshmallow, and the times they stand for.

Each validator is given a string, returns nothing, and raises `ValidationError` with a sentence that
follows on from the name of the field. marshmallow 4 takes no notice of a validator's result.
"""

import datetime as dt
import ipaddress
import json
import re
from dataclasses import dataclass

from marshmallow import ValidationError

# What a message repeats of a wrong value.
MOST_ECHOED = 60
MOST_LINK = 2048

# PostgreSQL's text and jsonb hold neither.
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
# White space of ECMA-262, which the contract's `\S` means. Python's own idea has U+001C to U+001F
# and U+0085 besides, and lacks U+FEFF.
_BLANKS = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
# Both stand before `fromisoformat`, which also takes 20261118, 2026-W47-3 and a time without
# offset.
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    "[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]+)?"
    "([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
# RFC 3986, appendix A, for the one scheme that is allowed.
_HTTPS = re.compile(
    r"""https://
    (?:(?:[\w.~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@)?
    (?:\[(?:(?P<ipv6>[0-9A-Fa-f:.]+)|v[0-9A-Fa-f]+\.[\w.~!$&'()*+,;=:-]+)\]
      |(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)
    (?::[0-9]*)?
    (?:/(?:[\w.~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?
    (?:\?(?:[\w.~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?
    (?:\#(?:[\w.~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?""",
    re.ASCII | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Matching:
    """The whole string matches, not a part of it and not all but a line end."""

    pattern: re.Pattern[str]
    wanted: str

    def __call__(self, value: str) -> None:
        if self.pattern.fullmatch(value) is None:
            raise ValidationError(f"must be {self.wanted}, not {quoted(value)}")


_DIGITS_14 = Matching(re.compile("[0-9]{14}"), "14 digits")


def quoted(value: str) -> str:
    """The beginning of a value in ASCII, so that a line end or a foreign digit is seen."""
    return json.dumps(value[:MOST_ECHOED]) + ("…" if len(value) > MOST_ECHOED else "")


def storable(value: str) -> None:
    found = UNSTORABLE.search(value)
    if found is not None:
        raise ValidationError(f"must not hold U+{ord(found[0]):04X}, which no database can store")


def not_blank(value: str) -> None:
    if not value.strip(_BLANKS):
        raise ValidationError("must hold more than white space")


def siret(value: str) -> None:
    _DIGITS_14(value)
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in value[::2])
    if (doubled + sum(int(digit) for digit in value[1::2])) % 10 != 0:
        raise ValidationError(f"must pass the Luhn check, which {quoted(value)} does not")


def date(value: str) -> None:
    try:
        if _DATE.fullmatch(value) is not None:
            dt.date.fromisoformat(value)
            return
    except ValueError:
        pass
    raise ValidationError(f"must be a date of the calendar as YYYY-MM-DD, not {quoted(value)}")


def date_time(value: str) -> None:
    try:
        if _MOMENT.fullmatch(value) is not None:
            moment(value)
            return
    except (ValueError, OverflowError):
        pass
    raise ValidationError(
        "must be a date and time with an offset, such as 2026-11-20T16:42:07+01:00, "
        f"not {quoted(value)}"
    )


def moment(value: str) -> dt.datetime:
    """The UTC time of a string that `date_time` lets through; digits after microseconds go."""
    return dt.datetime.fromisoformat(value.upper()).astimezone(dt.UTC)


def link(value: str) -> None:
    # Never quoted: the link is signed, and whoever has it can read the document.
    if len(value) > MOST_LINK:
        raise ValidationError(f"must have at most {MOST_LINK} characters")
    found = _HTTPS.fullmatch(value)
    if found is None or not _is_ipv6(found["ipv6"] or "::"):
        raise ValidationError("must be a URI (RFC 3986) that begins with https://")


def _is_ipv6(address: str) -> bool:
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return True
