"""What can be known of an entry before it is sent: whether Loop would take it.

What is known of a folder may be older than the folder: what looks missing is looked for before it
is believed.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from passerelle.domain import attachment
from passerelle.domain.event import Attachment
from passerelle.domain.referential import Kind
from passerelle.domain.states import Reason

PATIENCE = dt.timedelta(minutes=15)
"""So long an entry waits for its folder's lists to be read; then Loop says itself what it lacks."""


Code = tuple[Kind, str]
"""A code of one of a folder's lists."""


@dataclass(frozen=True, slots=True)
class Uses:
    """What an entry uses of its folder, as the event gives it; when it came."""

    date: dt.date
    journal: str
    accounts: frozenset[str]
    attachment: Attachment | None
    came_at: dt.datetime

    @property
    def link(self) -> str:
        """Empty where there is none."""
        return "" if self.attachment is None else self.attachment.url


@dataclass(frozen=True, slots=True)
class Chart:
    """What is known of a folder, as far as entries use it.

    `accounts`, without zeros on the right, and `journals`: whether each is closed; None where
    nothing is known of the list.
    """

    accounts: Mapping[str, bool] | None
    journals: Mapping[str, bool] | None
    creates_accounts: bool = False
    open_from: dt.date | None = None
    open_to: dt.date | None = None


@dataclass(frozen=True, slots=True)
class Lack:
    """Why Loop would not take an entry.

    `code`: what its folder lacks, and in which list; None where the fault is another, which
    `message` tells.
    """

    reason: Reason
    message: str
    code: Code | None = None


def lacks(uses: Uses, chart: Chart, now: dt.datetime) -> Iterator[Lack]:
    """Everything that stands against the entry."""
    told = None if uses.attachment is None else attachment.fault(uses.attachment, uses.came_at, now)
    if told is not None:
        yield Lack(Reason.ATTACHMENT_EXPIRED, told)
    if (chart.open_from is not None and uses.date < chart.open_from) or (
        chart.open_to is not None and chart.open_to < uses.date
    ):
        period = f"{chart.open_from or '…'} to {chart.open_to or '…'}"
        yield Lack(
            Reason.OUTSIDE_OPEN_PERIOD,
            f"The entry's date, {uses.date}, is outside of the folder's open period, {period}.",
        )
    if chart.journals is not None:
        closed = chart.journals.get(uses.journal)
        if closed is None:
            told = f"The folder has no journal {uses.journal}."
            yield Lack(Reason.UNKNOWN_JOURNAL, told, (Kind.JOURNAL, uses.journal))
        elif closed:
            told = f"Journal {uses.journal} is closed in Loop."
            yield Lack(Reason.CLOSED_JOURNAL, told, (Kind.JOURNAL, uses.journal))
    if chart.accounts is not None:
        for account in sorted(uses.accounts):
            closed = chart.accounts.get(root(account))
            if closed is None and not chart.creates_accounts:
                told = f"The folder's chart has no account {account}."
                yield Lack(Reason.UNKNOWN_ACCOUNT, told, (Kind.ACCOUNT, account))
            elif closed:
                told = f"Account {account} is closed in Loop."
                yield Lack(Reason.CLOSED_ACCOUNT, told, (Kind.ACCOUNT, account))


def root(account: str) -> str:
    """What accounts that are equal but for zeros on the right have in common (contract 6)."""
    return account.rstrip("0")


@dataclass(frozen=True, slots=True)
class Looks:
    """How well it has been looked for what an entry lacks.

    `since`: when that was seen first; `read_from`: when the reading of the lists began that brought
    what is known of them; `doubtful`: that reading did not bring all of the list. `told`: a case is
    open about it.
    """

    now: dt.datetime
    since: dt.datetime | None
    read_from: dt.datetime | None
    doubtful: bool
    told: bool

    @property
    def enough(self) -> bool:
        """Whether it is missing, if Loop, asked for it by name, does not show it.

        What an entry missed is believed after a reading that began later.
        """
        if self.doubtful:
            return False
        return self.told or (
            self.since is not None and self.read_from is not None and self.read_from > self.since
        )

    @property
    def in_vain(self) -> bool:
        """Whether it has been waited long enough to find out."""
        return self.since is not None and self.now - self.since >= PATIENCE
