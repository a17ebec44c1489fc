"""Habits that no linter knows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from support.simulator import ROOT

ROOMS = ("config", "migrations", "passerelle", "schemas", "simulator", "tasks", "workers")
LONGEST_MODULE = 400
# The one place where a test waits: for a condition, with a deadline.
WAITING = ("tests/support/simulator.py", "until")
BANNED = {"skip", "skipif", "xfail", "importorskip", "patch", "mock", "Mock", "MagicMock"}


def paths(*rooms: str, suffix: str = ".py") -> list[Path]:
    return sorted(path for room in rooms for path in (ROOT / room).rglob(f"*{suffix}"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def files() -> Iterator[Path]:
    """The repository's own files: those at the top and those in its rooms."""
    yield from (path for path in ROOT.iterdir() if path.is_file())
    for room in (*ROOMS, "tests", "benchmarks", "docs", ".ci"):
        for path in (ROOT / room).rglob("*"):
            if path.is_file() and not {"__pycache__", "node_modules"} & {*path.parts}:
                yield path


def test_ci_runs_make_check_and_make_test_and_nothing_else() -> None:
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    around = ("#", "set ", "cd ")
    assert [line for line in lines if line and not line.startswith(around)] == [
        "make check",
        "make test",
    ]


def test_a_module_is_short() -> None:
    lengths = {
        name(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in paths(*ROOMS)
        if path.parent != ROOT / "migrations/versions"
    }
    assert {path: length for path, length in lengths.items() if length >= LONGEST_MODULE} == {}


def test_a_package_says_nothing_itself() -> None:
    inits = [path for path in paths(*ROOMS, "tests") if path.name == "__init__.py"]
    assert inits
    assert [name(path) for path in inits if path.stat().st_size > 0] == []


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for path in paths(*ROOMS)} - {ROOT / "migrations/versions"}
    assert [name(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_no_file_knows_the_machine_that_it_was_written_on() -> None:
    # In two parts, or this file would be found.
    here = re.compile(r"(?<![\w.])/(" + "wo" + "rk|" + "ro" + r"ot)/\w")
    found = []
    for path in files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if here.search(text):
            found.append(name(path))
    assert found == []


def test_no_file_holds_a_private_key() -> None:
    key = b"-----BEGIN " + b"PRIVATE KEY"
    assert [name(path) for path in files() if key in path.read_bytes()] == []


def test_test_files_have_names_of_their_own() -> None:
    names = [path.name for path in paths("tests") if path.name != "__init__.py"]
    assert sorted(set(names)) == sorted(names)


class _Bans(ast.NodeVisitor):
    """Sleeps, and what takes a test out or puts something else in our code's place."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._function = ""
        self.found: list[str] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        before, self._function = self._function, node.name
        self.generic_visit(node)
        self._function = before

    def visit_Import(self, node: ast.Import) -> None:
        self._modules(node.lineno, [alias.name for alias in node.names])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._modules(node.lineno, [f"{node.module}.{alias.name}" for alias in node.names])

    def visit_Attribute(self, node: ast.Attribute) -> None:
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        of_pytest = owner == "pytest" or ast.unparse(node.value) == "pytest.mark"
        if of_pytest and node.attr in BANNED:
            self._find(node.lineno, f"pytest's {node.attr}")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = ast.unparse(node.func)
        if called in {"time.sleep", "asyncio.sleep"} and (self._path, self._function) != WAITING:
            self._find(node.lineno, called)
        if called == "monkeypatch.setattr":
            self._find(node.lineno, called)
        self.generic_visit(node)

    def _modules(self, line: int, modules: list[str]) -> None:
        for module in modules:
            if module in {"time.sleep", "asyncio.sleep"} or BANNED & {*module.split(".")}:
                self._find(line, module)

    def _find(self, line: int, what: str) -> None:
        self.found.append(f"{self._path}:{line} {what}")


def banned(path: str, text: str) -> list[str]:
    bans = _Bans(path)
    bans.visit(ast.parse(text))
    return sorted(bans.found)


def test_no_test_sleeps_or_stands_aside_or_patches() -> None:
    found = [
        what
        for path in paths("tests")
        for what in banned(name(path), path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_a_test_that_does_would_be_found_out() -> None:
    text = (
        "import time\n"
        "from unittest.mock import patch\n"
        "@pytest.mark.skip\n"
        "def test_x(monkeypatch):\n"
        "    time.sleep(1)\n"
        "    monkeypatch.setattr(thing, 'name', None)\n"
        "    pytest.xfail('later')\n"
    )
    assert banned("test_x.py", text) == [
        "test_x.py:2 unittest.mock.patch",
        "test_x.py:3 pytest's skip",
        "test_x.py:5 time.sleep",
        "test_x.py:6 monkeypatch.setattr",
        "test_x.py:7 pytest's xfail",
    ]
