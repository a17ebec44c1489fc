"""`passerelle remediation`."""

import click

from config.settings import read_table
from passerelle.cli import deployment
from passerelle.cli.output import Columns, json_option, print_rows
from passerelle.store import queries
from passerelle.store.queries import Row


@click.group()
def remediation() -> None:
    """Cases: what a person must act on."""


@remediation.command(name="list")
@json_option
def list_(*, as_json: bool) -> None:
    """All cases, open and closed."""
    remedies = read_table("remedies")
    with queries.reading(deployment.runtime().engine) as connection:
        rows = (with_remedy(case, remedies) for case in queries.cases(connection))
        columns: Columns = {
            "case": "id",
            "state": "state",
            "firm": "firm",
            "folder": "folder",
            "reason": "reason",
            "held": "held",
            "opened": "opened_at",
            "message": "message",
            "what to do": lambda row: row["remedy"]["en"],
        }
        print_rows(rows, columns, as_json=as_json)


def with_remedy(case: Row, remedies: Row) -> Row:
    """A case with what to do about it, in English and in French."""
    return {**case, "remedy": remedies[case["reason"]]}
