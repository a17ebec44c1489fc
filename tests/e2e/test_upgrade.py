"""Workers of the previous version on this version's schema, alone and beside this version's."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from passerelle.store.identity import remember
from support import previous
from support.events import purchase
from support.servers import Servers
from support.simulator import until
from support.stack import Stack, running_stack

OLD = ("intake", "delivery", "upkeep")
FOLDERS = [f"R{number:02}" for number in range(8)]
WORKED = "import request answered"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    previous.unpack(tmp_path)
    return tmp_path


@pytest.fixture
def stack(servers: Servers, template: str) -> Iterator[Stack]:
    with running_stack(
        servers, template, {"import_ms": 20}, broker_number=9, PASSERELLE_ROLLING="1"
    ) as running:
        # As `passerelle db upgrade` does: the older workers send before any of this version's mark.
        with running.engine.begin() as connection:
            remember(connection)
        running.start("beat", "-A", "workers.main", "beat", "-s", str(running.scratch / "beat"))
        yield running


def submit(stack: Stack, firm: str) -> int:
    """An entry for each folder, through the broker; how many they are."""
    for folder in FOLDERS:
        stack.send("entries.submit", purchase(secrets.randbits(60), firm=firm, folder=folder))
    return len(FOLDERS)


def test_two_versions_work_side_by_side(stack: Stack, old: Path) -> None:
    firm = stack.add_firm(None, *FOLDERS)
    for queue in OLD:
        stack.start_worker(queue, name=f"old-{queue}", root=old, PYTHONPATH=str(old))
    # What this version's producers and beat send to the old workers.
    sent = submit(stack, firm)
    stack.until_states(firm, synced=sent)
    for queue in ("delivery", "upkeep"):
        stack.start_worker(queue)

    def both_have_worked() -> bool:
        """Each is rung for by both upkeeps and by the other."""
        nonlocal sent
        sent += submit(stack, firm)
        stack.until_states(firm, synced=sent)
        return WORKED in stack.log("delivery")

    until(both_have_worked, bool, 60)
    # A roll-out ends under load.
    sent += submit(stack, firm)
    stack.stop(*(f"old-{queue}" for queue in OLD), seconds=60)
    stack.start_worker("intake")
    stack.until_states(firm, synced=sent)
    totals = stack.loop.totals()
    assert (totals["entries"], totals["origins_booked_more_than_once"]) == (sent, 0)
    assert WORKED in stack.log("old-delivery")
    assert stack.rows("SELECT FROM refused_events") == []
    for queue in OLD:
        assert "Traceback" not in stack.log(f"old-{queue}")
