"""A validated entry, as the hub describes it. Contract: the event, version 1."""

import datetime as dt
import enum
import uuid
from dataclasses import dataclass
from decimal import Decimal


class Kind(enum.StrEnum):
    PURCHASE = "purchase"
    SALE = "sale"
    EXPENSE_REPORT = "expense_report"
    BANK = "bank"
    OTHER = "other"


class PaymentMode(enum.StrEnum):
    NONE = "none"
    CASH = "cash"
    CHEQUE = "cheque"
    CARD = "card"
    TRANSFER = "transfer"
    DIRECT_DEBIT = "direct_debit"
    TIP = "tip"
    LCR_BOR = "lcr_bor"
    LCR_MAGNETIC = "lcr_magnetic"
    DRAFT = "draft"
    REMOTE_PAYMENT = "remote_payment"


@dataclass(frozen=True, slots=True)
class Journal:
    code: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Auxiliary:
    """A third-party account (tiers): the code is whole, not yet cut to Loop's length."""

    code: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Lettering:
    code: str
    date: dt.date | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One side of an entry: exactly one of `debit` and `credit` is above zero, both in EUR."""

    account: str
    description: str
    debit: Decimal
    credit: Decimal
    account_label: str | None = None
    auxiliary: Auxiliary | None = None
    # In the entry's currency, and the rate as the hub wrote it; both or neither.
    currency_amount: Decimal | None = None
    currency_rate: str | None = None
    due_date: dt.date | None = None
    operation_date: dt.date | None = None
    payment_mode: PaymentMode | None = None
    lettering: Lettering | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    url: str
    filename: str | None = None
    expires_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A balanced set of lines; `id` is the hub's and unique in the folder."""

    id: str
    revision: int
    kind: Kind
    journal: Journal
    date: dt.date
    piece_ref: str
    lines: tuple[Line, ...]
    document_date: dt.date | None = None
    siret: str | None = None
    currency: str = "EUR"
    attachment: Attachment | None = None


@dataclass(frozen=True, slots=True)
class Event:
    event_id: uuid.UUID
    occurred_at: dt.datetime
    firm: str
    folder: str
    entry: Entry


@dataclass(frozen=True, slots=True, order=True)
class EntryName:
    """What an entry is called in the hub."""

    firm: str
    folder: str
    entry_id: str
    revision: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an event is refused: `path` is a JSON Pointer, "" for the event as a whole."""

    path: str
    message: str
