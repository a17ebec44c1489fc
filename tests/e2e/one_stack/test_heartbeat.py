"""The file that says of a worker whether it takes messages."""

import shutil
import time
from pathlib import Path

from support.simulator import until
from support.stack import Stack


def is_fresh(file: Path) -> bool:
    return file.exists() and time.time() - file.stat().st_mtime < 5


def test_a_worker_says_that_it_takes_messages_until_it_ends(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"
    stack.start_worker("referentials", name="beating", PASSERELLE_HEARTBEAT=str(file))
    until(lambda: is_fresh(file), bool, 60)
    first = file.stat().st_mtime
    until(lambda: file.stat().st_mtime > first, bool, 20)
    stack.stop("beating")
    assert not file.exists()


def test_a_file_that_cannot_be_written_harms_no_worker(stack: Stack, tmp_path: Path) -> None:
    """An error there would be taken for one of the broker's, and the worker would connect anew."""
    folder = tmp_path / "gone"
    folder.mkdir()
    file = folder / "heartbeat"
    stack.start_worker("referentials", name="mute", PASSERELLE_HEARTBEAT=str(file))
    until(lambda: is_fresh(file), bool, 60)
    shutil.rmtree(folder)
    stack.until_log("mute", "the heartbeat cannot be written")
    folder.mkdir()
    until(lambda: is_fresh(file), bool, 20)
    assert "broker lost" not in stack.log("mute")
    stack.stop("mute")


def test_a_worker_whose_file_cannot_be_made_says_so_and_does_not_start(
    stack: Stack, tmp_path: Path
) -> None:
    file = tmp_path / "no/such/folder"
    stack.start_worker("referentials", name="nowhere", PASSERELLE_HEARTBEAT=str(file))
    assert stack.processes.pop("nowhere").wait(60) == 1
    assert "PASSERELLE_HEARTBEAT" in stack.log("nowhere")
