"""A firm's keys as a person gives them."""

import unicodedata
from dataclasses import dataclass, field

from passerelle.domain.errors import RegistrationError

# What people paste along: quotes of every kind, if they stand on both sides.
_QUOTES = {'""', "''", "``", "\u201c\u201d", "\u2018\u2019", "\u00ab\u00bb"}
# Control, formatting (of no width, byte order mark) and space characters.
_BLANK = {"Cc", "Cf", "Zs", "Zl", "Zp"}


@dataclass(frozen=True, slots=True)
class FirmKeys:
    """As they were typed or pasted; what is around them is not part of them (`trimmed`)."""

    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    subscription_key: str = field(repr=False)

    def trimmed(self) -> "FirmKeys":
        """Without blanks, line ends and quotes around them; `KEY:SECRET`, as Loop wants the two in
        its header, is taken apart where key and secret agree.

        Raises: RegistrationError, where one is empty or cannot stand in a header.
        """
        key, secret, subscription = map(
            _bare, (self.api_key, self.api_secret, self.subscription_key)
        )
        # Only the first colon parts them (reference: Loop API 1).
        first, colon, rest = key.partition(":")
        if colon and secret in {rest, key}:
            key, secret = first, rest
        elif key and secret.startswith(f"{key}:"):
            secret = secret.removeprefix(f"{key}:")
        words = {"API key": key, "API secret": secret, "subscription key": subscription}
        for name, value in words.items():
            if not value:
                raise RegistrationError(f"The {name} is empty.")
            if not (value.isascii() and value.isprintable()):
                raise RegistrationError(
                    f"The {name} holds characters that cannot be sent; copy it again."
                )
        if ":" in key:
            raise RegistrationError(
                "The API key holds a colon: give the part before it as key, the rest as secret."
            )
        return FirmKeys(key, secret, subscription)


def _bare(value: str) -> str:
    blanks = "".join(c for c in value if c.isspace() or unicodedata.category(c) in _BLANK)
    value = value.strip(blanks) if blanks else value
    if value[:1] + value[1:][-1:] in _QUOTES:
        return _bare(value[1:-1])
    return value
