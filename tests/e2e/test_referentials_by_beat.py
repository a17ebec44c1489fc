"""Reference data with real processes: each folder once, whoever rings."""

from collections.abc import Iterator

import pytest

from support.events import purchase
from support.servers import Servers
from support.simulator import SimulatorHandle, until
from support.stack import Stack, running_stack

ROUTES = ("compte", "journal", "tiersClient", "tiersFournisseur", "tiersSalarie", "tiersDivers")
FOLDERS = [f"REF{number:07}" for number in range(8)]
SETTINGS = {"PASSERELLE_PACE_START": "1000", "PASSERELLE_PACE_MAX": "1000"}


@pytest.fixture(scope="module")
def stack(servers: Servers, template: str) -> Iterator[Stack]:
    with running_stack(servers, template, {"import_ms": 20}, broker_number=9, **SETTINGS) as made:
        yield made


def unread(stack: Stack) -> int:
    return len(stack.rows("SELECT FROM folders WHERE refreshed_at IS NULL"))


def reads(loop: SimulatorHandle, folders: list[str]) -> set[int]:
    return {loop.count(route, folder=folder) for route in ROUTES for folder in folders}


def test_two_beats_and_two_workers_read_each_folder_once(stack: Stack) -> None:
    """A night, and what an entry lacks in one of them; while a delivery goes its way."""
    firm = stack.add_firm(None, *FOLDERS[:5])
    stack.add_firm(None, *FOLDERS[5:])
    for number in (1, 2):
        schedule = str(stack.scratch / f"beat{number}")
        stack.start(f"beat{number}", "-A", "workers.main", "beat", "-s", schedule)
        stack.start_worker("referentials", name=f"referentials{number}")
    stack.start_worker("upkeep")
    stack.start_worker("delivery")
    until(lambda: unread(stack), lambda count: count == 0, 60)
    assert reads(stack.loop, FOLDERS) == {1}
    with stack.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE folders SET refresh_at = now(), refreshed_at = NULL")
    stack.take_in([purchase(1, firm=firm, folder=FOLDERS[0])])
    stack.until_states(firm, synced=1)
    until(lambda: unread(stack), lambda count: count == 0, 60)
    assert reads(stack.loop, FOLDERS) == {2}
    for name in list(stack.processes):
        stack.stop(name)
