"""Amounts in whole cents: sums are exact and need no rounding."""

from decimal import Decimal

# Fifteen digits with the cents: what a JSON reader that uses floats still keeps.
_LIMIT = 10**13
_CENT = Decimal("0.01")


class AmountError(ValueError):
    """A JSON value that is no amount."""


def cents(amount: object) -> int:
    """Cents of a JSON number.

    Two decimals, not negative: an assumption (reference: Loop API 10, unknown 24).

    Raises:
        AmountError: the amount is no such number.
    """
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        raise AmountError(f"montant {amount!r} : nombre attendu")
    if not amount:
        return 0
    if not 0 < amount < _LIMIT:
        raise AmountError(f"montant {amount} hors limites")
    exact = Decimal(amount)
    rounded = exact.quantize(_CENT)
    if rounded != exact:
        raise AmountError(f"montant {amount} : plus de deux décimales")
    return int(rounded.scaleb(2))


def text(amount: int) -> str:
    """Cents as a decimal string: `-5` gives `-0.05`."""
    return f"{'-' if amount < 0 else ''}{abs(amount) // 100}.{abs(amount) % 100:02d}"


def number(amount: int) -> Decimal:
    """Cents as a number of the currency."""
    return Decimal(amount).scaleb(-2)
