"""A validated entry as lines of a Loop import. Contract: what goes to Loop."""

import datetime as dt
import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal

from passerelle.domain.event import Attachment, Entry, Line, PaymentMode
from passerelle.domain.limits import Cut, Limits
from passerelle.domain.text import cut, normalise

_EURO = "EUR"
_EURO_RATE = "1.0"
_ZERO = Decimal(0)
_NAMESPACE = uuid.UUID("6f2b1c52-3c0e-5d0b-9c4e-7a1f0c9d2e55")
# Reference: Loop API 3.7, `modePaiement`.
_PAYMENT_MODES = {
    PaymentMode.NONE: 1,
    PaymentMode.CASH: 2,
    PaymentMode.CHEQUE: 3,
    PaymentMode.CARD: 4,
    PaymentMode.TRANSFER: 5,
    PaymentMode.DIRECT_DEBIT: 6,
    PaymentMode.TIP: 7,
    PaymentMode.LCR_BOR: 8,
    PaymentMode.LCR_MAGNETIC: 9,
    PaymentMode.DRAFT: 10,
    PaymentMode.REMOTE_PAYMENT: 11,
}


@dataclass(frozen=True, slots=True)
class Side:
    """`amount` in EUR, `currency_amount` in `currency`; both zero on the side not moved."""

    amount: Decimal
    currency: str
    currency_amount: Decimal
    currency_rate: str


@dataclass(frozen=True, slots=True)
class LoopLine:
    """A line within Loop's lengths; what is None is not sent."""

    date: dt.date
    debit: Side
    credit: Side
    journal: str
    account: str
    description: str
    reference: str
    auxiliary: str | None
    comment: str | None
    account_label: str | None
    journal_label: str | None
    document_date: dt.date | None
    due_date: dt.date | None
    operation_date: dt.date | None
    payment_mode: int | None
    lettering: str | None
    lettering_date: dt.date | None
    siret: str | None
    origin: uuid.UUID | None
    attachment: Attachment | None


@dataclass(frozen=True, slots=True)
class Destination:
    """The folder that entries go to, and how they are written there.

    `loop_codes` gives, for a normalised auxiliary code, the code to send as it stands; where it
    has none, the short form goes. `accounts` gives the chart's writing of an account where that
    is another. `send_origin` is false where Loop is read back by piece.
    """

    firm: str
    folder: str
    limits: Limits
    send_origin: bool
    loop_codes: Mapping[str, str]
    accounts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class MappedEntry:
    lines: tuple[LoopLine, ...]
    cuts: tuple[Cut, ...]


def origin(firm: str, folder: str, entry_id: str, revision: int) -> uuid.UUID:
    """The `ecritureOrigine` by which an entry is found again in Loop."""
    name = json.dumps([firm, folder, entry_id, revision], ensure_ascii=False, separators=(",", ":"))
    return uuid.uuid5(_NAMESPACE, name)


def auxiliary_code(code: str) -> str:
    """A third-party code as the register of a folder knows it: normalised, not cut."""
    return normalise(code)


def short_auxiliary(code: str, limits: Limits) -> str:
    """What Loop gets of a normalised code. Different codes with one short form collide."""
    return cut(code, limits.auxiliary_code)


def chart_account(account: str, chart: Collection[str]) -> str:
    """The account as the chart writes it, where only zeros on the right differ.

    As given where the chart holds nothing like it, or several such accounts: a guess between
    `401` and `401000` would post to the wrong one.
    """
    root = account.rstrip("0")
    alike = {known for known in chart if known.rstrip("0") == root}
    return alike.pop() if len(alike) == 1 else account


def _sides(line: Line, entry_currency: str) -> tuple[Side, Side]:
    """Debit and credit. A line without an amount in the entry's currency is told in EUR alone."""
    is_debit = line.debit > _ZERO
    amount = line.debit if is_debit else line.credit
    currency, in_currency, rate = _EURO, amount, _EURO_RATE
    if line.currency_amount is not None and line.currency_rate is not None:
        currency, in_currency, rate = entry_currency, line.currency_amount, line.currency_rate
    moved = Side(amount, currency, in_currency, rate)
    still = Side(_ZERO, currency, _ZERO, rate)
    return (moved, still) if is_debit else (still, moved)


def _attachment_line(lines: tuple[Line, ...]) -> int:
    return next((number for number, line in enumerate(lines) if line.auxiliary is not None), 0)


def _optional(text: str | None) -> str | None:
    return None if text is None else normalise(text) or None


def map_entry(entry: Entry, destination: Destination) -> MappedEntry:
    """Every line of an entry, in order, and what had to be cut.

    Total: what a valid event may hold and Loop cannot (a piece reference of nothing but control
    characters) is replaced by the entry's origin, so that no line is without a description or a
    reference. An auxiliary code of nothing but control characters is not sent.
    """
    limits = destination.limits
    identity = origin(destination.firm, destination.folder, entry.id, entry.revision)
    piece = normalise(entry.piece_ref) or identity.hex
    reference = cut(piece, limits.reference)
    cuts = [Cut(0, "piece_ref", piece, reference)] if reference != piece else []
    journal, journal_label = normalise(entry.journal.code), _optional(entry.journal.label)
    attachment_line = _attachment_line(entry.lines)
    lines = []
    for number, line in enumerate(entry.lines):
        whole = normalise(line.description) or piece
        description = cut(whole, limits.description)
        if description != whole:
            cuts.append(Cut(number, "description", whole, description))
        auxiliary = None
        if line.auxiliary is not None:
            code = auxiliary_code(line.auxiliary.code)
            short = short_auxiliary(code, limits)
            auxiliary = destination.loop_codes.get(code, short)
            # A code of an operator's choice is another name and no cut.
            if auxiliary == short != code:
                cuts.append(Cut(number, "auxiliary.code", code, short))
        debit, credit = _sides(line, entry.currency)
        mode, lettering = line.payment_mode, line.lettering
        lines.append(
            LoopLine(
                date=entry.date,
                debit=debit,
                credit=credit,
                journal=journal,
                account=destination.accounts.get(line.account, line.account),
                description=description,
                reference=reference,
                auxiliary=auxiliary or None,
                comment=None if description == whole else whole,
                account_label=_optional(line.account_label),
                journal_label=journal_label,
                document_date=entry.document_date,
                due_date=line.due_date,
                operation_date=line.operation_date,
                payment_mode=None if mode is None else _PAYMENT_MODES[mode],
                lettering=None if lettering is None else _optional(lettering.code),
                lettering_date=None if lettering is None else lettering.date,
                siret=entry.siret,
                origin=identity if destination.send_origin else None,
                attachment=entry.attachment if number == attachment_line else None,
            )
        )
    return MappedEntry(tuple(lines), tuple(cuts))
