"""Figures for Prometheus: each moves when its cause occurs, and none tells of whom."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from passerelle.domain.states import Reason
from passerelle.embedded.port import free_base
from passerelle.loop_api.client import Credentials, Loop
from passerelle.meter import Counted, Key, Meter
from passerelle.metrics import Metrics
from passerelle.store import counts
from passerelle.store.engine import make_engine
from passerelle.store.figures import Following, Settled
from support.events import purchase
from support.receiver import Office, Receiver
from support.simulator import ROOT, SimulatorHandle, until
from support.workshop import ACCESS_DENIED, AGAIN, FIRM, THROTTLED, UNKNOWN, HandMeter, Workshop

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Board:
    """What Prometheus would read, eleven seconds after something happened."""

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self._now = 0.0
        self._registry = CollectorRegistry()
        self._registry.register(Metrics(shop.engine, lambda: {"intake": 3}, lambda: self._now))

    def text(self) -> str:
        self._shop.meter.flush()
        generate_latest(self._registry)
        self._now += 11
        return generate_latest(self._registry).decode()

    def samples(self) -> Samples:
        return {
            (one.name.removeprefix("passerelle_"), tuple(sorted(one.labels.items()))): one.value
            for family in text_string_to_metric_families(self.text())
            for one in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        return self.samples()[name, tuple(sorted(labels.items()))]


@pytest.fixture
def board(shop: Workshop) -> Board:
    return Board(shop)


def test_entries_by_state_and_reason_and_what_became_of_them(shop: Workshop, board: Board) -> None:
    assert board.value("entries", state="received", reason="") == 0
    shop.submit(*map(purchase, (1, 2, 3)))
    assert board.value("entries", state="received", reason="") == 3
    shop.deliver_all()
    assert board.value("entries", state="posted", reason="") == 3
    shop.follow_up()
    assert board.value("entries", state="posted", reason="") == 0
    assert board.value("outcomes_total", state="synced", reason="") == 3
    assert board.value("synced_seconds_count") == 3
    # They were validated in the hub days before.
    assert board.value("synced_seconds_bucket", le="86400.0") == 0
    assert board.value("synced_seconds_bucket", le="+Inf") == 3
    assert board.value("synced_seconds_sum") > 86_400
    assert board.value("cuts_total", field="description") > 0
    # Counted once, however often it is looked.
    assert board.value("outcomes_total", state="synced", reason="") == 3


def test_cases_holds_and_parked_entries(shop: Workshop, board: Board) -> None:
    board.samples()
    shop.submit(purchase(1))
    shop.told.answers = [ACCESS_DENIED]
    shop.deliver_all()
    shop.hold(Reason.CREDENTIALS_REFUSED)
    found = board.samples()
    assert found["entries", (("reason", "access_denied"), ("state", "parked"))] == 1
    assert found["cases_open", (("reason", "access_denied"),)] == 1
    assert (found["folders_on_hold", ()], found["firms_on_hold", ()]) == (1, 1)
    assert found["outcomes_total", (("reason", "access_denied"), ("state", "parked"))] == 1


def test_what_waits_too_long_what_is_uncertain_and_leases_that_ran_out(
    shop: Workshop, board: Board
) -> None:
    board.samples()
    shop.submit(purchase(1))
    shop.execute("UPDATE entries SET due_at = now() - interval '5 minutes'")
    assert 299 < board.value("oldest_due_seconds") < 330
    shop.dies_at("claim")
    shop.lose_lease()
    assert board.value("lease_ran_out_total", stage="before_mark") == 1
    shop.time_passes()
    shop.told.answers = [UNKNOWN]
    shop.deliver_all()
    assert board.value("uncertain_total") == 1
    assert board.value("entries", state="uncertain", reason="") == 1
    assert board.value("oldest_due_seconds") == 0


def test_pauses_and_outages_of_loop(shop: Workshop, board: Board) -> None:
    assert (board.value("firms_paused"), board.value("loop_down_seconds")) == (0, 0)
    shop.submit(purchase(1))
    shop.told.answers = [THROTTLED]
    shop.deliver_all()
    assert board.value("firms_paused") == 1
    shop.told.answers = [AGAIN]
    for _ in range(3):
        shop.time_passes()
        shop.deliver_all()
    shop.execute("UPDATE outages SET since = now() - interval '1 minute'")
    assert 59 < board.value("loop_down_seconds") < 90


def test_what_was_refused_is_missing_or_waits_to_be_told(
    shop: Workshop, board: Board, hub: Receiver
) -> None:
    office = Office(shop)
    shop.submit(purchase(1, lines=[]))
    shop.execute("UPDATE endpoints SET url = NULL")
    shop.execute(
        "INSERT INTO missing_entries (firm, folder, entry_id, revision) VALUES ('A', 'B', 'c', 1)"
    )
    found = board.samples()
    assert (found["refused_events_of_a_day", ()], found["missing_entries", ()]) == (1, 1)
    hub.answers(b" ")
    office.subscribe("outcome", hub.url)  # type: ignore[arg-type]
    shop.submit(purchase(2, lines=[]))
    office.tell()
    found = board.samples()
    assert (found["receivers_down", ()], found["messages_waiting", ()]) == (1, 1)


def test_age_of_reference_data(shop: Workshop, board: Board) -> None:
    assert board.value("folders_never_read") == 1
    shop.execute("UPDATE folders SET refreshed_at = now() - interval '2 days'")
    found = board.samples()
    assert found["folders_never_read", ()] == 0
    assert found["oldest_referentials_seconds", ()] > 172_000


def test_requests_to_loop_by_route_and_result(
    shop: Workshop, board: Board, loop: SimulatorHandle
) -> None:
    def told(route: str, result: str, seconds: float) -> None:
        shop.meter.count("loop_request", seconds, route=route, result=result)

    client = Loop(loop.base_url, send_seconds=1, call_seconds=2, told=told)
    keys = Credentials("KEY", "SECRET", "SUBSCRIPTION")
    client.read_folder(keys, "DEMO000001")
    loop.set_faults({"fault": "http_503", "route": "journal", "count": 1})
    client.read_folder(keys, "DEMO000001")
    nobody = Loop("http://127.0.0.1:9", send_seconds=1, call_seconds=2, told=told)
    nobody.read_folder(keys, "DEMO000001")
    found = board.samples()
    for result in ("200", "503", "refused"):
        labels = (("result", result), ("route", "journal"))
        assert found["loop_request_seconds_count", labels] == 1, result
        assert found["loop_request_seconds_bucket", (("le", "+Inf"), *labels)] == 1


def test_what_many_processes_and_threads_count_adds_up(shop: Workshop, board: Board) -> None:
    # Each is a process's.
    meters = [HandMeter(shop.store_figures) for _ in range(4)]

    def work(meter: Meter) -> None:
        for number in range(250):
            meter.count("loop_request", 0.3, route="journal", result="200")
            if number % 50 == 0:
                meter.flush()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, meters * 4))
    for meter in meters:
        meter.flush()
    labels = {"route": "journal", "result": "200"}
    assert board.value("loop_request_seconds_count", **labels) == 4_000
    assert board.value("loop_request_seconds_bucket", le="0.25", **labels) == 0
    assert board.value("loop_request_seconds_bucket", le="0.5", **labels) == 4_000
    assert board.value("loop_request_seconds_sum", **labels) == pytest.approx(1_200)


def test_what_was_counted_while_the_database_was_away_is_handed_over_later() -> None:
    taken: list[dict[Key, Counted]] = []
    away = threading.Event()
    away.set()

    def hand_over(counted: object) -> None:
        if away.is_set():
            raise OperationalError("INSERT", None, Exception("away"))
        taken.append(dict(counted))  # type: ignore[call-overload]

    meter = HandMeter(hand_over)
    meter.count("lease_ran_out", stage="after_mark")
    meter.flush()
    meter.count("lease_ran_out", stage="after_mark")
    away.clear()
    meter.flush()
    [counted] = taken
    assert [one.count for one in counted.values()] == [2]


def test_figures_are_handed_over_by_themselves(shop: Workshop) -> None:
    Meter(shop.store_figures).count("lease_ran_out", stage="after_mark")
    until(lambda: shop.rows("SELECT count FROM figures"), bool, 15)


def test_a_database_or_a_broker_that_is_away_is_told_so(database_url: str) -> None:
    away = make_engine(re.sub(r":\d+/", ":9/", database_url))
    registry = CollectorRegistry()
    registry.register(Metrics(away, lambda: None))
    told = generate_latest(registry).decode()
    assert "passerelle_database_up 0.0" in told
    assert "passerelle_broker_up 0.0" in told
    away.dispose()


def test_a_broker_that_hangs_hides_no_other_figure(shop: Workshop) -> None:
    """And no look waits for another that hangs."""
    go_on = threading.Event()

    def queues() -> dict[str, int]:
        go_on.wait(60)
        return {}

    registry = CollectorRegistry()
    registry.register(Metrics(shop.engine, queues))
    for _ in range(3):
        began = time.monotonic()
        told = generate_latest(registry).decode()
        assert time.monotonic() - began < 9
        assert "passerelle_broker_up 0.0" in told
        assert "passerelle_database_up 1.0" in told
    go_on.set()


def test_what_may_not_be_sent_is_not_due(shop: Workshop, board: Board) -> None:
    shop.told.answers = [UNKNOWN]
    shop.submit(purchase(1))
    shop.deliver_all()
    shop.submit(purchase(1, revision=2, event_id="2f0c1a4e-0000-0000-0000-000000000022"))
    shop.execute("UPDATE entries SET due_at = now() - interval '1 hour'")
    shop.execute("UPDATE firms SET paused_until = NULL")
    assert board.value("oldest_due_seconds") == 0
    shop.submit(purchase(2))
    shop.execute("UPDATE entries SET due_at = now() - interval '1 hour'")
    assert board.value("oldest_due_seconds") > 3_500
    shop.execute("UPDATE firms SET paused_until = now() + interval '1 minute'")
    assert board.value("oldest_due_seconds") == 0


def test_a_look_that_fails_loses_nothing(shop: Workshop) -> None:
    now = [0.0]
    following = Following(lambda: now[0])

    def look() -> Settled:
        now[0] += 11
        with shop.engine.begin() as connection:
            return following.look(connection)

    look()
    shop.submit(purchase(1))
    shop.hold()
    look()
    shop.execute("ALTER TABLE transitions RENAME TO elsewhere")
    with pytest.raises(SQLAlchemyError):
        look()
    shop.execute("ALTER TABLE elsewhere RENAME TO transitions")
    look()
    assert look().outcomes == {("parked", "access_denied"): 1}


def test_what_is_settled_is_not_read(shop: Workshop) -> None:
    shop.submit(purchase(1))
    shop.execute("ANALYZE")
    with shop.engine.begin() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        statement = counts._UNSETTLED  # noqa: SLF001 how it is planned is looked at
        plan = str(connection.execute(text(f"EXPLAIN {statement}")).scalars().all())
    assert "Seq Scan" not in plan


def test_no_label_names_a_firm_a_folder_or_an_entry(shop: Workshop, board: Board) -> None:
    shop.submit(purchase(1), purchase(2, lines=[]))
    shop.told.answers = [ACCESS_DENIED]
    shop.deliver_all()
    told = board.text()
    for word in (FIRM, "DEMO000001", "ach-2026", "Papeterie"):
        assert word not in told
    assert 'queue_messages{queue="intake"} 3.0' in told


def test_the_command_tells_them_to_whoever_asks(
    environ: dict[str, str], broker_url: str, tmp_path: Path
) -> None:
    port = free_base(23_000 + os.getpid() % 1000, 1)
    with subprocess.Popen(
        [sys.executable, "-m", "passerelle.cli.main", "metrics", "--port", str(port)],
        env=os.environ | environ | {"PASSERELLE_BROKER_URL": broker_url, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == f"READY http://127.0.0.1:{port}/metrics\n"
            told = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text
        finally:
            process.send_signal(signal.SIGTERM)
        process.wait(10)
    assert "passerelle_database_up 1.0" in told
    assert "passerelle_broker_up 1.0" in told
    assert 'passerelle_queue_messages{queue="delivery"} 0.0' in told
