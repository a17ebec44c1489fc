"""What kind of entry it is, and whether it opens the year: told from its journal and accounts.

The journal's label decides where it names the kind, then its code; otherwise the numbers of the
chart of accounts that every French firm uses (plan comptable général): a bank or cash account makes
an entry `bank`, a supplier with a charge or a fixed asset `purchase`, a customer with a product
`sale`; all else is `other`. What is asked is asked of one entry: it is the same in every export.
"""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from passerelle.domain.event import Kind

# In this order. Opening and sundry journals meet every account, so they are named first.
_OPENING_WORDS = ("nouveau", "ouverture")
_LABELS = (
    ("operations diverses", Kind.OTHER),
    ("note de frais", Kind.EXPENSE_REPORT),
    ("notes de frais", Kind.EXPENSE_REPORT),
    ("achat", Kind.PURCHASE),
    ("frais generaux", Kind.PURCHASE),
    ("vente", Kind.SALE),
    ("banque", Kind.BANK),
    ("caisse", Kind.BANK),
)
# Codes that mean the same in every package, a number behind them or not.
_OPENING_CODES = frozenset({"an", "ano", "anouv", "ran", "ouv"})
_CODES = {
    **dict.fromkeys(("od", "odv"), Kind.OTHER),
    **dict.fromkeys(("ndf", "nf"), Kind.EXPENSE_REPORT),
    **dict.fromkeys(("ac", "ach", "achat", "achats", "ha", "frs"), Kind.PURCHASE),
    **dict.fromkeys(("ve", "ven", "vente", "ventes", "vt", "vte"), Kind.SALE),
    **dict.fromkeys(("bq", "bqe", "bnq", "banque", "cai", "caisse"), Kind.BANK),
}
# Classes of the balance sheet: what a year opens with.
_BALANCE_SHEET = frozenset("12345")


@lru_cache(maxsize=256)
def kind_of_journal(journal: str, label: str) -> Kind | None:
    """The kind that a journal's label ("" for none) or code names."""
    if is_opening_journal(journal, label):
        return Kind.OTHER
    plain = _plain(label)
    told = next((kind for word, kind in _LABELS if word in plain), None)
    return _CODES.get(_letters(journal)) if told is None else told


def kind_of_accounts(accounts: Iterable[str]) -> Kind:
    """The kind of an entry with these accounts."""
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
def is_opening_journal(journal: str, label: str) -> bool:
    """Whether the journal is there for the balances that a year opens with (à-nouveaux)."""
    return _letters(journal) in _OPENING_CODES or _speaks_of_opening(label)


def opens(accounts: Iterable[str], descriptions: Iterable[str]) -> bool:
    """Whether lines of another journal carry a year's opening balances: they all say so, move the
    balance sheet only, and not equity only, as the year's result put away would.
    """
    classes = {account[:1] for account in accounts}
    return (
        classes <= _BALANCE_SHEET
        and classes != {"1"}
        and all(map(_speaks_of_opening, descriptions))
    )


@lru_cache(maxsize=1024)
def _speaks_of_opening(text: str) -> bool:
    plain = _plain(text)
    return any(word in plain for word in _OPENING_WORDS)


def _letters(code: str) -> str:
    return "".join(filter(str.isalpha, _plain(code)))


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFD", text.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
