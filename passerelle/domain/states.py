"""The states of an entry and the ways between them: one table, contract section 5.

The database's CHECK constraints and the picture in ARCHITECTURE.md come from here.
"""

import enum


class State(enum.StrEnum):
    RECEIVED = "received"
    POSTING = "posting"
    POSTED = "posted"
    WAITING = "waiting"
    UNCERTAIN = "uncertain"
    PARKED = "parked"
    SYNCED = "synced"
    SUPERSEDED = "superseded"
    DISCARDED = "discarded"


_S = State

TRANSITIONS: dict[State, frozenset[State]] = {
    # To `uncertain`: the database was restored. To `posted`: a late answer.
    _S.RECEIVED: frozenset({_S.POSTING, _S.PARKED, _S.SUPERSEDED, _S.UNCERTAIN, _S.POSTED}),
    _S.POSTING: frozenset({_S.POSTED, _S.WAITING, _S.UNCERTAIN, _S.PARKED}),
    _S.POSTED: frozenset({_S.SYNCED, _S.WAITING, _S.UNCERTAIN, _S.PARKED}),
    _S.WAITING: frozenset({_S.POSTING, _S.PARKED, _S.SUPERSEDED, _S.UNCERTAIN, _S.POSTED}),
    _S.UNCERTAIN: frozenset({_S.SYNCED, _S.POSTED, _S.WAITING, _S.PARKED}),
    _S.PARKED: frozenset(
        {_S.RECEIVED, _S.UNCERTAIN, _S.POSTED, _S.SYNCED, _S.SUPERSEDED, _S.DISCARDED}
    ),
    _S.SYNCED: frozenset(),
    _S.SUPERSEDED: frozenset(),
    _S.DISCARDED: frozenset(),
}

UNSENT = frozenset({State.RECEIVED, State.WAITING})
"""What a delivery may claim and a hold may park."""

FINAL = frozenset(state for state, ways in TRANSITIONS.items() if not ways)

UNSETTLED = frozenset(State) - FINAL - {State.PARKED}
"""On its way: a release of such entries is not over."""


class Told(enum.StrEnum):
    """What the hub is told of an entry, contract section 8: states, and what never came to one."""

    SYNCED = State.SYNCED
    PARKED = State.PARKED
    SUPERSEDED = State.SUPERSEDED
    DISCARDED = State.DISCARDED
    # At the door.
    REFUSED = "refused"
    # The hub has sent it, and it is not here.
    MISSING = "missing"


TOLD = FINAL | {State.PARKED}
"""The states among them."""


class Reason(enum.StrEnum):
    """Why an entry is parked or a case is open."""

    ACCESS_DENIED = "access_denied"
    UNKNOWN_FIRM = "unknown_firm"
    UNKNOWN_FOLDER = "unknown_folder"
    CREDENTIALS_REFUSED = "credentials_refused"
    UNKNOWN_ACCOUNT = "unknown_account"
    CLOSED_ACCOUNT = "closed_account"
    UNKNOWN_JOURNAL = "unknown_journal"
    CLOSED_JOURNAL = "closed_journal"
    OUTSIDE_OPEN_PERIOD = "outside_open_period"
    AUXILIARY_COLLISION = "auxiliary_collision"
    ATTACHMENT_EXPIRED = "attachment_expired"
    REFUSED_BY_LOOP = "refused_by_loop"
    UNDECIDED = "undecided"
    LANDED_DIFFERENTLY = "landed_differently"
    ALREADY_SYNCED = "already_synced"
    EXHAUSTED = "exhausted"
    INTERNAL = "internal"
    # Reasons of cases without parked entries.
    LANDED_TWICE = "landed_twice"
    IMPORT_STUCK = "import_stuck"


MISSED = frozenset(
    {
        Reason.UNKNOWN_ACCOUNT,
        Reason.CLOSED_ACCOUNT,
        Reason.UNKNOWN_JOURNAL,
        Reason.CLOSED_JOURNAL,
    }
)
"""What the folder's reference data lack: reading them anew may show the cure."""

OF_ENTRIES = MISSED | {
    Reason.OUTSIDE_OPEN_PERIOD,
    Reason.AUXILIARY_COLLISION,
    Reason.ATTACHMENT_EXPIRED,
    Reason.REFUSED_BY_LOOP,
    Reason.UNDECIDED,
    Reason.ALREADY_SYNCED,
    Reason.EXHAUSTED,
    Reason.INTERNAL,
}
"""A case of such a reason is about the entries that wait on it, and over when none does."""

PROBED = frozenset({Reason.ACCESS_DENIED, Reason.UNKNOWN_FOLDER, Reason.CREDENTIALS_REFUSED})
"""What Loop itself can be asked about: whether it is over (rule 18)."""

HOLDING = PROBED | {Reason.UNKNOWN_FIRM, Reason.LANDED_DIFFERENTLY}
"""A case of such a reason holds a whole firm or folder."""


class Scope(enum.StrEnum):
    """What a case holds."""

    FIRM = "firm"
    FOLDER = "folder"
    ENTRY = "entry"


class CaseState(enum.StrEnum):
    OPEN = "open"
    HEALED = "healed"
    RELEASED = "released"
    DISMISSED = "dismissed"


class Closing(enum.StrEnum):
    """The definite ends of an attempt (engine rule 2); without one it is open."""

    NEVER_SENT = "never_sent"
    REFUSED = "refused"
    ENDED = "ended"
    PROVEN_ABSENT = "proven_absent"
    SETTLED = "settled"
