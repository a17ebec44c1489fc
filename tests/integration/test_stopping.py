"""A process that is told to stop: what it asks of Loop is heard out, the rest is handed back."""

import pytest
from sqlalchemy import Engine

from passerelle.domain.outcome import Answer
from passerelle.domain.verdict import Row
from passerelle.loop_api.client import Credentials, EntryFilter, Status
from passerelle.turns import DELIVERING
from support.events import purchase
from support.workshop import UNKNOWN, Stop, ToldLoop, Workshop


class StoppedLoop(ToldLoop):
    """While it is read from, the process is told to stop, once it is `armed`."""

    def __init__(self) -> None:
        super().__init__()
        self.stop = Stop()
        self.armed = False

    def _read(self) -> None:
        if self.armed:
            self.stop.set()

    def import_status(self, credentials: Credentials, request_id: str) -> Status | Answer:
        self._read()
        return super().import_status(credentials, request_id)

    def find_entries(
        self, credentials: Credentials, folder: str, wanted: EntryFilter
    ) -> list[Row] | Answer:
        self._read()
        return super().find_entries(credentials, folder, wanted)


@pytest.fixture
def loop() -> StoppedLoop:
    return StoppedLoop()


@pytest.fixture
def shop(engine: Engine, loop: StoppedLoop) -> Workshop:
    made = Workshop(engine, loop, stop=loop.stop)
    made.add_firm()
    return made


def leases(shop: Workshop) -> int:
    row = shop.row(
        "SELECT (SELECT count(lease) FROM entries) + (SELECT count(lease) FROM folders) AS held"
    )
    return int(row["held"])


def test_nobody_has_a_turn_and_the_pace_is_left_to_others(shop: Workshop) -> None:
    shop.stop.set()
    firm = shop.row("SELECT id, next_turn_at FROM firms")
    with shop.turns.turn(firm["id"], DELIVERING) as granted:
        assert not granted
    assert shop.row("SELECT id, next_turn_at FROM firms") == firm
    assert shop.stop.waited == []


def test_a_delivery_that_waits_for_its_turn_gives_back(engine: Engine) -> None:
    class Told(Stop):
        def wait(self, timeout: float | None = None) -> bool:
            self.set()
            return super().wait(timeout)

    shop = Workshop(engine, stop=Told())
    shop.add_firm()
    shop.submit(purchase(1))
    assert shop.deliver() is None
    assert (shop.states(), leases(shop), shop.told.bodies) == ({"received": 1}, 0, [])
    # Whoever sweeps next rings for it.
    assert shop.sweep().folders == (shop.folder_id(),)


def test_what_is_on_its_way_is_recorded_and_the_next_is_left_to_others(shop: Workshop) -> None:
    shop.submit(purchase(1))
    shop.told.during = shop.stop.set
    shop.deliver()
    assert shop.attempts() == [None]
    shop.submit(purchase(2))
    shop.deliver()
    assert (shop.state(1), shop.state(2), leases(shop)) == ("posted", "received", 0)


def test_a_delivery_that_has_counted_a_twin_gives_back(engine: Engine, loop: StoppedLoop) -> None:
    shop = Workshop(engine, loop, stop=loop.stop, send_origin=False)
    shop.add_firm()
    shop.submit(purchase(1, piece_ref="F"))
    shop.deliver()
    shop.follow_up()
    shop.submit(purchase(2, piece_ref="F"), purchase(3))
    loop.armed = True
    shop.deliver()
    assert (shop.states(), leases(shop)) == ({"synced": 1, "waiting": 2}, 0)
    assert len(loop.bodies) == 1


def test_of_many_polls_the_first_is_recorded_and_the_rest_is_due(
    shop: Workshop, loop: StoppedLoop
) -> None:
    for number in range(3):
        shop.submit(purchase(number))
        shop.deliver()
    loop.armed = True
    shop.follow_up()
    assert (shop.states(), len(loop.asked)) == ({"synced": 1, "posted": 2}, 1)
    due = "SELECT id FROM imports WHERE poll_at <= now() + interval '2 s' AND rung_at IS NULL"
    assert len(shop.rows(due)) == 2


def test_of_many_questions_the_first_is_recorded_and_the_rest_is_due(
    shop: Workshop, loop: StoppedLoop
) -> None:
    loop.answers = [UNKNOWN]
    for number in range(3):
        shop.submit(purchase(number))
        shop.deliver()
        shop.time_passes()
    loop.armed = True
    shop.ask()
    assert (shop.states(), len(loop.asked)) == ({"uncertain": 3}, 1)
    assert len(shop.rows("SELECT id FROM entries WHERE due_at <= now() + interval '2 s'")) == 2
