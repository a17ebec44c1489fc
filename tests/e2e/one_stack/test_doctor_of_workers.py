"""`passerelle doctor` beside real workers: of another version, and slower than the broker waits."""

import json
from pathlib import Path
from typing import Any

import psycopg
from cryptography.fernet import Fernet

from support.events import purchase
from support.simulator import until
from support.stack import QUICK_LEASES, Stack
from workers.about import version
from workers.queues import CONSUMERS


def findings(stack: Stack) -> dict[str, Any]:
    done = stack.cli("doctor", "--json")
    return {one["name"]: one["wrong"] for one in json.loads(done.stdout)}


def test_where_all_is_well_nothing_is_said(stack: Stack) -> None:
    # Another test may have paused a firm; what concerns all is well.
    until(lambda: stack.cli("doctor").returncode, lambda code: code == 0, 60, 1)
    found = findings(stack)
    assert found["versions"] is None
    assert found["visibility timeout"] is None


def test_a_worker_of_another_version_is_named(stack: Stack, tmp_path: Path) -> None:
    """Its distribution is found first."""
    about = tmp_path / "passerelle-9.9.9.dist-info" / "METADATA"
    about.parent.mkdir()
    about.write_text("Metadata-Version: 2.1\nName: passerelle\nVersion: 9.9.9\n", encoding="utf-8")
    stack.start_worker("referentials", name="referentials-newer", PYTHONPATH=str(tmp_path))
    stack.wait_for_worker("referentials-newer")
    told = f"This is {version()}, and referentials-newer@"
    until(lambda: str(findings(stack)["versions"]), lambda wrong: wrong.startswith(told), 30, 1)
    stack.stop("referentials-newer")
    until(lambda: findings(stack)["versions"], lambda wrong: wrong is None, 30, 1)


def test_a_task_that_outlasts_the_visibility_timeout_is_named(stack: Stack) -> None:
    """Its message is delivered again while it runs: here after four seconds."""
    firm = stack.add_firm(None, "SLOW000001")
    stack.start_worker("intake", name="intake-hasty", **QUICK_LEASES)
    stack.wait_for_worker("intake-hasty")
    # By a session of its own: ours are ended where they do nothing for long.
    with psycopg.connect(stack.env["PASSERELLE_DATABASE_URL"]) as connection:
        connection.execute("LOCK TABLE events")

        def at_work() -> int:
            """Processes of intake that wait for the table; each look sends one more message."""
            stack.send("entries.submit", purchase() | {"firm": firm, "folder": "SLOW000001"})
            return stack.waiting_for("events")

        [intake] = [one for one in CONSUMERS if one.queue == "intake"]
        # More than the other worker has: either may take many messages before the other takes one.
        until(at_work, lambda count: count > intake.concurrency, every=0.1)
        until(
            lambda: str(findings(stack)["visibility timeout"]),
            lambda wrong: (
                "intake-hasty@" in wrong and "has 4 s, and a task there has run for" in wrong
            ),
            60,
            1,
        )
    stack.until_states(firm, synced=1)
    stack.stop("intake-hasty")


def test_a_worker_that_lacks_a_key_is_named(stack: Stack) -> None:
    """A key that is used before every worker has it stops what it was used for."""
    key = Fernet.generate_key().decode()
    stack.start_worker("referentials", name="referentials-other", PASSERELLE_SECRET_KEYS=key)
    stack.wait_for_worker("referentials-other")
    until(
        lambda: str(findings(stack)["secret keys of workers"]),
        lambda wrong: wrong.startswith("referentials-other@") and " lack a key" in wrong,
        30,
        1,
    )
    assert key not in stack.cli("doctor", "--json").stdout
    stack.stop("referentials-other")


def test_workers_of_other_settings_are_named(stack: Stack) -> None:
    stack.start_worker(
        "referentials", name="referentials-patient", PASSERELLE_VISIBILITY_SECONDS="1000"
    )
    stack.wait_for_worker("referentials-patient")
    until(
        lambda: str(findings(stack)["visibility timeout"]),
        lambda wrong: "the workers have 900 s, 1000 s, and here it is 900 s" in wrong,
        30,
        1,
    )
    stack.stop("referentials-patient")
