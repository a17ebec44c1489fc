"""Whether a folder in Loop has what the entries of the hub need: `folder check`."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Engine

from passerelle.domain.finding import Finding
from passerelle.domain.remedies import Facts, remedy
from passerelle.store import prerequisites as store
from passerelle.store.outbox import FolderSeen, tell_folder
from passerelle.store.prerequisites import FolderState, Used

_CLASSES = "1234567"
"""Of the French chart of accounts, all but those of special accounts."""

# Reference: Loop API 3.2; what the hub sends (expense reports go with the purchases or apart).
_JOURNALS = {"1": "purchases", "8": "sales", "4": "bank", "2": "miscellaneous"}

_MOST = 10
"""Codes named in one sentence."""


class Prerequisites:
    """`catalogue`: of remedies, as `domain.remedies` reads it."""

    def __init__(self, engine: Engine, catalogue: Mapping[str, Any]) -> None:
        self._engine = engine
        self._catalogue = catalogue

    def examine(self, state: FolderState, today: dt.date, unasked: str | None) -> list[Finding]:
        """What stands for or against sending the folder's entries, as far as it is known; the hub
        is told.

        `unasked`: why its lists could not be read just now; None where they were.
        """
        names = f"{state.firm} {state.code}"
        with self._engine.begin() as connection:
            found = [self._reachable(state, unasked)]
            if state.refreshed_at is None:
                wrong = "Neither the chart of accounts nor the journals have been read yet."
                found.append(Finding("reference data", wrong, "See above; then check again."))
            else:
                found += _lists(connection, state.id, names)
                found += _accounts(connection, state)
                found += _journals(connection, state.id)
            found += _auxiliaries(connection, state.id, names)
            found.append(_period(state, today, names))
        seen = {
            "state": FolderSeen.CHECKED,
            "ok": not any(one.against for one in found),
            "findings": [asdict(one) for one in found if one.wrong is not None],
        }
        with self._engine.begin() as connection:
            tell_folder(connection, state.id, seen)
        return found

    def _remedy(self, state: FolderState, reason: str, said: str) -> str:
        facts = Facts(reason, state.firm, state.code, said, state.connector)
        return remedy(self._catalogue, "en", facts).text

    def _reachable(self, state: FolderState, unasked: str | None) -> Finding:
        if state.reason is not None:
            remedy_ = self._remedy(state, state.reason, state.said or "")
            return Finding("reachable", state.said, remedy_)
        return Finding(
            "reachable",
            unasked and f"Loop could not be asked. {unasked}",
            "Check again in a while; what follows is what was known before.",
            grave=state.refreshed_at is None,
        )


def _lists(connection: Connection, folder_id: int, names: str) -> Iterator[Finding]:
    flags = store.flags(connection, folder_id)
    if not flags:
        yield Finding("reference data")
    for kind, message in flags.items():
        yield Finding(
            f"list of {kind}s",
            message,
            "What was known is kept. What failed is tried again by itself; a list that is right "
            f"though it is short: passerelle referential refresh {names} --accept-smaller",
            grave=False,
        )


def _accounts(connection: Connection, state: FolderState) -> Iterator[Finding]:
    lacking = [c for c in _CLASSES if c not in store.account_classes(connection, state.id)]
    yield Finding(
        "classes of accounts",
        f"No open account of class {_some(lacking)}." if lacking else None,
        "Complete the chart of accounts in Loop, for each open fiscal year.",
        grave=False,
    )
    used = store.used_accounts(connection, state.id)
    unknown, closed = _unknown(used), _closed(used)
    yield Finding(
        "accounts that entries use",
        f"The chart does not have {_some(unknown)}." if unknown else None,
        "Loop creates them with the first entry, as the folder is set to."
        if state.create_accounts
        else "Create them in Loop, or correct them in the hub.",
        grave=not state.create_accounts,
    )
    if closed:
        wrong, remedy = f"Closed in Loop: {_some(closed)}.", "Open them in Loop."
        yield Finding("accounts of entries that are closed", wrong, remedy)


def _journals(connection: Connection, folder_id: int) -> Iterator[Finding]:
    types = store.journal_types(connection, folder_id)
    lacking = [name for type_, name in _JOURNALS.items() if type_ not in types]
    yield Finding(
        "journals",
        f"No open journal for {_some(lacking)}." if lacking else None,
        "Create or open one in Loop, for each open fiscal year.",
    )
    used = store.used_journals(connection, folder_id)
    unknown, closed = _unknown(used), _closed(used)
    wrong = [f"The folder does not have {_some(unknown)}."] if unknown else []
    wrong += [f"Closed in Loop: {_some(closed)}."] if closed else []
    yield Finding(
        "journals that entries use",
        " ".join(wrong) or None,
        "Create or open them in Loop, or correct the journal in the hub.",
    )


def _auxiliaries(connection: Connection, folder_id: int, names: str) -> Iterator[Finding]:
    cuts = [f"{code} -> {short}" for code, short in store.cut_codes(connection, folder_id)]
    yield Finding(
        "auxiliary codes that are cut",
        f"{_some(cuts)}." if cuts else None,
        "Nothing, if the short code is that of the same third party in Loop.",
        grave=False,
    )
    collisions = store.collisions(connection, folder_id)
    yield Finding(
        "auxiliary codes that collide",
        _some(collisions, " ") or None,
        f"Give each a code of its own in Loop: passerelle folder map-auxiliary {names} FULL "
        "LOOPCODE; what waits is then sent by itself. Or give it another code in the hub.",
    )


def _period(state: FolderState, today: dt.date, names: str) -> Finding:
    name, remedy = "open period", f"passerelle folder set {names} --open-from D --open-to D"
    first, last = state.open_from, state.open_to
    if first is None and last is None:
        wrong = "It is not known, so that no date can be checked before Loop does."
        return Finding(name, wrong, remedy, grave=False)
    if (first is None or first <= today) and (last is None or today <= last):
        return Finding(name)
    return Finding(name, f"Today is outside of it: {first or '…'} to {last or '…'}.", remedy)


def _unknown(used: Sequence[Used]) -> list[str]:
    return [one.code for one in used if not one.known]


def _closed(used: Sequence[Used]) -> list[str]:
    return [one.code for one in used if one.known and not one.open]


def _some(items: Sequence[str], separator: str = ", ") -> str:
    rest = len(items) - _MOST
    return separator.join(items[:_MOST]) + (f" and {rest} more" if rest > 0 else "")
