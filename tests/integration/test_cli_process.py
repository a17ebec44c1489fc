"""Promises that only a process can break: exit codes, signals, broken pipes, memory."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Engine, text

from config.settings import read_settings
from passerelle.runtime import Runtime
from support.events import purchase
from support.simulator import ROOT, until

PASSERELLE = (sys.executable, "-m", "passerelle.cli.main")
# Tells what the process had in memory at most, in KiB, on standard error. (`getrusage` counts what
# its parent had.)
MEASURED = """
import atexit, pathlib, re, sys
from passerelle.cli.main import main
status = pathlib.Path("/proc/self/status")
atexit.register(lambda: sys.stderr.write(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]))
main()
"""
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def environ(database_url: str, broker_url: str, tmp_path: Path) -> dict[str, str]:
    return os.environ | {
        "PASSERELLE_DATABASE_URL": database_url,
        "PASSERELLE_BROKER_URL": broker_url,
        "PASSERELLE_SECRET_KEYS": Fernet.generate_key().decode(),
        "PASSERELLE_DATA_DIR": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture
def start(environ: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Starts processes in a folder of the test's own; none outlives the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(
        *arguments: str, program: tuple[str, ...] = PASSERELLE, **options: Any
    ) -> subprocess.Popen[bytes]:
        pipes: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        command = (*program, *arguments)
        process = subprocess.Popen(command, cwd=tmp_path, env=environ, **(pipes | options))
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        with process:
            pass


def ended(process: subprocess.Popen[bytes], stdin: bytes | None = None) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    out, err = process.communicate(stdin, timeout=120)
    return process.returncode, out.decode(), err.decode()


def many_entries(engine: Engine, environ: dict[str, str], count: int) -> None:
    """Entries like one that was taken in."""
    runtime = Runtime(read_settings(environ))
    runtime.intake.take_in([purchase()])
    runtime.close()
    with engine.begin() as connection:
        columns = connection.execute(
            text(
                "SELECT string_agg(quote_ident(column_name), ',') FROM information_schema.columns "
                "WHERE table_name = 'entries' AND column_name NOT IN ('id', 'entry_id')"
            )
        ).scalar_one()
        connection.execute(
            text(
                f"INSERT INTO entries (entry_id, {columns}) SELECT 'copy ' || n, {columns} "  # noqa: S608 names of columns
                "FROM entries, generate_series(1, :count) n"
            ),
            {"count": count - 1},
        )


def test_json_is_one_document_and_nothing_else_is_printed(start: Start) -> None:
    code, out, err = ended(start("status", "--json"))
    assert (code, err) == (0, "")
    status = json.loads(out)
    assert status["queues"] == dict.fromkeys(
        ("intake", "delivery", "remediation", "referentials", "upkeep"), 0
    )
    assert status["workers"] == []
    assert ended(start("submit", "-", stdin=subprocess.PIPE), b"{}\n")[0] == 0
    assert json.loads(ended(start("status", "--json"))[1])["queues"]["intake"] == 1


def test_exit_codes(start: Start) -> None:
    assert ended(start("--version"))[0] == 0
    assert ended(start("entry", "show", "1"))[:2] == (1, "")
    assert ended(start("entry", "list", "--state", "lost"))[:2] == (2, "")


def test_bytes_that_are_no_text_are_no_traceback(start: Start, environ: dict[str, str]) -> None:
    code, out, err = ended(start("entry", "show", os.fsdecode(b"\xff")))
    assert (code, out, err.count("\n")) == (1, "", 1)
    environ["PASSERELLE_DATA_DIR"] = "/proc/1/cmdline"
    code, out, err = ended(start("entry", "list"))
    assert (code, out, err.count("\n")) == (1, "", 1)


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_reader_that_has_enough_ends_a_list_without_a_word(
    start: Start, engine: Engine, environ: dict[str, str], form: tuple[str, ...]
) -> None:
    many_entries(engine, environ, 5_000)
    process = start("entry", "list", *form)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() != b""
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 1


def test_a_list_of_any_length_takes_the_same_memory(
    start: Start, engine: Engine, environ: dict[str, str], tmp_path: Path
) -> None:
    def listed() -> tuple[int, int]:
        program = (sys.executable, "-c", MEASURED)
        code, out, err = ended(start("entry", "list", "--json", program=program))
        assert code == 0
        return len(out.splitlines()), int(err)

    _, before = listed()
    many_entries(engine, environ, 4_000)
    with engine.begin() as connection:
        connection.execute(text("UPDATE entries SET message = repeat('x', 10000)"))
    count, memory = listed()
    assert count == 4_000
    # They are 40 MB.
    assert memory - before < 20_000


def test_a_submission_of_any_length_takes_the_same_memory(start: Start) -> None:
    def submitted(count: int) -> int:
        program = (sys.executable, "-c", MEASURED)
        process = start("submit", "-", "--json", program=program, stdin=subprocess.PIPE)
        lines = b"".join(b'{"n": %d, "pad": "%s"}\n' % (n, b"x" * 500) for n in range(count))
        code, out, err = ended(process, lines)
        assert (code, json.loads(out)["events"]) == (0, count)
        return int(err)

    # 20 MB more to read.
    assert submitted(42_000) - submitted(2_000) < 8_000


def test_ctrl_c_tells_how_far_it_came_and_the_same_again_is_harmless(
    start: Start, engine: Engine
) -> None:
    lines = [json.dumps(purchase(number)).encode() + b"\n" for number in range(1, 1_501)]

    def committed() -> int:
        with engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM entries")).scalar_one())

    process = start("submit", "-", "--direct", stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(b"".join(lines))
    process.stdin.flush()
    # It waits for more events, with a part of these in hand.
    taken = until(committed, bool, 60)
    process.send_signal(signal.SIGINT)
    told = process.stderr.read().decode()
    assert process.wait(60) == 1
    assert told == (
        f"Error: Interrupted. {taken:,} events were submitted before; submitting the same file "
        "again is harmless.\n"
    )
    again = start("submit", "-", "--direct", "--json", stdin=subprocess.PIPE)
    code, out, _ = ended(again, b"".join(lines))
    assert (code, json.loads(out)["known"]) == (0, taken)
    assert committed() == 1_500


def test_a_long_list_is_looked_up_in_the_same_memory_and_ctrl_c_tells_how_far(
    start: Start, engine: Engine
) -> None:
    def names(count: int) -> bytes:
        return b"".join(
            b'{"firm":"F","folder":"D","entry_id":"%d","revision":1,"pad":"%s"}\n' % (n, b"x" * 450)
            for n in range(count)
        )

    def looked_up() -> int:
        with engine.connect() as connection:
            counting = text("SELECT count(*) FROM missing_entries")
            return int(connection.execute(counting).scalar_one())

    def reconciling() -> subprocess.Popen[bytes]:
        program = (sys.executable, "-c", MEASURED)
        return start("reconcile", "-", "--json", program=program, stdin=subprocess.PIPE)

    interrupted = reconciling()
    assert interrupted.stdin is not None
    interrupted.stdin.write(names(1_500))
    interrupted.stdin.flush()
    # It waits for more names, with a part of these in hand.
    known = until(looked_up, bool, 60)
    interrupted.send_signal(signal.SIGINT)
    code, out, err = ended(interrupted)
    assert (code, out) == (1, "")
    told, _, before = err.partition("\n")
    assert told == (
        f"Error: Interrupted. {known:,} entries were looked up before; reconciling the same file "
        "again is harmless."
    )
    code, out, err = ended(reconciling(), names(20_000))
    assert (code, len(json.loads(out)["unknown"])) == (1, 20_000)
    # 9 MB more to read, and 4 MB as rows.
    assert int(err.splitlines()[-1]) - int(before) < 5_000


def test_the_same_file_twice_at_once_is_taken_in_once(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "events"
    file.write_text("".join(json.dumps(purchase(number)) + "\n" for number in range(1, 1_501)))
    both = [start("submit", str(file), "--direct", "--json") for _ in range(2)]
    results = [ended(process) for process in both]
    assert [code for code, _, _ in results] == [0, 0]
    counts = [json.loads(out) for _, out, _ in results]
    assert sum(count["new"] for count in counts) == 1_500
    assert sum(count["known"] for count in counts) == 1_500
    assert sum(count["refused"] for count in counts) == 0


def test_the_simulator_is_a_process_of_its_own(start: Start, tmp_path: Path) -> None:
    # Not what happens to have its name in the working directory.
    (tmp_path / "simulator").mkdir()
    (tmp_path / "simulator/__main__.py").write_text("raise SystemExit(7)")
    process = start("simulator", "--port", "0")
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], 60)
    assert readable
    assert process.stdout.readline().startswith(b"READY http://127.0.0.1:")
    # The same process became the simulator: a signal reaches it.
    command = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
    assert command[1:4] == [b"-P", b"-m", b"simulator"]
    process.terminate()
    assert process.wait(10) == 0


def test_a_scenario_that_is_wrong_is_the_simulators_word(start: Start, tmp_path: Path) -> None:
    (tmp_path / "scenario.toml").write_text("nonsense = true")
    code, out, err = ended(start("simulator", "--port", "0", "--scenario", "scenario.toml"))
    assert (code, out) == (1, "")
    assert "nonsense" in err
