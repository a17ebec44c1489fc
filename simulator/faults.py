"""What can be made to go wrong, and when: one table of faults, and rules that call them up.

A fault acts on the wire, on an import, or on a read. Of the rules that fit a request the first
wire fault acts; import and read faults add up.
"""

import datetime as dt
import enum
import functools
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from simulator import gateway
from simulator.answers import Answer
from simulator.folders import Access
from simulator.imports import Course, Landing, Origin, Status
from simulator.readings import Reading
from simulator.routes import LISTS, Route
from simulator.wordings import Language


@dataclass(frozen=True, slots=True)
class Rule:
    """When a fault acts.

    On which route, domain and folder (None: any), after how many requests that fit, how many times
    (None: for ever), with what chance; and with what numbers.
    """

    fault: str
    route: Route | None = None
    domain: str | None = None
    folder: str | None = None
    after: int = 0
    count: int | None = None
    chance: float = 1.0
    seconds: float = 0
    rows: int = 0
    language: Language | None = None


class Act(enum.Enum):
    RESET = "the connection is reset before the request is read"
    HANG_UP = "the connection is closed without an answer"
    REPLACE = "another answer is given"
    CUT = "the answer breaks off half-way"
    WAIT = "the answer comes late"
    STALL = "the request is worked off late"
    DRIP = "the answer comes byte by byte"


@dataclass(frozen=True, slots=True)
class WireFault:
    """`stored`: the request is worked off, as if nothing was wrong.

    `instead` takes the rule's seconds and the time. `seconds` is a rule's default; None where a
    time has no meaning.
    """

    act: Act
    stored: bool
    instead: Callable[[float, dt.datetime], Answer] | None = None
    seconds: float | None = None

    routes = frozenset(Route)
    rows = None
    worded = False


@dataclass(frozen=True, slots=True)
class ImportFault:
    alter: Callable[[Course, Rule], Course]
    seconds: float | None = None
    worded: bool = False
    # Fits only an import with a document.
    of_attachments: bool = False

    routes = frozenset({Route.IMPORT_JSON})
    rows = None


@dataclass(frozen=True, slots=True)
class ReadFault:
    alter: Callable[[Reading, Rule], Reading]
    routes: frozenset[Route]
    rows: int | None = None

    seconds = None
    worded = False


Fault = WireFault | ImportFault | ReadFault

_ENTRIES = frozenset({Route.ENTRIES})
_ROWS = LISTS | _ENTRIES
_STATUS = frozenset({Route.STATUS})
_UNKNOWN_STATUS = 7


def _replaced(make: Callable[[], Answer], *, stored: bool = False) -> WireFault:
    return WireFault(Act.REPLACE, stored=stored, instead=lambda _seconds, _now: make())


def _failures() -> Iterator[tuple[str, WireFault]]:
    for status in (500, 502, 503, 504):
        for suffix, stored in (("", False), ("_stored", True)):
            yield (
                f"http_{status}{suffix}",
                _replaced(functools.partial(gateway.failed, status), stored=stored),
            )


def _quota(form: Callable[[float], str], seconds: float) -> WireFault:
    return WireFault(
        Act.REPLACE,
        stored=False,
        instead=lambda left, _now: gateway.out_of_quota(form(left)),
        seconds=seconds,
    )


def _access(access: Access) -> ImportFault:
    return ImportFault(
        lambda course, rule: replace(
            course, access=access, language=rule.language or course.language
        ),
        worded=True,
    )


def _import(**changes: Any) -> ImportFault:
    return ImportFault(lambda course, _rule: replace(course, **changes))


def _attachment_refused(landing: Landing) -> ImportFault:
    """Whether Loop books before it fetches or after is not known (assumption 17)."""
    return ImportFault(
        lambda course, _rule: replace(course, failing=landing, attachment_refused=True),
        of_attachments=True,
    )


def _stuck(at: Status) -> ImportFault:
    return ImportFault(
        lambda course, rule: replace(course, stuck_at=at, stuck_for=rule.seconds or None),
        seconds=0,
    )


def _read(routes: frozenset[Route], **changes: Any) -> ReadFault:
    return ReadFault(lambda reading, _rule: replace(reading, **changes), routes)


FAULTS: dict[str, Fault] = {
    # On the wire.
    "reset": WireFault(Act.RESET, stored=False),
    "dropped": WireFault(Act.HANG_UP, stored=False),
    "dropped_stored": WireFault(Act.HANG_UP, stored=True),
    "truncated": WireFault(Act.CUT, stored=True),
    "slow": WireFault(Act.STALL, stored=True, seconds=60),
    "slow_stored": WireFault(Act.WAIT, stored=True, seconds=60),
    "trickled": WireFault(Act.DRIP, stored=True, seconds=60),
    "html": _replaced(gateway.page),
    "html_stored": _replaced(gateway.page, stored=True),
    "neither_key": _replaced(gateway.neither_key),
    "neither_key_stored": _replaced(gateway.neither_key, stored=True),
    **dict(_failures()),
    "rate_limited": WireFault(
        Act.REPLACE,
        stored=False,
        instead=lambda seconds, _now: gateway.rate_limited(seconds),
        seconds=57,
    ),
    "rate_limited_date": WireFault(
        Act.REPLACE, stored=False, instead=gateway.rate_limited_until, seconds=57
    ),
    "quota_clock": _quota(gateway.clock, 25_280),
    "quota_days_clock": _quota(gateway.days_and_clock, 1_763_935),
    "quota_decimal_days": _quota(gateway.decimal_days, 183_168),
    "subscription_key_missing": _replaced(gateway.subscription_key_missing),
    "subscription_key_refused": _replaced(gateway.subscription_key_refused),
    "api_key_refused": _replaced(lambda: gateway.api_key_refused(401)),
    "api_key_forbidden": _replaced(lambda: gateway.api_key_refused(403)),
    # On an import.
    "access_refused": _access(Access.REFUSED_AT_POST),
    "access_refused_at_end": _access(Access.REFUSED_AT_END),
    "folder_unknown": _import(folder_known=False),
    "failed": _import(failing=Landing.NOTHING),
    "failed_every_second_landed": _import(failing=Landing.EVERY_SECOND_ENTRY),
    "failed_half_of_each_landed": _import(failing=Landing.HALF_OF_EACH),
    "attachment_refused": _attachment_refused(Landing.NOTHING),
    "attachment_refused_after": _attachment_refused(Landing.EVERYTHING),
    "stuck_waiting": _stuck(Status.WAITING),
    "stuck_running": _stuck(Status.RUNNING),
    "late": ImportFault(lambda course, rule: replace(course, delay=rule.seconds), seconds=60),
    "hidden": ImportFault(lambda course, rule: replace(course, hidden=rule.seconds), seconds=60),
    "origin_dropped": _import(origin=Origin.DROPPED),
    "origin_rewritten": _import(origin=Origin.REWRITTEN),
    "waiting_third_party": _import(waiting_third_party=True),
    "twin": _import(twin=True),
    # On a read.
    "filter_ignored": _read(_ROWS, filter_ignored=True),
    "take_ignored": _read(_ROWS, take_ignored=True),
    "pages_overlap": _read(_ROWS, overlapping=True),
    "row_cap": ReadFault(lambda reading, rule: replace(reading, cap=rule.rows), _ROWS, rows=10),
    "request_unknown": _read(_STATUS, request_known=False),
    "status_unknown": _read(_STATUS, status=_UNKNOWN_STATUS),
    "status_as_text": _read(_STATUS, status_as_text=True),
    "status_as_statut": _read(_STATUS, status_key="statut"),
}


@dataclass(slots=True)
class _Armed:
    rule: Rule
    fault: Fault
    seen: int = 0
    fired: int = 0


class Faults:
    """Rules in force, with how often each fitted and acted."""

    def __init__(self, rules: Iterable[Rule], seed: int) -> None:
        self._armed = [_Armed(rule, FAULTS[rule.fault]) for rule in rules]
        # Repeatable on purpose; nothing here is a secret.
        self._chance = random.Random(seed)  # noqa: S311

    def resets(self, route: Route | None, domain: str | None) -> bool:
        """Whether the connection is to be reset; asked before the body is read."""
        return any(
            isinstance(armed.fault, WireFault)
            and armed.fault.act is Act.RESET
            and self._fires(armed, route, domain, None)
            for armed in self._armed
        )

    def on_wire(
        self, route: Route | None, domain: str | None, folder: str | None
    ) -> tuple[WireFault, Rule] | None:
        for armed in self._armed:
            fault = armed.fault
            if (
                isinstance(fault, WireFault)
                and fault.act is not Act.RESET
                and self._fires(armed, route, domain, folder)
            ):
                return fault, armed.rule
        return None

    def on_import(self, course: Course, domain: str, folder: str, *, attached: bool) -> Course:
        """`attached`: a line of the import has a document."""
        for armed in self._armed:
            fault = armed.fault
            if (
                isinstance(fault, ImportFault)
                and (attached or not fault.of_attachments)
                and self._fires(armed, Route.IMPORT_JSON, domain, folder)
            ):
                course = fault.alter(course, armed.rule)
        return course

    def on_read(self, reading: Reading, route: Route, domain: str, folder: str | None) -> Reading:
        for armed in self._armed:
            if isinstance(armed.fault, ReadFault) and self._fires(armed, route, domain, folder):
                reading = armed.fault.alter(reading, armed.rule)
        return reading

    def _fires(
        self, armed: _Armed, route: Route | None, domain: str | None, folder: str | None
    ) -> bool:
        rule = armed.rule
        if route is None or route not in armed.fault.routes or rule.route not in {None, route}:
            return False
        if rule.domain not in {None, domain} or rule.folder not in {None, folder}:
            return False
        armed.seen += 1
        if armed.seen <= rule.after or (rule.count is not None and armed.fired >= rule.count):
            return False
        if rule.chance < 1 and self._chance.random() >= rule.chance:
            return False
        armed.fired += 1
        return True

    def as_json(self) -> list[dict[str, Any]]:
        return [
            {
                "fault": armed.rule.fault,
                "route": armed.rule.route,
                "domain": armed.rule.domain,
                "folder": armed.rule.folder,
                "after": armed.rule.after,
                "count": armed.rule.count,
                "chance": armed.rule.chance,
                "seconds": armed.rule.seconds,
                "rows": armed.rule.rows,
                "language": armed.rule.language,
                "seen": armed.seen,
                "fired": armed.fired,
            }
            for armed in self._armed
        ]
