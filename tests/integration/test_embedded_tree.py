"""Promises of the process tree, with plain programs for children."""

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.process_tree import Tree, lives, process_tree, wait_until

# Each starts one of its own, as Celery's pools do; the second hears no polite request.
POLITE = 'tree.start(Child("polite", ("sh", "-c", "sleep 9901 & exec sleep 9902")))\n'
DEAF = """
tree.start(Child("deaf", ("sh", "-c", "trap '' TERM INT; sleep 9903 & sleep 9904 & wait; wait")))
"""

Grow = Callable[[str], Tree]


@pytest.fixture
def grow(tmp_path: Path) -> Iterator[Grow]:
    with ExitStack() as trees:
        yield lambda body: trees.enter_context(
            process_tree(tmp_path / "data", body, printed=tmp_path / f"printed-{len(body)}")
        )


def test_a_child_is_started_when_the_one_before_is_ready(grow: Grow) -> None:
    tree = grow("""
mark = folder.path / "mark"
tree.start(Child("slow", ("sh", "-c", f"sleep 0.3; touch '{mark}'; exec sleep 9905"),
                 ready=mark.exists))
tell("tree", f"mark {mark.exists()}")
tree.start(Child("next", ("sleep", "9906")))
""")
    tree.wait_for("READY")
    assert "mark True" in tree.output


def test_a_step_is_done_before_the_next_child_starts(grow: Grow) -> None:
    tree = grow("""
tree.run(Child("step", ("sh", "-c", "sleep 0.2; touch mark"), directory=folder.path))
tell("tree", f"mark {(folder.path / 'mark').exists()}")
""")
    tree.wait_for("READY")
    assert "mark True" in tree.output


def test_a_child_that_dies_is_started_again_without_what_it_had_started(grow: Grow) -> None:
    tree = grow(POLITE)
    tree.wait_for("READY")
    wait_until(lambda: len(tree.find("sleep 990")) == 2)
    before = tree.find("sleep 990")

    tree.member("sleep 9902").kill()

    wait_until(lambda: not any(map(lives, before)))
    wait_until(lambda: len(tree.find("sleep 990")) == 2)
    assert "polite: was ended by signal 9 (Killed) and is started again in 0.2 s" in tree.output


def test_a_child_that_keeps_dying_is_started_ever_more_slowly(grow: Grow) -> None:
    tree = grow('tree.start(Child("mayfly", ("sh", "-c", "echo born; exit 3")))')
    tree.wait_for("in 0.8 s")
    pauses = re.findall(r"ended with code 3 and is started again in (\S+) s", tree.output)
    assert pauses == ["0.2", "0.4", "0.8"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything(grow: Grow, number: signal.Signals) -> None:
    tree = grow(POLITE)
    tree.wait_for("READY")
    members = tree.members()
    assert tree.end(number) < 2
    assert tree.process.returncode == 0
    assert tree.output.endswith("ENDED\n")
    assert tree.leftovers(members) == []


def test_the_deaf_and_their_children_end_within_ten_seconds_however_often_one_asks(
    grow: Grow,
) -> None:
    tree = grow(POLITE + DEAF)
    tree.wait_for("READY")
    wait_until(lambda: tree.find("sleep 9904"))
    members = tree.members()
    polite = tree.member("sleep 9902")

    tree.process.send_signal(signal.SIGINT)
    wait_until(lambda: not lives(polite))
    tree.process.send_signal(signal.SIGINT)

    assert tree.end(signal.SIGTERM) < 10
    assert tree.process.returncode == 0
    assert tree.leftovers(members) == []


def test_servers_end_after_the_programs_that_use_them(grow: Grow) -> None:
    tree = grow("""
def farewell(name):
    return ("sh", "-c", f"trap 'sleep 0.2; echo {name} >> order; exit' TERM; sleep 9907 & wait")
for name in ("first", "second"):
    tree.start(Child(name, farewell(name), directory=folder.path, server=name == "first"))
    tree.run(Child("a-moment-for-the-trap", ("sleep", "0.2")))
""")
    tree.wait_for("READY")
    tree.end()
    assert (tree.folder / "order").read_text().split() == ["second", "first"]


def test_nothing_outlives_a_killed_supervisor(grow: Grow) -> None:
    tree = grow(POLITE + DEAF)
    tree.wait_for("READY")
    wait_until(lambda: tree.find("sleep 9904"))
    members = tree.members()

    tree.end(signal.SIGKILL)
    # At once: the folder is waited for until the dead one's children are gone.
    successor = grow('tell("tree", "claimed")')
    successor.wait_for("READY")

    assert list(filter(lives, members)) == []


def test_a_killed_reaper_is_replaced(grow: Grow) -> None:
    tree = grow('tree.start(Child("plain", ("sleep", "9911")))')
    tree.wait_for("READY")
    first = tree.member("reaper.py")
    first.kill()
    wait_until(lambda: tree.find("reaper.py") not in ([], [first]))
    members = tree.members()

    tree.end(signal.SIGKILL)

    wait_until(lambda: not tree.leftovers(members))


def test_a_child_that_ends_while_it_starts_ends_the_tree_with_its_last_words(grow: Grow) -> None:
    tree = grow(
        POLITE
        + """
tree.start(Child("doomed", ("sh", "-c", "echo no such thing >&2; exit 7"), ready=lambda: False))
"""
    )
    assert re.search(
        r"doomed ended with code 7 while it started: .*doomed\.log ends with: no such thing",
        tree.failure(),
    )
    assert tree.leftovers([]) == []


def test_a_child_that_is_never_ready_is_given_up(grow: Grow) -> None:
    tree = grow(
        'tree.start(Child("idle", ("sleep", "9908"), ready=lambda: False, seconds=0.3))',
    )
    assert "idle was not ready after 0.3 s" in tree.failure()
    assert tree.leftovers([]) == []


def test_a_step_that_fails_or_lasts_ends_the_tree(grow: Grow) -> None:
    failing = grow('tree.run(Child("step", ("sh", "-c", "echo broken; exit 1")))')
    assert "step ended with code 1" in failing.failure()
    assert "broken" in failing.output
    lasting = grow('tree.run(Child("step", ("sleep", "9909"), seconds=0.3))')
    assert "step was not done after 0.3 s" in lasting.failure()


def test_a_program_that_is_not_there_is_named(grow: Grow) -> None:
    tree = grow('tree.start(Child("ghost", ("/no/such/program",)))')
    assert "ghost cannot be started" in tree.failure()
    assert "/no/such/program" in tree.output


def test_a_signal_during_a_step_ends_the_step(grow: Grow) -> None:
    tree = grow(POLITE + 'tree.run(Child("long", ("sleep", "9910")))')
    wait_until(lambda: tree.find("sleep 9910"))
    members = tree.members()
    assert tree.end() < 2
    assert tree.leftovers(members) == []


def test_a_data_folder_has_one_tree_at_a_time(grow: Grow) -> None:
    first = grow(POLITE)
    first.wait_for("READY")
    second = grow('tell("tree", "a second tree")')
    assert second.failure() == (
        f"The data folder {first.folder} is in use by another `passerelle up` "
        f"(process {first.process.pid}): stop that one, or choose another with --data-dir.\n"
    )
    assert first.process.poll() is None


def test_a_data_folder_that_cannot_be_made_is_named(grow: Grow, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file stands here")
    assert f"The data folder {tmp_path / 'data'} cannot be used" in grow("pass").failure()


def test_what_children_print_is_shown_and_kept_for_their_owner_alone(grow: Grow) -> None:
    tree = grow('tree.run(Child("talker", ("sh", "-c", "echo out; echo err >&2; printf half")))')
    tree.wait_for("READY")
    assert tree.output.startswith("talker: out\ntalker: err\ntree: ")
    log = tree.folder / "logs" / "talker.log"
    assert log.read_text() == "out\nerr\nhalf"
    assert [path.stat().st_mode & 0o077 for path in (log, tree.folder)] == [0, 0]


def test_a_long_log_makes_room_when_its_child_starts(grow: Grow, tmp_path: Path) -> None:
    logs = tmp_path / "data" / "logs"
    logs.mkdir(parents=True)
    with (logs / "talker.log").open("wb") as log:
        log.truncate(20_000_001)
    grow('tree.run(Child("talker", ("echo", "fresh")))').wait_for("READY")
    assert (logs / "talker.log").read_text() == "fresh\n"
    assert (logs / "talker.log.1").stat().st_size == 20_000_001
