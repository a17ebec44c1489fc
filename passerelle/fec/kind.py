"""What kind of entry it is, told from its journal's label and its accounts.

The label decides where it names the kind; otherwise the numbers of the chart of accounts that
every French firm uses (plan comptable général): a bank or cash account makes an entry `bank`, a
supplier with a charge or a fixed asset `purchase`, a customer with a product `sale`; all else is
`other`. An FEC does not tell an expense report from a purchase.
"""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from passerelle.domain.event import Kind

# In this order. Opening and sundry journals meet every account, so they are named first.
_LABELS = (
    ("nouveau", Kind.OTHER),
    ("ouverture", Kind.OTHER),
    ("operations diverses", Kind.OTHER),
    ("achat", Kind.PURCHASE),
    ("vente", Kind.SALE),
    ("banque", Kind.BANK),
    ("caisse", Kind.BANK),
)


def kind_of(journal_label: str, accounts: Iterable[str]) -> Kind:
    """The kind of an entry with these accounts in a journal of this label ("" for none)."""
    named = _named(journal_label)
    if named is not None:
        return named
    groups = {account[:2] for account in accounts}
    classes = {group[0] for group in groups}
    if groups & {"51", "53"}:
        return Kind.BANK
    if "40" in groups and classes & {"2", "6"}:
        return Kind.PURCHASE
    if "41" in groups and "7" in classes:
        return Kind.SALE
    return Kind.OTHER


@lru_cache(maxsize=256)
def _named(journal_label: str) -> Kind | None:
    letters = unicodedata.normalize("NFD", journal_label.casefold())
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return next((kind for word, kind in _LABELS if word in plain), None)
