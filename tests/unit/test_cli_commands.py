"""Promises of the command itself: quick help, and every command where the table says it is."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from passerelle.cli.main import main
from support.simulator import ROOT

COMMANDS = [
    "up",
    "demo",
    "db",
    "firm",
    "folder",
    "submit",
    "reconcile",
    "submit-fec",
    "entry",
    "referential",
    "remediation",
    "outcome",
    "intake",
    "status",
    "doctor",
    "metrics",
    "simulator",
]
HEAVY = {"alembic", "celery", "cryptography", "kombu", "psycopg", "requests", "rich", "sqlalchemy"}


def test_help_names_every_command_and_imports_none_of_them() -> None:
    program = (
        "import sys\n"
        "from passerelle.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    help_, _, modules = done.stdout.strip().rpartition("\n")
    assert [line.split()[0] for line in help_.partition("Commands:\n")[2].splitlines()] == COMMANDS
    assert not HEAVY & set(modules.split())
    assert {name for name in modules.split() if name.startswith("passerelle.cli.")} == {
        "passerelle.cli.main"
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_of_the_table_loads_under_its_name(name: str) -> None:
    with click.Context(main) as context:
        command = main.get_command(context, name)
    assert command is not None
    assert command.name == name
    assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["entry"],
        ["entry", "list", "--state", "lost"],
        ["entry", "list", "--reason", "bad_luck"],
        ["entry", "show"],
        ["submit"],
        ["submit", "no such file"],
        ["submit", "."],
        ["reconcile"],
        ["reconcile", "no such file"],
        ["intake", "show", "seven"],
        ["intake", "retry", "0"],
        ["folder", "add", "F", "D", "--open-from", "2026-02-30"],
        ["simulator", "--port", "65536"],
        ["submit-fec", "no such file", "--firm", "F", "--folder", "D"],
        ["firm", "add", "F", "--api-key", "K"],
        ["firm", "check"],
        ["firm", "rotate"],
        ["db", "restored"],
        ["db", "restored", "--since", "yesterday"],
        ["db", "restored", "--since", "2026-01-31T04:00:00"],
    ],
)
def test_wrong_usage_is_exit_code_2_and_nothing_on_standard_output(arguments: list[str]) -> None:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "Usage:" in done.stderr
