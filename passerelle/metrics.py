"""Figures for Prometheus: `passerelle metrics`. One place tells those of a whole deployment."""

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from passerelle.meter import BOUNDS
from passerelle.observe import log
from passerelle.store import counts, figures

_T = TypeVar("_T")
_LOOK_SECONDS = 4.0
"""For each of database and broker; together within the ten seconds that Prometheus waits."""

_GAUGES = {
    "oldest_due_seconds": "How long the oldest entry has been due that may be sent.",
    "since_last_import_seconds": "How long ago an import was last requested of Loop.",
    "oldest_poll_seconds": "How long an import has been due to be asked about.",
    "firms_on_hold": "Firms that a case holds.",
    "folders_on_hold": "Folders that a case holds.",
    "firms_paused": "Firms that Loop asked to leave it alone, or that it failed for.",
    "loop_down_seconds": "How long Loop has been down for all; 0 while it is not.",
    "refused_events_of_a_day": "Events refused at the door within a day and not taken in since.",
    "missing_entries": "Entries that the hub has sent and that are not here.",
    "oldest_referentials_seconds": "How long ago the reference data of some folder were read.",
    "folders_never_read": "Registered folders whose reference data were not read yet.",
    "referential_flags": "Lists that could not be read or were not believed.",
    "receivers_down": "Webhook addresses that take nothing.",
    "messages_waiting": "Messages that have not been told yet.",
    "messages_aside": "Messages that their receivers do not take, while they take others.",
    "oldest_untold_seconds": "How long an outcome has waited for a receiver that takes messages.",
    "database_went_back": "1 while nothing is sent before `passerelle db restored`.",
}
_HISTOGRAMS = {"loop_request": "Requests to Loop, by route and what came back."}
_COUNTERS = {
    "lease_ran_out": "Deliveries that ended without a word, by how far they had come.",
    "erased": "Entries whose contents were erased because they were settled long ago.",
}


class Metrics(Collector):
    """`queues` gives how many messages wait in each queue; None where the broker is away."""

    def __init__(
        self,
        engine: Engine,
        queues: Callable[[], Mapping[str, int] | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._queues = queues
        self._following = figures.Following(clock)
        self._lock = threading.Lock()
        # One look each at a time: where the far end hangs, the next ones do not wait for it.
        self._pool = ThreadPoolExecutor(2)
        self._looks: dict[str, Future[Any]] = {}

    def collect(self) -> Iterable[Metric]:
        """All of it, read now; of a database or broker that is away, or hangs, that it is."""
        with self._lock:
            stored = self._look("database", lambda: list(self._read()))
            queues = self._look("broker", self._queues)
        families: list[Metric] = list(stored or ())
        families.append(_gauge("database_up", "Whether the database answers.", stored is not None))
        families.append(_gauge("broker_up", "Whether the broker answers.", queues is not None))
        lengths = GaugeMetricFamily(_name("queue_messages"), "Messages in it.", labels=["queue"])
        families.append(_labelled(lengths, {(name,): n for name, n in (queues or {}).items()}))
        return families

    def _look(self, what: str, work: Callable[[], _T]) -> _T | None:
        """What `work` gives; None where it fails, does not end in time, or is still at it."""
        before = self._looks.get(what)
        if before is not None and not before.done():
            return None
        look = self._looks[what] = self._pool.submit(work)
        try:
            found: _T = look.result(_LOOK_SECONDS)
        except (SQLAlchemyError, TimeoutError) as error:
            log.warning("figures cannot be read", what=what, error=type(error).__name__)
            return None
        return found

    def _read(self) -> Iterable[Metric]:
        with self._engine.begin() as connection:
            yield from self._stored(connection)

    def _stored(self, connection: Connection) -> Iterable[Metric]:
        yield _labelled(
            GaugeMetricFamily(
                _name("entries"), "Entries that are not settled.", labels=["state", "reason"]
            ),
            counts.unsettled(connection),
        )
        yield _labelled(
            GaugeMetricFamily(_name("cases_open"), "Open cases.", labels=["reason"]),
            {(reason,): count for reason, count in figures.open_cases(connection).items()},
        )
        for name, value in figures.gauges(connection).items():
            yield _gauge(name, _GAUGES[name], value)
        settled = self._following.look(connection)
        yield _labelled(
            CounterMetricFamily(
                _name("outcomes"), "What became of entries.", labels=["state", "reason"]
            ),
            settled.outcomes,
        )
        yield _labelled(
            CounterMetricFamily(_name("cuts"), "Cuts of synced entries.", labels=["field"]),
            {(field,): count for field, count in settled.cuts.items()},
        )
        yield CounterMetricFamily(
            _name("uncertain"), "Entries that became uncertain.", value=settled.uncertain
        )
        synced = HistogramMetricFamily(
            _name("synced_seconds"), "From an entry's validation to its being in Loop."
        )
        _add_histogram(
            synced, [], figures.SYNCED_BOUNDS, settled.synced_buckets, settled.synced_seconds
        )
        yield synced
        yield from _counted(connection)


def _counted(connection: Connection) -> Iterable[Metric]:
    """What processes have counted themselves."""
    for name, rows in itertools.groupby(figures.counted(connection), key=lambda row: row[0]):
        found = list(rows)
        labels = sorted(found[0][1])
        if name in _HISTOGRAMS:
            histogram = HistogramMetricFamily(
                _name(f"{name}_seconds"), _HISTOGRAMS[name], labels=labels
            )
            for _, values, one in found:
                _add_histogram(
                    histogram, [values[label] for label in labels], BOUNDS, one.buckets, one.seconds
                )
            yield histogram
        elif name in _COUNTERS:
            yield _labelled(
                CounterMetricFamily(_name(name), _COUNTERS[name], labels=labels),
                {tuple(values[label] for label in labels): one.count for _, values, one in found},
            )


def _name(name: str) -> str:
    return f"passerelle_{name}"


def _gauge(name: str, help_: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(_name(name), help_, value=value)


def _labelled(
    family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[tuple[str, ...], int]
) -> Metric:
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family


def _add_histogram(
    family: HistogramMetricFamily,
    labels: Sequence[str],
    bounds: Sequence[float],
    counts: Sequence[int],
    total: float,
) -> None:
    """`counts` are of each bucket alone; Prometheus has each with all below it."""
    names = [*(str(bound) for bound in bounds), "+Inf"]
    buckets = list(zip(names, itertools.accumulate(counts), strict=True))
    family.add_metric(labels, buckets=buckets, sum_value=total)
