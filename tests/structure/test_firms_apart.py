"""One firm never sees another's data: what the schema holds, and which statements look at all.

Keys of several columns make a row of one firm that points to another's impossible. A statement is
of one firm where it names a firm, a folder, or rows that were found so before; those that look at
the whole deployment are listed here, each with its reason.
"""

import ast
import importlib
import re
from collections.abc import Iterator
from types import ModuleType

import pytest
from sqlalchemy import BigInteger, Index, PrimaryKeyConstraint, Table, UniqueConstraint

from passerelle.store.deployment import metadata
from support.simulator import ROOT

TABLES = metadata.tables
OF_FIRMS = {name: table for name, table in TABLES.items() if "firm_id" in table.columns}
OF_NO_FIRM = {
    "firms": "the firms themselves",
    "outages": "Loop is down for all",
    "database_identity": "which database this is",
    "figures": "counts for graphs, which tell no firm",
    "refused_events": "what was refused may name no firm; only operators read it",
    "missing_entries": "a firm of which nothing arrived has no row; it holds the hub's names alone",
}
# Columns that name a row of a firm's.
POINTERS = {
    *("firm_id", "folder_id", "entry", "import_id", "case_id", "held_by"),
    *("endpoint_id", "message_id"),
}
UNHELD = {
    ("transitions", "import_id"): "history, and no key to anything: it is shown, never joined",
}
KEYS_OF_ALL = {
    ("events", "event_id"): "an event id is one event, whoever sends it (contract section 1)",
}

STATEMENT = re.compile(r"\s*(SELECT|UPDATE|INSERT|DELETE|WITH)\b")
TABLE = re.compile(r"\b(?:FROM|JOIN|UPDATE|INTO|,)\s+(\w+)")
BOUND = re.compile(r"(?<!:):(\w+)")
# Values that are a firm's or of a firm's: its codes, or ids of rows that were found before.
NARROW = {
    *(
        "firm",
        "firm_id",
        "firm_ids",
        "folder_id",
        "id",
        "ids",
        "row",
        "entry",
        "entries",
        "entry_ids",
    ),
    *("import_id", "case_id", "lease", "hashes", "code", "firm_key"),
}
NARROW_OTHERWISE = {
    ("cases", "hold"): "of the folders of the firm or the folder that is held",
    ("questions", "_DUE"): "of an entry, or of the others in its request",
    ("endpoints", "_WAITING"): "of an endpoint: filled in by statements beside it",
    ("arrivals", "_INSERT"): "each of `rows` names its firm and folder",
    ("claims", "_CUTS"): "of the entries in `cuts`, locked before",
    ("credentials", "_SELECT"): "filled in by two statements beside it: of a code, or of an id",
}
WIDE = {
    ("sweep", "_ABANDONED"): "deliveries that died",
    ("sweep", "_RING"): "folders that are due, of each firm its share",
    ("sweep", "_POLLS"): "imports that are due, of each firm its share",
    ("sweep", "_ASK"): "entries to ask about, of each firm its share",
    ("sweep", "_OVER"): "cases that are over",
    ("sweep", "_PROBES"): "cases that Loop is asked about, of each firm its share",
    ("sweep", "_REFRESH"): "folders to be read, one of each firm",
    ("sweep", "_TELL"): "endpoints that something waits for",
    ("retention", "_OLD"): "what was settled long ago",
    ("outbox", "_REMIND"): "cases that have been open for a day",
    ("subscriptions", "skip_sequences"): "the database went back, for all",
    ("missing", "count"): "what an operator is told",
    ("doubts", "_DOUBT"): "the database went back, for all",
    ("doubts", "folders_in_doubt"): "the sweep after it",
    ("identity", "_KNOWN"): "whether anything was ever sent from this database",
    ("outages", "prober"): "any firm's folder shows whether Loop is back",
    ("credentials", "registered_firms"): "the newest secret key is for all",
    ("arrivals", "seen_events"): "an event id is one event, whoever sends it",
}


def module(name: str) -> ModuleType:
    return importlib.import_module(f"passerelle.store.{name}")


def written(node: ast.expr, names: ModuleType) -> str:
    """A string as far as it is one before it is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(written(value, names) for value in node.values)
    if isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.Name):
        return str(getattr(names, node.value.id, ""))
    return ""


def statements(name: str) -> Iterator[tuple[str, str]]:
    """Function or constant of the module, and a statement in it."""
    names = module(name)
    tree = ast.parse((ROOT / "passerelle/store" / f"{name}.py").read_text(encoding="utf-8"))

    def below(node: ast.AST, place: str) -> Iterator[tuple[str, str]]:
        for child in ast.iter_child_nodes(node):
            here = place
            if isinstance(child, ast.FunctionDef):
                here = child.name
                core = re.search(r"\b(?:select|update|delete)\((\w+)", ast.unparse(child))
                if core:
                    scope = " ".join(re.findall(r"\.(firm_id) ==", ast.unparse(child)))
                    yield here, f"SELECT FROM {core[1]} {scope and ':firm_id'}"
            elif isinstance(child, ast.Assign) and not place:
                here = ast.unparse(child.targets[0])
            if isinstance(child, ast.Constant | ast.JoinedStr):
                text = written(child, names)
                if STATEMENT.match(text):
                    yield here, text
            else:
                yield from below(child, here)

    yield from below(tree, "")


MODULES = sorted(
    path.stem
    for path in (ROOT / "passerelle/store").glob("*.py")
    # Statements for people, of whatever firm they ask for, and for graphs, which tell no firm.
    if path.stem not in {"__init__", "counts", "figures", "queries"}
)


def wide(name: str) -> set[tuple[str, str]]:
    return {
        (name, place)
        for place, text in statements(name)
        if {*TABLE.findall(text)} & ({*OF_FIRMS} | {"firms"})
        and not {*BOUND.findall(text)} & NARROW
    }


def test_every_table_is_of_firms_or_has_a_reason() -> None:
    assert {*TABLES} == {*OF_FIRMS} | {*OF_NO_FIRM}
    assert not [name for name, table in OF_FIRMS.items() if table.c.firm_id.nullable]


@pytest.mark.parametrize("table", TABLES.values(), ids=str)
def test_a_key_to_a_firm_s_row_holds_it_to_the_same_firm(table: Table) -> None:
    own = "id" if table.name == "firms" else "firm_id"
    for constraint in table.foreign_key_constraints:
        pairs = {(key.parent.name, key.target_fullname) for key in constraint.elements}
        parent = constraint.referred_table.name
        assert (own, "firms.id" if parent == "firms" else f"{parent}.firm_id") in pairs


@pytest.mark.parametrize("table", OF_FIRMS.values(), ids=str)
def test_whatever_names_a_firm_s_row_is_such_a_key(table: Table) -> None:
    pointers = {
        column.name
        for column in table.columns
        if column.name in POINTERS and isinstance(column.type, BigInteger)
    }
    held = {name for one in table.foreign_key_constraints for name in one.column_keys}
    assert pointers - held == {column for name, column in UNHELD if name == table.name}


@pytest.mark.parametrize("table", OF_FIRMS.values(), ids=str)
def test_no_firm_takes_a_name_away_from_another(table: Table) -> None:
    keys = [
        {column.name for column in one.columns}
        for one in (*table.constraints, *table.indexes)
        if isinstance(one, UniqueConstraint | PrimaryKeyConstraint)
        or (isinstance(one, Index) and one.unique)
    ]
    of_all = [key for key in keys if not key & {"id", "firm_id", "folder_id"}]
    assert of_all == [{column} for name, column in KEYS_OF_ALL if name == table.name]


def test_only_these_statements_look_at_more_than_one_firm() -> None:
    found = {place for name in MODULES for place in wide(name)}
    assert found - {*NARROW_OTHERWISE} == {*WIDE}
    assert {*NARROW_OTHERWISE} <= found
