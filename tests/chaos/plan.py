"""What one trial does, all of it by chance from its seed: books, events, faults, kills."""

import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chaos.incidents import INCIDENTS
from simulator.faults import FAULTS, ReadFault, WireFault
from support.events import JsonObject, credit, debit, drop, purchase

WAITING_THIRD_PARTY = "waiting_third_party"
"""The fault of its name: what the entry was sent as is not what was booked."""


# Faults that hold a folder or a firm until a person acts, and the reason that they give. Each has
# a folder apart, and those of the firm's keys a firm: nothing else of it would be heard of again.
HOLDS = {
    "access_refused": "access_denied",
    "access_refused_at_end": "access_denied",
    "folder_unknown": "unknown_folder",
    WAITING_THIRD_PARTY: "landed_differently",
    "subscription_key_missing": "credentials_refused",
    "subscription_key_refused": "credentials_refused",
    "api_key_refused": "credentials_refused",
    "api_key_forbidden": "credentials_refused",
}
_OF_THE_FIRM = {fault for fault, reason in HOLDS.items() if reason == "credentials_refused"}
# These make an import come later, and settling is made for so much: one a folder.
_TIMES = ("late", "hidden", "stuck_waiting", "stuck_running")
_PAUSES = {
    "rate_limited", "rate_limited_date", "quota_clock", "quota_days_clock", "quota_decimal_days",
}  # fmt: skip
_LOST = {"http_500", "http_502_stored", "http_503", "http_504_stored", "dropped", "truncated"}
_SHORTENED = ("filter_ignored", "row_cap")
# Longer than a call may take, and shorter, with all that may come on top, than settling.
_TOO_LONG = 2.5
_LATE = 2.0
_ENTRIES, _STATUS, _IMPORT = "EcritureComptable", "getImportStatus", "importJson"
_APART = 4
# Seconds that a worker's clock is ahead.
_CLOCKS = (0, 0, 300, -300)
# With fewer, each rule acts once, and soon.
_MANY = 1000
_ACCOUNTS = ("606400", "607000", "613200", "622600", "625100", "626000", "445660", "512000")


@dataclass(frozen=True, slots=True)
class Folder:
    """`fault` is the one that it is set apart for, if it is."""

    firm: str
    code: str
    registered: bool
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Kill:
    """Of a worker, so many seconds after the entry number `at` has left `received`.

    `gently`: it is asked to end. Its successor's clock is `ahead` by so many seconds.
    """

    at: int
    worker: str
    after: float
    gently: bool
    ahead: int


@dataclass(frozen=True, slots=True)
class Incident:
    """What befalls broker or database once so many entries have left `received`."""

    at: int
    kind: str


@dataclass(frozen=True, slots=True)
class Slice:
    """Events that come together, as soon as no more than so many entries are still to do."""

    at: int
    events: Sequence[JsonObject]


@dataclass(frozen=True, slots=True)
class Plan:
    """`late_kills` come while Loop is asked about what is uncertain, after so many questions.

    `last` are events for when all faults are off.
    """

    seed: int
    batch_lines: int
    folders: Sequence[Folder]
    steps: Sequence[Kill | Slice | Incident]
    late_kills: Sequence[Kill]
    faults: Sequence[dict[str, Any]]
    last: Sequence[JsonObject]

    def events(self) -> Iterator[JsonObject]:
        for step in self.steps:
            if isinstance(step, Slice):
                yield from step.events
        yield from self.last

    def armed(self, folder: str) -> set[str]:
        """The faults that may act on an import of the folder."""
        return {rule["fault"] for rule in self.faults if rule.get("folder") == folder}


DELIVERIES = ("delivery-1", "delivery-2")
UPKEEP = "upkeep"


class _Chance(random.Random):
    """What is drawn for a trial."""

    def identity(self) -> str:
        return str(uuid.UUID(int=self.getrandbits(128), version=4))

    def kill(self, at: int, *, gently: bool = False) -> Kill:
        worker = UPKEEP if self.random() < 0.2 else self.choice(DELIVERIES)
        return Kill(at, worker, self.random() * 0.4, gently, self.choice(_CLOCKS))


def make_plan(
    seed: int, entries: int, kills: int, incidents: int, kinds: Sequence[str] = tuple(INCIDENTS)
) -> Plan:
    """`incidents` of different ones of `kinds`; a fifth as many workers as are killed are asked to
    end.
    """
    chance = _Chance(seed)
    apart = list(HOLDS)
    ordinary = _ordinary_folders(chance)
    folders = [*ordinary, *_folders_apart(chance, ordinary, apart)]
    events = _events(chance, ordinary, entries - _APART * len(apart))
    slices = _slices(chance, events, [one for one in folders if one.fault])
    late_kills = kills // 5
    steps: list[Kill | Slice | Incident] = [*slices]
    steps += [chance.kill(chance.randrange(1, entries)) for _ in range(kills - late_kills)]
    steps += [chance.kill(chance.randrange(1, entries), gently=True) for _ in range(-(-kills // 5))]
    steps += [
        Incident(chance.randrange(1, entries), kind) for kind in chance.sample(kinds, incidents)
    ]
    # What comes first makes what comes after it possible.
    steps.sort(key=lambda step: (step.at, not isinstance(step, Slice)))
    return Plan(
        seed=seed,
        batch_lines=chance.randint(24, 36) if entries >= _MANY else 12,
        folders=folders,
        steps=steps,
        late_kills=[chance.kill(chance.randint(3, 30)) for _ in range(late_kills)],
        faults=_faults(chance, folders, many=entries >= _MANY),
        last=[
            _event(chance, folder, entries + number)
            for number, folder in enumerate([*folders, *folders])
        ],
    )


def _ordinary_folders(chance: _Chance) -> list[Folder]:
    return [
        Folder(f"CAB{firm}", f"D{firm}{number}", registered=chance.random() < 0.7)
        for firm in range(chance.randint(5, 6))
        for number in range(chance.randint(2, 4))
    ]


def _folders_apart(
    chance: _Chance, ordinary: Sequence[Folder], faults: Sequence[str]
) -> Iterator[Folder]:
    for number, fault in enumerate(faults):
        firm = f"APART{number}" if fault in _OF_THE_FIRM else chance.choice(ordinary).firm
        yield Folder(firm, f"A{number}", registered=True, fault=fault)


def _events(chance: _Chance, folders: Sequence[Folder], count: int) -> list[JsonObject]:
    weights = [chance.uniform(1, 4) for _ in folders]
    chosen = chance.choices(folders, weights, k=count)
    return [_event(chance, folder, number) for number, folder in enumerate(chosen)]


def _slices(
    chance: _Chance, events: Sequence[JsonObject], apart: Sequence[Folder]
) -> Iterator[Slice]:
    """Events in slices; what goes to a folder set apart comes at once, so that one request has it.

    What its first request holds off would wait for a person for ever, if it had been sent already.
    """
    start, number = 0, len(events)
    waiting = list(apart)
    while start < len(events):
        size = chance.randint(20, 150)
        own = list(events[start : start + size])
        if waiting and (chance.random() < 0.5 or start + size >= len(events)):
            taken = waiting[: 1 if start + size < len(events) else None]
            del waiting[: len(taken)]
            for folder in taken:
                own += [_event(chance, folder, number + place) for place in range(_APART)]
                number += _APART
        yield Slice(max(0, start - chance.randint(100, 400)), own)
        start += size


def _event(chance: _Chance, folder: Folder, number: int) -> JsonObject:
    """An entry of two to six lines: by a third party, with texts too long, with a document, or not.

    Those of folders set apart are small, so that few fill no request, and all by a third party.
    """
    small = folder.fault is not None
    cents = [chance.randint(1, 500_000) for _ in range(1 if small else chance.randint(1, 5))]
    lines = [
        debit(
            _text(amount),
            account=chance.choice(_ACCOUNTS),
            description=f"Facture {number}"
            + chance.choice(["", " du mois, avec ses frais de port"]),
        )
        for amount in cents
    ]
    last: dict[str, Any] = {"account": "401000", "description": f"Facture {number}"}
    if small or chance.random() < 0.7:
        last["auxiliary"] = {"code": _third_party(chance), "label": "Un tiers"}
    if chance.random() < 0.2:
        last["lettering"] = {"code": "AA"}
    lines.append(credit(_text(sum(cents)), **last))
    event = purchase(
        number,
        event_id=chance.identity(),
        firm=folder.firm,
        folder=folder.code,
        id=f"e-{number}",
        piece_ref=f"P-{number}",
        date=f"2026-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}",
        lines=lines,
        # Without an end: a trial may be tried again on any day.
        attachment={"url": f"https://files.example.com/{number}.pdf"},
    )
    return event if chance.random() < 0.7 else drop(event, "/entry/attachment")


def _text(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


def _third_party(chance: _Chance) -> str:
    number = chance.randrange(40)
    return f"F{number:02}" if number % 2 else f"F{number:02}-ETABLISSEMENT-DU-SUD-OUEST"


def _faults(chance: _Chance, folders: Sequence[Folder], *, many: bool) -> list[dict[str, Any]]:
    """Rules of every fault; those of folders set apart first: the first on the wire acts."""
    ordinary = [folder.code for folder in folders if folder.fault is None]
    rules: list[dict[str, Any]] = [
        {"fault": folder.fault, "folder": folder.code, "route": _IMPORT}
        | ({} if folder.fault == WAITING_THIRD_PARTY else {"count": 1})
        for folder in folders
        if folder.fault is not None
    ]
    places = 2 if many else 1
    timed = chance.sample(ordinary, len(_TIMES) * places)
    others = [name for name in FAULTS if name not in HOLDS]
    for name in (name for name in others if not isinstance(FAULTS[name], ReadFault)):
        # Each halves the firm's pace, and ten make a crawl of it.
        where = chance.sample(ordinary, 1 if name in _PAUSES else places)
        if name in _TIMES:
            where = [timed.pop() for _ in range(places)]
        rules += [_rule(chance, name, folder, many=many) for folder in where]
    # Where an answer was lost, Loop is asked.
    lost = {rule["folder"]: None for rule in rules if rule["fault"] in _LOST}
    asked = chance.sample([folder for folder in lost if folder in ordinary], 2 * places)
    for name in (name for name in others if isinstance(FAULTS[name], ReadFault)):
        where = chance.sample(ordinary if _of_status(name) else asked, places)
        if name in _SHORTENED:
            # Both at once show nothing of what is there, and nobody could tell.
            where = asked[_SHORTENED.index(name) :: 2]
        rules += [_rule(chance, name, folder, many=many) for folder in where]
    chance.shuffle(rules)
    rules.sort(key=lambda rule: rule["fault"] not in HOLDS)
    return rules


def _of_status(name: str) -> bool:
    return _STATUS in FAULTS[name].routes


def _rule(chance: _Chance, name: str, folder: str, *, many: bool) -> dict[str, Any]:
    fault = FAULTS[name]
    rule: dict[str, Any] = {
        "fault": name,
        "after": chance.randint(0, 6 if many else 1),
        "count": chance.randint(1, 2) if many else 1,
        "chance": 0.3 if many else 1,
    }
    if name == "reset":
        # It knows no folder: the body is not read.
        return rule | {"chance": 0.02 if many else 0.05}
    rule["folder"] = folder
    if isinstance(fault, WireFault):
        reads = chance.random() < 0.3 if many else False
        rule["route"] = chance.choice([_ENTRIES, _STATUS]) if reads else _IMPORT
    elif isinstance(fault, ReadFault):
        rule["route"] = _STATUS if _of_status(name) else _ENTRIES
    else:
        rule["route"] = _IMPORT
    if name in _PAUSES:
        rule |= {"seconds": chance.randint(1, 2), "count": 1}
    elif fault.seconds is not None:
        rule["seconds"] = _LATE if name in _TIMES else _TOO_LONG
    if fault.rows is not None:
        # An entry with its twin fits.
        rule["rows"] = chance.randint(12, 40)
    return rule
