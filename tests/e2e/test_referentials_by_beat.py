"""Reference data with real processes: once each whoever rings, and in little memory."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from support.events import purchase
from support.servers import Servers
from support.simulator import ROOT, SimulatorHandle, until
from support.stack import Stack, running_stack

ROUTES = ("compte", "journal", "tiersClient", "tiersFournisseur", "tiersSalarie", "tiersDivers")
FOLDERS = [f"REF{number:07}" for number in range(8)]
SETTINGS = {"PASSERELLE_PACE_START": "1000", "PASSERELLE_PACE_MAX": "1000"}
MOST_MEGABYTES = 150

# The peak of this process alone: what getrusage says survives an exec.
MEASURED = """
import re, sys
from passerelle.cli.main import main
try:
    main(sys.argv[1:])
finally:
    peak = re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())
    print("peak", peak[1], file=sys.stderr)
"""


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


def test_a_large_folder_is_read_in_little_memory_and_pages(stack: Stack) -> None:
    """20,000 accounts and 50,000 third parties."""
    folder = "LARGE00001"
    firm = stack.add_firm(None, folder)
    kinds = ("customer", "supplier", "employee", "other")
    counts = {"customer": 30_000, "supplier": 18_950, "employee": 1_000, "other": 50}
    parties = [
        {"code": f"{kind[0].upper()}{number:06}", "name": f"Maison {number} & Cie", "kind": kind}
        for kind in kinds
        for number in range(counts[kind])
    ]
    accounts = [{"code": f"4{number:07}", "label": f"Compte {number}"} for number in range(20_000)]
    stack.loop.patch_folder(folder, accounts=accounts, journals=[], third_parties=parties)

    before = stack.loop.count(folder=folder)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "referential", "refresh", firm, folder, "--json"],
        cwd=ROOT,
        env=stack.env,
        capture_output=True,
        timeout=120,
        check=True,
    )
    first = json.loads(done.stdout)
    assert first["records"] == {"account": 20_000, "journal": 0, **counts}
    assert first["changed"] == 70_000
    assert int(done.stderr.split()[-1]) / 1024 < MOST_MEGABYTES
    # A last page that is full does not say that it is the last.
    pages = 200 + 300 + 190 + 10 + 1 + 1
    full_last = 3
    assert stack.loop.count(folder=folder) - before == pages + full_last
