"""Whether what became of an entry is true: its state beside what stands in the books.

Nothing of the product's own is used to compare lines, so that a fault of it cannot hide here.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from chaos.plan import HOLDS, Plan
from passerelle.domain.mapping import origin
from support.events import JsonObject

_LABEL, _THIRD_PARTY = 35, 17
_MANY_LINES = 100
_LineKey = tuple[str, str, str, Decimal, Decimal]


def wrongs(
    plan: Plan,
    states: Mapping[str, Mapping[str, Any]],
    cases: Sequence[Mapping[str, Any]],
    ledger: Sequence[JsonObject],
) -> Iterator[tuple[str, str]]:
    """What is wrong, each with the id of the hub's entry; `states` are the rows by that id.

    `cases` are those that nothing but an accountant's own twin makes true: of an entry that was
    sent twice nobody can tell whether the other is its own.
    """
    books = _Books(ledger)
    events = {event["entry"]["id"]: event for event in plan.events()}
    for entry_id, event in events.items():
        problem = _problem(plan, event, states.get(entry_id), books, events)
        if problem:
            yield entry_id, problem
    for case in cases:
        about = events.get(case["entry_id"])
        if case["reason"] != "landed_twice" or about is None or not books.has_twin(about):
            yield case["entry_id"] or "", f"a case that is not true: {case}"
    known = {_origin(event) for event in events.values()}
    for booked in ledger:
        if booked["request_id"] is not None and booked["origin"] not in known:
            yield "", f"the books hold what nobody sent: {booked}"


class _Books:
    def __init__(self, ledger: Sequence[JsonObject]) -> None:
        self._own: defaultdict[str, list[JsonObject]] = defaultdict(list)
        self._twins = {
            (booked["folder"], booked["piece_ref"])
            for booked in ledger
            if booked["request_id"] is None
        }
        for booked in ledger:
            if booked["request_id"] is not None:
                self._own[booked["origin"]].append(booked)

    def of(self, event: JsonObject) -> list[JsonObject]:
        return self._own[_origin(event)]

    def has_twin(self, event: JsonObject) -> bool:
        return (event["folder"], event["entry"]["piece_ref"]) in self._twins


def _problem(
    plan: Plan,
    event: JsonObject,
    row: Mapping[str, Any] | None,
    books: _Books,
    events: Mapping[str, JsonObject],
) -> str | None:
    own = books.of(event)
    if row is None:
        return "it is not known"
    if len(own) > 1:
        return f"booked {len(own)} times"
    if row["state"] == "synced":
        true = bool(own) and _is_right(event, own[0])
    else:
        true = row["state"] == "parked" and _is_true(plan, event, row["reason"], books, events)
    if true:
        return None
    said = " ".join(filter(None, (row["state"], row["reason"])))
    return f"{said}, and in the books stands {[_told(one) for one in own]}"


def _is_true(
    plan: Plan, event: JsonObject, reason: str, books: _Books, events: Mapping[str, JsonObject]
) -> bool:
    own, armed = books.of(event), plan.armed(event["folder"])
    true = False
    match reason:
        case "access_denied" | "unknown_folder" | "credentials_refused":
            true = not own and any(HOLDS.get(fault) == reason for fault in armed)
        case "refused_by_loop":
            true = not own and any(
                fault.startswith("failed") or fault == "attachment_refused" for fault in armed
            )
        case "exhausted":
            true = not own
        case "landed_differently":
            # Or it was never sent, and another of its folder is why.
            others = [one for one in events.values() if one["folder"] == event["folder"]]
            true = any(
                not _is_right(one, booked)
                for one in ([event] if own else others)
                for booked in books.of(one)
            )
        case "undecided":
            true = (
                books.has_twin(event)
                or len(event["entry"]["lines"]) >= _MANY_LINES
                or any(
                    booked["booked_origin"] != booked["origin"] or _is_part(event, booked)
                    for booked in own
                )
            )
    return true


def _origin(event: JsonObject) -> str:
    entry = event["entry"]
    return str(origin(event["firm"], event["folder"], entry["id"], entry["revision"]))


def _booked_lines(booked: JsonObject) -> Counter[_LineKey]:
    return Counter(
        (
            line["compte"],
            line.get("tiers") or "",
            line.get("libelle") or "",
            _amount(line, "debit"),
            _amount(line, "credit"),
        )
        for line in booked["booked_lines"] or booked["lines"]
    )


def _amount(line: JsonObject, side: str) -> Decimal:
    return Decimal(str((line.get(side) or {}).get("amount", 0)))


def _wanted_lines(event: JsonObject) -> Counter[_LineKey]:
    return Counter(
        (
            line["account"],
            line.get("auxiliary", {}).get("code", "")[:_THIRD_PARTY],
            line["description"][:_LABEL].rstrip(),
            Decimal(line["debit"]),
            Decimal(line["credit"]),
        )
        for line in event["entry"]["lines"]
    )


def _is_right(event: JsonObject, booked: JsonObject) -> bool:
    entry = event["entry"]
    return (
        booked["folder"] == event["folder"]
        and booked["journal"] == entry["journal"]["code"]
        and booked["piece_ref"] == entry["piece_ref"]
        and booked["date"][:10] == entry["date"]
        and _booked_lines(booked) == _wanted_lines(event)
    )


def _is_part(event: JsonObject, booked: JsonObject) -> bool:
    return _booked_lines(booked) < _wanted_lines(event)


def _told(booked: JsonObject) -> str:
    """Without the lines where they are as they were sent."""
    lines = booked["booked_lines"]
    told = {key: booked[key] for key in ("request_id", "booked_at", "origin", "booked_origin")}
    return f"{told}" if lines is None else f"{told} with other lines {lines}"
