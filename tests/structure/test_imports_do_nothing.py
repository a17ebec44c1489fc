"""Nothing but `workers.main` acts at import."""

import os
import subprocess
import sys
from pathlib import Path

from support.simulator import ROOT

ROOMS = ("config", "migrations", "passerelle", "schemas", "simulator", "tasks", "workers")
# `celery -A` and Alembic import these in order that they act.
ACTING = {"workers.main", "migrations.env"}

# An act is one of ours where the innermost module that is just being run is ours: what a library
# does while it is imported itself is its own affair.
PROGRAM = """
import importlib, sys

room, *modules = sys.argv[1:]
QUIET = {"os.listdir", "os.scandir"}
LOUD = ("socket.", "subprocess.", "os.", "shutil.", "tempfile.", "_thread.")

def watch(event, args):
    if event == "open":
        if str(args[0]).endswith((".py", ".pyc")):
            return
    elif event in QUIET or not event.startswith(LOUD):
        return
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    file = frame.f_code.co_filename if frame is not None else ""
    if file.startswith(room) and not file.startswith(sys.prefix):
        print(file, event, args[:2])

sys.addaudithook(watch)
for module in modules:
    importlib.import_module(module)
"""


def modules() -> list[str]:
    paths = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths}
    # Alembic's own files have names that no import statement can say.
    names = {name for name in names if not name.startswith("migrations.versions.")}
    return sorted(name.removesuffix(".__init__") for name in names - ACTING)


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PASSERELLE_")
    }
    return subprocess.run(
        # -B: the interpreter's own bytecode is no act of a module.
        [sys.executable, "-B", "-c", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        check=False,
    )


def test_importing_opens_nothing_and_starts_nothing(tmp_path: Path) -> None:
    done = run(PROGRAM, f"{ROOT}{os.sep}", *modules(), cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_a_module_that_acts_would_be_found_out(tmp_path: Path) -> None:
    (tmp_path / "acting.py").write_text("import socket\nsocket.socket()\nopen('x', 'w')\n")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{PROGRAM}"
    done = run(program, f"{tmp_path}{os.sep}", "acting", cwd=tmp_path)
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["socket.__new__", "open"]


def test_the_app_without_settings_says_what_is_missing(tmp_path: Path) -> None:
    done = run("import workers.main", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("PASSERELLE_BROKER_URL")
    assert "Traceback" not in done.stderr
