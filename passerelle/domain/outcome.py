"""From what Loop answered to what becomes of the entries: engine rules 7, 8 and 14 to 16."""

import enum
from dataclasses import dataclass

from passerelle.domain.states import PROBED, Closing, Reason, State


class Sort(enum.StrEnum):
    """How an answer is sorted; every answer is one of these."""

    ACCEPTED = "accepted"
    AGAIN = "again"
    """Certainly never reached Loop."""
    PAUSE = "pause"
    """Certainly not taken; Loop wants to be left alone for a while."""
    REFUSED = "refused"
    """Loop refused it for what it holds."""
    PERSON = "person"
    """Refused for a cause outside the entries, which `reason` names."""
    UNKNOWN = "unknown"
    """It may have arrived."""


class Failure(enum.StrEnum):
    """Why no answer came: the `message` of an Answer without `http_status`."""

    NO_ADDRESS = "Loop's host name has no address."
    REFUSED = "Loop's host refused the connection."
    TLS = "No trusted TLS connection to Loop."
    PROXY = "The proxy on the way to Loop refused."
    NOT_REACHED = "Loop could not be reached in time."
    NOT_SENT = "The time to send had passed."
    NOT_IN_TIME = "Loop did not answer in time."
    CUT = "The connection to Loop failed or was cut."
    TOO_LARGE = "Loop's answer is too large."


@dataclass(frozen=True, slots=True)
class Answer:
    sort: Sort
    message: str = ""
    http_status: int | None = None
    # With PERSON: access_denied, unknown_folder or credentials_refused.
    reason: Reason | None = None
    # With ACCEPTED: Loop's id of the import request.
    request_id: str | None = None
    # The seconds that Loop, which throttles or is down, asked for, where it said so.
    retry_after: float | None = None
    # Loop or its gateway is out of order or out of reach, rather than this one request.
    down: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of every entry of an import request.

    `closing` None leaves the attempts open: nothing is sent again before Loop was asked. `reason`
    says what case is opened; `hold` that whatever it concerns waits on it; `halve` that the entries
    go again in two halves; `pause` that the firm is left alone for a while.
    """

    to: State
    closing: Closing | None = None
    reason: Reason | None = None
    hold: bool = False
    halve: bool = False
    pause: bool = False


def _person(reason: Reason | None, closing: Closing) -> Outcome:
    if reason not in PROBED:
        raise ValueError(f"a person is needed, but for what? {reason}")
    return Outcome(State.PARKED, closing, reason, hold=True)


def of_post(answer: Answer, entries: int) -> Outcome:
    """What the answer to an import request of so many entries means for them."""
    match answer.sort:
        case Sort.ACCEPTED:
            return Outcome(State.POSTED)
        case Sort.AGAIN | Sort.PAUSE:
            return Outcome(State.WAITING, Closing.NEVER_SENT, pause=True)
        case Sort.PERSON:
            return _person(answer.reason, Closing.REFUSED)
        case Sort.REFUSED if entries == 1:
            return Outcome(State.PARKED, Closing.REFUSED, Reason.REFUSED_BY_LOOP)
        case Sort.REFUSED:
            return Outcome(State.WAITING, Closing.REFUSED, halve=True)
        case Sort.UNKNOWN:
            return Outcome(State.UNCERTAIN, pause=answer.down)


DONE, FAILED = 3, 4
"""Loop's statuses of an import that has ended. Reference: Loop API 3.10."""


def of_status(status: int | None, reason: Reason | None) -> Outcome | None:
    """What an import's status means for its entries; None while it has not ended.

    `reason` is what the status's message speaks of, if that is known. An import that failed may
    have landed in part, so its entries are uncertain; one that was denied access has not.
    """
    if status == DONE:
        return Outcome(State.SYNCED, Closing.ENDED)
    if status == FAILED:
        return Outcome(State.UNCERTAIN) if reason is None else _person(reason, Closing.ENDED)
    return None
