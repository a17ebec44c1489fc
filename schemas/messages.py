"""What is told, as its receivers read it: contract section 8."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from passerelle.domain.remedies import Facts, texts
from passerelle.domain.states import Told
from schemas.json_text import encode


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What every message says: its type, when it is sent, for which firm.

    `connector`: its name in the firm's Loop, None where it is the usual one.
    """

    type: str
    sent_at: dt.datetime
    firm: str
    connector: str | None

    def document(self, **content: object) -> bytes:
        return encode({"type": self.type, "sent_at": self.sent_at, "firm": self.firm, **content})


# What is not in a state of ours has a remedy all the same.
_REMEDY_OF = {Told.REFUSED: "invalid", Told.MISSING: "missing"}


def outcomes(
    head: Letterhead, rows: Iterable[Mapping[str, Any]], catalogue: Mapping[str, Any]
) -> bytes:
    """Outcomes under the contract's names, each with what to do where something is to be done."""
    return head.document(
        outcomes=[
            {**row, "remedy": _remedy(head, row, Told(row["state"]), catalogue)} for row in rows
        ]
    )


def _remedy(
    head: Letterhead, row: Mapping[str, Any], state: Told, catalogue: Mapping[str, Any]
) -> dict[str, str] | None:
    reason = row["reason"] if state is Told.PARKED else _REMEDY_OF.get(state)
    if reason is None:
        return None
    said = row["message"] or ""
    return texts(catalogue, Facts(reason, head.firm, row["folder"], said, head.connector))


def case(head: Letterhead, found: Mapping[str, Any]) -> bytes:
    """A case as `remediation list` shows it."""
    return head.document(case=found)


def folder_state(
    head: Letterhead,
    folder: str,
    at: dt.datetime,
    seen: Mapping[str, Any],
    catalogue: Mapping[str, Any],
) -> bytes:
    """What was seen of a folder; with what to do where Loop refuses it."""
    content = dict(seen)
    if "reason" in content:
        facts = Facts(content["reason"], head.firm, folder, content["message"], head.connector)
        content["remedy"] = texts(catalogue, facts)
    return head.document(folder=folder, **content, at=at)
