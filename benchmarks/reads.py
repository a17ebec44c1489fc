"""How long reads for people and for Prometheus take, in a database that may hold millions."""

import subprocess
import sys
import time
from collections.abc import Mapping

from sqlalchemy import Engine, text

from benchmarks.ground import scalar
from benchmarks.processes import BenchmarkError
from passerelle.metrics import Metrics

_MOST_SECONDS = 900.0

_LAST = text("SELECT entry_id FROM entries WHERE state = 'synced' ORDER BY id DESC LIMIT 1")

# Each shows some rows at most: what prints millions takes as long as that.
_COMMANDS = (
    "status",
    "doctor",
    "folder list",
    "remediation list",
    "intake list",
    "entry list --state posted",
    "entry list --state uncertain",
    "entry list --state parked",
    "entry list --state superseded",
    "entry list --reason closed_journal",
)


def time_reads(engine: Engine, env: Mapping[str, str]) -> dict[str, float]:
    """Seconds of each, for a command with the start of its process."""
    latest = scalar(engine, _LAST)
    found = {command: _time_command(command.split(), env) for command in _COMMANDS}
    found["entry show"] = _time_command(["entry", "show", latest], env)
    metrics = Metrics(engine, dict)
    # The first look only remembers where it begins.
    for _ in range(2):
        began = time.monotonic()
        metrics.collect()
        found["metrics"] = time.monotonic() - began
    return found


def _time_command(arguments: list[str], env: Mapping[str, str]) -> float:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "passerelle.cli.main", *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=_MOST_SECONDS,
        check=False,
    )
    # Doctor has something to say of a server that is as bare as this.
    if done.returncode and arguments != ["doctor"]:
        raise BenchmarkError(f"passerelle {' '.join(arguments)}: {done.stderr}")
    return time.monotonic() - began
