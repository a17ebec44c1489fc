"""Reading a folder's reference data anew: page by page, taken over in one transaction."""

import datetime as dt
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import IO

from sqlalchemy import Connection, Engine

from passerelle.domain.backoff import refresh_delay
from passerelle.domain.nights import Night
from passerelle.domain.outcome import Answer, Sort
from passerelle.domain.referential import Kind, Page, Record, much_smaller
from passerelle.domain.states import Reason
from passerelle.loop_api.client import PAGE_SIZE, Credentials, Loop
from passerelle.observe import log
from passerelle.store import preflight, referentials, refreshes
from passerelle.store.refreshes import Refreshing
from passerelle.store.unanswered import heed
from passerelle.store.vault import Vault
from passerelle.turns import READING, REFRESHING, Turns

_IN_MEMORY = 1_000_000
"""Bytes of a list that are kept in memory; the rest goes to a file without a name."""

_PATIENCE_SECONDS = 30.0
"""A page waits so long for a turn, or for the end of a pause, before all is put off."""

_REST_SECONDS = 0.2

_NO_TURN = Answer(Sort.AGAIN, "The firm's other requests left no turn for it.")


class _TakenAwayError(Exception):
    """Somebody else has the folder by now."""


@dataclass(frozen=True, slots=True)
class RefreshTerms:
    """The seconds that one page may take with all that belongs to it; when the nights are."""

    lease_seconds: float
    night: Night


@dataclass(slots=True)
class _Listing:
    """A list as it was read: `pages` holds a JSON array a line, `codes` the codes in them.

    `doubt`: why Loop may have more than this.
    """

    kind: Kind
    pages: IO[bytes]
    codes: set[str] = field(default_factory=set)
    doubt: str | None = None

    def keep(self, records: Sequence[Record]) -> int:
        """Keep what is new of a page; how much that was."""
        new = {record.code: record for record in records if record.code not in self.codes}
        self.codes |= new.keys()
        if new:
            self.pages.write(
                json.dumps([referentials.row(record) for record in new.values()]).encode() + b"\n"
            )
        return len(new)

    def kept(self) -> Iterator[bytes]:
        self.pages.seek(0)
        return iter(self.pages)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """By list: how many records Loop showed, and what is wrong with it.

    `changed` and `gone` count records. `stopped`: why the lists that are in neither were not read.
    """

    shown: Mapping[Kind, int]
    flags: Mapping[Kind, str]
    changed: int
    gone: int
    stopped: str | None = None


class Referentials:
    """`chance` gives numbers from 0 to 1."""

    def __init__(
        self,
        engine: Engine,
        loop: Loop,
        vault: Vault,
        turns: Turns,
        terms: RefreshTerms,
        chance: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._loop = loop
        self._vault = vault
        self._turns = turns
        self._terms = terms
        self._chance = chance

    def refresh(
        self, folder_id: int, *, asked: bool = False, accept: bool = False
    ) -> Refreshed | None:
        """Read a folder's lists where it is time to, or where somebody has `asked`.

        `accept`: lists that have become much smaller are believed. None where it is not time, or
        the lists cannot be read now: on hold, paused, Loop is down, or somebody is reading them.
        """
        with self._engine.begin() as connection:
            seconds = self._terms.lease_seconds
            folder = refreshes.lease_refresh(connection, folder_id, seconds, asked=asked)
        if folder is None:
            return None
        try:
            with ExitStack() as files:
                return self._refresh(folder, files, accept=accept)
        except _TakenAwayError:
            return None
        # Whatever it is, it goes on its way; the folder would be rung for again at once, and before
        # the firm's other folders.
        except BaseException:
            with self._engine.begin() as connection:
                now = refreshes.hold_refresh(connection, folder)
                if now is not None:
                    self._put_off(connection, folder, now, taken=False)
            raise

    def _refresh(self, folder: Refreshing, files: ExitStack, *, accept: bool) -> Refreshed:
        credentials = Credentials.opened(folder, self._vault.open)
        read: list[_Listing] = []
        flags: dict[Kind, str] = {}
        stopped: str | None = None
        # What failed the last time comes last, so that it keeps no other list from being read.
        for kind in sorted(Kind, key=lambda kind: kind in folder.flagged):
            pages = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 closed with the others
            found = _Listing(kind, files.enter_context(pages))
            failure = self._read(folder, credentials, found)
            if failure is None:
                read.append(found)
                continue
            flags[kind] = f"It could not be read: {failure.message}"
            # The next list would fare no better.
            if failure.down or failure.sort in {Sort.AGAIN, Sort.PAUSE, Sort.PERSON}:
                stopped = failure.message
                break
        with self._engine.begin() as connection:
            now = refreshes.hold_refresh(connection, folder)
            if now is None:
                raise _TakenAwayError
            done = replace(
                _take_over(connection, folder, read, flags, accept=accept), stopped=stopped
            )
            if stopped is not None:
                self._put_off(connection, folder, now, taken=bool(done.shown))
            else:
                at = self._terms.night.next_turn(folder.id, now)
                refreshes.release_refresh(connection, folder, at, 0, taken=True)
                preflight.try_again(connection, folder.id)
        with self._engine.begin() as connection:
            preflight.heal_cured(connection, folder.id)
        log.info(
            "reference data were read",
            folder=folder.code,
            records=sum(done.shown.values()),
            changed=done.changed,
            gone=done.gone,
            flags=len(done.flags),
        )
        return done

    def _put_off(
        self, connection: Connection, folder: Refreshing, now: dt.datetime, *, taken: bool
    ) -> None:
        failures = folder.failures + 1
        at = now + dt.timedelta(seconds=refresh_delay(failures, self._chance()))
        refreshes.release_refresh(connection, folder, at, failures, taken=taken)

    def _read(
        self, folder: Refreshing, credentials: Credentials, listing: _Listing
    ) -> Answer | None:
        """Read a list to its end; the Answer that ended it before.

        It ends with a page that is not full. That Loop heeds `skip` and `take` is not taken for
        granted: it ends, too, with a page that holds nothing new.
        """
        received = 0
        while True:
            page = self._page(folder, credentials, listing.kind, received)
            if isinstance(page, Answer):
                return page
            new = listing.keep(page.records)
            if received and page.records and not new:
                if received == PAGE_SIZE:
                    listing.doubt = "Loop gives the same page again and again."
                return None
            if new < len(page.records):
                listing.doubt = "Pages of it overlap."
            received += page.received
            if page.received < PAGE_SIZE:
                return None

    def _page(
        self, folder: Refreshing, credentials: Credentials, kind: Kind, skip: int
    ) -> Page | Answer:
        """A page, as soon as the firm has a turn for it; the Answer where Loop did not give it."""
        end_by = time.monotonic() + _PATIENCE_SECONDS
        said: Page | Answer = _NO_TURN
        while True:
            if self._may_call(folder):
                with self._turns.turn(folder.firm_id, REFRESHING) as granted:
                    if granted:
                        said = self._loop.list_page(credentials, folder.code, kind, skip)
                if granted:
                    if isinstance(said, Page):
                        with self._engine.begin() as connection:
                            self._turns.answered(connection, folder.firm_id)
                        return said
                    said = self._heeded(folder, credentials, said)
                    if said.sort is not Sort.PAUSE:
                        return said
            if self._turns.rest(_REST_SECONDS) or time.monotonic() > end_by:
                return said

    def _heeded(self, folder: Refreshing, credentials: Credentials, said: Answer) -> Answer:
        """What Loop refuses is held; a key that may not read this list is no refused key.

        Raises: _TakenAwayError, where the firm has other keys by now.
        """
        if said.reason is Reason.CREDENTIALS_REFUSED:
            with self._turns.turn(folder.firm_id, READING) as granted:
                tried = self._loop.try_keys(credentials) if granted else _NO_TURN
            if tried.sort is Sort.ACCEPTED:
                return replace(said, sort=Sort.REFUSED, reason=None)
            # Without an answer nobody knows: the rest is put off.
            if tried.reason is None:
                return tried
        with self._engine.begin() as connection:
            if said.reason is not None and not refreshes.has_these_keys(connection, folder):
                raise _TakenAwayError
            heed(connection, folder.firm_id, folder.id, said, self._chance())
        return said

    def _may_call(self, folder: Refreshing) -> bool:
        """Raises: _TakenAwayError."""
        with self._engine.begin() as connection:
            may = refreshes.go_on(connection, folder, self._terms.lease_seconds)
        if may is None:
            raise _TakenAwayError
        return may


def _take_over(
    connection: Connection,
    folder: Refreshing,
    read: Sequence[_Listing],
    flags: Mapping[Kind, str],
    *,
    accept: bool,
) -> Refreshed:
    """Store the lists that were read, each as a whole, and say what is wrong with which."""
    known = referentials.known(connection, folder)
    shown: dict[Kind, int] = {}
    flagged = dict(flags)
    changed = gone = 0
    for listing in read:
        kind, number = listing.kind, len(listing.codes)
        before = known.get(kind, 0)
        if listing.doubt is not None:
            flagged[kind] = f"{listing.doubt} What it does not show is kept."
        elif much_smaller(number, before) and not accept:
            flagged[kind] = f"Loop shows {number} of {before} that were there: it is not believed."
            continue
        shown[kind] = number
        for rows in listing.kept():
            changed += referentials.take_over(connection, folder, kind, rows)
        if listing.doubt is None:
            gone += referentials.forget_others(connection, folder, kind, listing.codes)
    for kind, message in flagged.items():
        referentials.flag(connection, folder, kind, message)
    referentials.unflag(connection, folder, shown.keys() - flagged.keys())
    return Refreshed(shown, flagged, changed, gone)
