"""What was measured, for people and for programs."""

import dataclasses
import datetime as dt
import importlib.metadata
import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.contenders import CONTENDERS, PLAIN, PLAIN_AT_ITS_BEST, Contender
from benchmarks.ground import Ground
from benchmarks.load import Json, Load
from benchmarks.turn import Turn

_PACKAGES = ("celery", "kombu", "redis", "requests", "marshmallow", "sqlalchemy", "psycopg")
_MEGABYTE = 1_000_000
_ALL = "all"


def conditions(ground: Ground, load: Load, rounds: int, latency_ms: int, import_ms: int) -> Json:
    """Whatever moves the figures; to be read before the first turn."""
    return {
        "started_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        **dataclasses.asdict(load),
        "rounds": rounds,
        "latency_ms": latency_ms,
        "import_ms": import_ms,
        "load_average_before": round(os.getloadavg()[0], 2),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "platform": platform.platform(),
        "versions": {
            "Python": platform.python_version(),
            **ground.versions(),
            **{name: importlib.metadata.version(name) for name in _PACKAGES},
        },
    }


@dataclasses.dataclass(frozen=True, slots=True)
class Spread:
    """The median of the rounds, and the least and most of them."""

    median: float
    least: float
    most: float

    def scaled(self, factor: float) -> "Spread":
        return Spread(self.median * factor, self.least * factor, self.most * factor)

    def __str__(self) -> str:
        digits = 0 if self.median >= 100 else 1
        median, least, most = (
            f"{value:,.{digits}f}" for value in (self.median, self.least, self.most)
        )
        return median if least == most else f"{median} ({least} to {most})"


@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """The turns of one contender. Calls, by route, and CPU seconds, by kind of process, are for
    1,000 entries; `times_plain` and `times_best` compare turns of the same round, with *plain* and
    with *plain at its best*; `peak_bytes` is the largest process of a kind.
    """

    contender: str
    rate: Spread
    times_plain: Spread
    times_best: Spread
    calls: dict[str, Spread]
    cpu_own: dict[str, Spread]
    cpu_others: dict[str, Spread]
    processes: dict[str, int]
    peak_bytes: dict[str, Spread]


def summarise(turns: Sequence[Turn]) -> list[Summary]:
    def rates(of: Contender) -> dict[int, float]:
        return {turn.number: turn.rate for turn in turns if turn.contender == of.name}

    plain, best = rates(PLAIN), rates(PLAIN_AT_ITS_BEST)
    return [
        _summary([turn for turn in turns if turn.contender == contender.name], plain, best)
        for contender in CONTENDERS
    ]


def _summary(
    turns: Sequence[Turn], plain: Mapping[int, float], best: Mapping[int, float]
) -> Summary:
    def over(value: Callable[[Turn], float]) -> Spread:
        values = [value(turn) for turn in turns]
        return Spread(statistics.median(values), min(values), max(values))

    def by_key(values: Callable[[Turn], Mapping[str, float]]) -> dict[str, Spread]:
        keys = dict.fromkeys(key for turn in turns for key in values(turn))

        def at(key: str) -> Spread:
            return over(lambda turn: values(turn).get(key, 0))

        return {key: at(key) for key in keys}

    def a_thousand(amounts: Mapping[str, float], turn: Turn) -> dict[str, float]:
        found = {key: 1000 * amount / turn.entries for key, amount in amounts.items()}
        return {_ALL: sum(found.values()), **found}

    return Summary(
        contender=turns[0].contender,
        rate=over(lambda turn: turn.rate),
        times_plain=over(lambda turn: turn.rate / plain[turn.number]),
        times_best=over(lambda turn: turn.rate / best[turn.number]),
        calls=by_key(lambda turn: a_thousand(turn.calls, turn)),
        cpu_own=by_key(lambda turn: a_thousand(turn.cpu_own, turn)),
        cpu_others=by_key(
            lambda turn: {key: 1000 * used / turn.entries for key, used in turn.cpu_others.items()}
        ),
        processes={_ALL: sum(turns[-1].processes.values()), **turns[-1].processes},
        peak_bytes=by_key(lambda turn: turn.peak_bytes),
    )


def as_json(found: Json, turns: Sequence[Turn], summaries: Sequence[Summary]) -> Json:
    return {
        "conditions": found,
        "summary": [dataclasses.asdict(summary) for summary in summaries],
        "turns": [{**dataclasses.asdict(turn), "rate": turn.rate} for turn in turns],
    }


def plot(summaries: Sequence[Summary]) -> str:
    """Entries a second as a chart in Mermaid's notation, which docs/performance.md holds."""
    return "\n".join(
        (
            "```mermaid",
            "xychart-beta horizontal",
            '    title "Entries a second, median"',
            f"    x-axis {json.dumps([one.contender for one in summaries])}",
            '    y-axis "entries a second"',
            f"    bar {[round(one.rate.median) for one in summaries]}",
            "```",
        )
    )


def show(console: Console, found: Json, summaries: Sequence[Summary]) -> None:
    console.print(_speeds(summaries), _costs(summaries))
    plain_facts = {name: value for name, value in found.items() if name != "versions"}
    for facts in (plain_facts, found["versions"]):
        console.print(", ".join(f"{name} {value}" for name, value in facts.items()), style="dim")


def _speeds(summaries: Sequence[Summary]) -> Table:
    table = Table(
        "", title="From the first message to the last entry in Loop", title_justify="left"
    )
    headings = ("entries a second", "times plain", "at its best", "requests to Loop for 1,000")
    for heading in headings:
        table.add_column(heading, justify="right")
    for one in summaries:
        ratios = (str(one.times_plain), str(one.times_best))
        table.add_row(one.contender, str(one.rate), *ratios, str(one.calls[_ALL]))
    return table


def _costs(summaries: Sequence[Summary]) -> Table:
    """A row for each kind of process. Those without a number are not the contender's own: servers,
    simulator, and the sender; they have no part in `all`.
    """
    table = Table("", "process", title="What that costs", title_justify="left")
    for heading in ("how many", "CPU seconds for 1,000", "peak MB of the largest"):
        table.add_column(heading, justify="right")
    for one in summaries:
        table.add_section()
        for number, (kind, seconds) in enumerate((one.cpu_own | one.cpu_others).items()):
            peak = one.peak_bytes.get(kind)
            table.add_row(
                one.contender if number == 0 else "",
                kind,
                str(one.processes.get(kind, "")),
                str(seconds),
                "" if peak is None else str(peak.scaled(1 / _MEGABYTE)),
            )
    return table
