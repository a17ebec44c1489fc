"""What a migration may do while the version before it still works on the tables (ARCHITECTURE.md).

The schema is brought up under running workers. What the older version reads or writes stays; what
it does not know, it need not fill; what locks a table is over at once.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.simulator import ROOT

FILES = sorted((ROOT / "migrations/versions").glob("*.py"))

# Revision and act: why it harms no older worker all the same.
_UNRELEASED = "no version had been released"
EXCEPTIONS = {
    ("0002", "index of a table that is there"): _UNRELEASED,
    ("0003", "index of a table that is there"): _UNRELEASED,
    ("0003", "unique index"): _UNRELEASED,
    ("0003", "create_check_constraint"): _UNRELEASED,
    ("0003", "drop_constraint"): "it is made again at once, and allows more",
    ("0004", "drop_index"): "they are made again at once, and serve the older version, too",
    ("0004", "index of a table that is there"): _UNRELEASED,
    ("0006", "index of a table that is there"): _UNRELEASED,
    ("0009", "create_foreign_key"): "of columns that are new and empty, and not validated there",
    ("0009", "drop_constraint"): "it is made again at once, and allows more",
    ("0009", "create_check_constraint"): "of a table in which people's acts are few",
    ("0010", "execute"): "it validates, for which nobody has to wait",
    ("0010", "drop_index"): "another takes its place, and serves the older version, too",
    ("0020", "drop_index"): "another takes its place, and serves the older version, too",
}


class _Acts(ast.NodeVisitor):
    """What a migration does that an older worker, or who waits for a lock, may feel."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self._made: set[str] = set()

    def visit_Call(self, node: ast.Call) -> None:
        match node.func:
            case ast.Attribute(ast.Name("op"), act):
                self.found.update(self._felt(act, node))
        self.generic_visit(node)

    def _felt(self, act: str, node: ast.Call) -> set[str]:
        match act:
            case "f" | "get_context":
                return set()
            case "create_table":
                self._made.add(ast.unparse(node.args[0]))
                return set()
            case "add_column":
                return _column(node)
            case "create_index":
                return set() if ast.unparse(node.args[1]) in self._made else _index(node)
            case "execute" if re.match(r"\W*INSERT INTO", ast.unparse(node.args[0])):
                return set()
        return {act}


def _given(node: ast.Call) -> dict[str | None, str]:
    """The named arguments of a call and of the calls in it."""
    return {
        one.arg: ast.unparse(one.value) for one in ast.walk(node) if isinstance(one, ast.keyword)
    }


def _column(node: ast.Call) -> set[str]:
    given = _given(node)
    filled = given.get("nullable") == "True" or "server_default" in given
    return set() if filled else {"column that has to be filled"}


def _index(node: ast.Call) -> set[str]:
    given = _given(node)
    found = set()
    if given.get("unique") == "True":
        found.add("unique index")
    if given.get("postgresql_concurrently") != "True":
        found.add("index of a table that is there")
    return found


def acts(text: str) -> set[str]:
    found = _Acts()
    found.visit(ast.parse(text))
    return found.found


def _all() -> Iterator[tuple[str, str]]:
    for path in FILES:
        # The first has nobody before it.
        revision = path.name.partition("_")[0]
        if revision != "0001":
            yield from ((revision, act) for act in acts(path.read_text(encoding="utf-8")))


def test_no_migration_does_what_the_version_before_cannot_bear() -> None:
    assert len(FILES) > 1
    assert sorted(set(_all()) - EXCEPTIONS.keys()) == []


def test_no_exception_is_left_over() -> None:
    assert sorted(EXCEPTIONS.keys() - set(_all())) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_named_by_its_revision(path: Path) -> None:
    number = path.name.partition("_")[0]
    assert f'revision = "{number}"' in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("line", "act"),
    [
        ('op.drop_column("entries", "cuts")', "drop_column"),
        ('op.drop_table("cases")', "drop_table"),
        ('op.rename_table("cases", "causes")', "rename_table"),
        ('op.alter_column("entries", "reason", nullable=False)', "alter_column"),
        ('op.create_unique_constraint("uq", "entries", ["entry"])', "create_unique_constraint"),
        ('op.execute("ALTER TABLE entries DROP cuts")', "execute"),
        ('op.add_column("entries", sa.Column("x", sa.Text()))', "column that has to be filled"),
        ('op.create_index("ix", "entries", ["x"])', "index of a table that is there"),
        (
            'op.create_index("ix", "entries", ["x"], unique=True, postgresql_concurrently=True)',
            "unique index",
        ),
    ],
)
def test_what_is_forbidden_is_found(line: str, act: str) -> None:
    assert acts(line) == {act}


@pytest.mark.parametrize(
    "line",
    [
        'op.add_column("entries", sa.Column("x", sa.Text(), nullable=True))',
        'op.add_column("e", sa.Column("x", sa.Integer(), server_default="0", nullable=False))',
        'op.create_table("new", sa.Column("id", sa.Integer())); op.create_index("ix", "new", [])',
        (
            'with op.get_context().autocommit_block(): op.create_index("ix", "entries", ["x"], '
            "postgresql_concurrently=True)"
        ),
        'op.execute("INSERT INTO outages (id) VALUES (1)")',
    ],
)
def test_what_is_allowed_is_not(line: str) -> None:
    assert acts(line) == set()
