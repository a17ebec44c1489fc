"""The benchmarks are run by hand; here they only have to work, with both ways in the same books."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_benchmarks_run_and_tell_what_they_measured(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks", "--entries", "30", "--rounds", "1"),
            *("--folders", "3", "--latency-ms", "5", "--import-ms", "5", "--json", str(found)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    turns = {turn["contender"]: turn for turn in json.loads(found.read_text())["turns"]}
    assert len(turns) == 3
    for contender, turn in turns.items():
        assert contender in done.stdout
        assert turn["rate"] > 0
        assert turn["cpu_own"].keys() == turn["peak_bytes"].keys()
    # One task an entry asks Loop at least twice for each, and a full message far less often.
    assert sum(turns["plain"]["calls"].values()) >= 60
    assert sum(turns["product, submit_many"]["calls"].values()) <= 30
