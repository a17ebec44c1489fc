"""A folder of 5,000 accounts and 12,500 third parties: in little memory, no request too many."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.command import Cli, deployment_environ
from support.simulator import ROOT, SimulatorHandle

FIRM, FOLDER = "CABINET42", "LARGE00001"
THIRD_PARTIES = {"customer": 7_500, "supplier": 4_750, "employee": 200, "other": 50}
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


@pytest.fixture
def environ(database_url: str, tmp_path: Path, loop: SimulatorHandle) -> dict[str, str]:
    pace = {"PASSERELLE_PACE_START": "1000", "PASSERELLE_PACE_MAX": "1000"}
    environ = deployment_environ(database_url, tmp_path) | pace
    return environ | {"PASSERELLE_LOOP_URL": loop.base_url}


def test_a_large_folder_is_read_in_little_memory_and_pages(
    cli: Cli, environ: dict[str, str], loop: SimulatorHandle
) -> None:
    keys = ("--api-key", "KEY", "--subscription-key", "SUB")
    assert cli("firm", "add", FIRM, *keys, PASSERELLE_API_SECRET="s").exit_code == 0
    assert cli("folder", "add", FIRM, FOLDER).exit_code == 0
    parties = [
        {"code": f"{kind[0].upper()}{number:06}", "name": f"Maison {number} & Cie", "kind": kind}
        for kind, count in THIRD_PARTIES.items()
        for number in range(count)
    ]
    accounts = [{"code": f"4{number:07}", "label": f"Compte {number}"} for number in range(5_000)]
    loop.patch_folder(FOLDER, accounts=accounts, journals=[], third_parties=parties)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "referential", "refresh", FIRM, FOLDER, "--json"],
        cwd=ROOT,
        env=os.environ | environ,
        capture_output=True,
        timeout=120,
        check=True,
    )
    first = json.loads(done.stdout)
    assert first["records"] == {"account": 5_000, "journal": 0, **THIRD_PARTIES}
    assert first["changed"] == 17_500
    assert int(done.stderr.split()[-1]) / 1024 < MOST_MEGABYTES
    # A last page that is full does not say that it is the last.
    pages = 50 + 75 + 48 + 2 + 1 + 1
    full_last = 3
    assert loop.count(folder=FOLDER) == pages + full_last
