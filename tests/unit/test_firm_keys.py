"""Keys as people paste them."""

import pytest

from passerelle.domain.errors import RegistrationError
from passerelle.domain.firm_keys import FirmKeys


def trimmed(key: str, secret: str, subscription: str = "SUB") -> tuple[str, str, str]:
    keys = FirmKeys(key, secret, subscription).trimmed()
    return keys.api_key, keys.api_secret, keys.subscription_key


@pytest.mark.parametrize(
    "pasted",
    [
        *("KEY", " KEY\r\n", "\u00a0KEY\u00a0", "\u200bKEY\ufeff", "\u2060 KEY\u200d"),
        *("'KEY'", '"KEY"', ' "KEY" \n', '" KEY"', "\u00ab\u00a0KEY\u00a0\u00bb"),
        *("\u201cKEY\u201d", "\u2018KEY\u2019", "`KEY`"),
    ],
)
def test_what_is_pasted_along_is_no_part_of_a_key(pasted: str) -> None:
    assert trimmed(pasted, pasted.replace("KEY", "SE:CRET"), pasted) == ("KEY", "SE:CRET", "KEY")


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("KEY", "KEY:SE:CRET"),
        ("KEY:SE:CRET", "SE:CRET"),
        ("KEY:SE:CRET", "KEY:SE:CRET"),
        ("KEY", "'KEY:SE:CRET'"),
    ],
)
def test_key_and_secret_pasted_as_one_are_taken_apart(key: str, secret: str) -> None:
    assert trimmed(key, secret) == ("KEY", "SE:CRET", "SUB")


@pytest.mark.parametrize("inner", ["K EY", 'K"EY', "KEY'", "'KEY"])
def test_what_stands_within_is_left(inner: str) -> None:
    assert trimmed("KEY", inner)[1] == inner


@pytest.mark.parametrize(
    ("key", "secret", "words"),
    [
        ("''", "s", "API key is empty"),
        ("\u200b", "s", "API key is empty"),
        ("k", '""', "API secret is empty"),
        ("k", "k:", "API secret is empty"),
        ("k", "s\u200bt", "API secret holds characters"),
        ("k:HUSH", "other", "colon"),
    ],
)
def test_what_is_no_key_is_refused_and_not_shown(key: str, secret: str, words: str) -> None:
    with pytest.raises(RegistrationError, match=words) as caught:
        trimmed(key, secret)
    assert "HUSH" not in str(caught.value)
