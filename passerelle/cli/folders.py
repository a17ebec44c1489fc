"""`passerelle folder`."""

import datetime as dt

import click

from passerelle.cli import deployment
from passerelle.cli.output import json_option, print_rows
from passerelle.registration import FolderTerms
from passerelle.store import queries

_DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def folder() -> None:
    """Folders of the firms."""


@folder.command()
@click.argument("firm")
@click.argument("code")
@click.option("--name", help="For people.")
@click.option("--open-from", type=_DAY, help="First day of the open period.")
@click.option("--open-to", type=_DAY, help="Last day of the open period.")
def add(
    firm: str,
    code: str,
    name: str | None,
    open_from: dt.datetime | None,
    open_to: dt.datetime | None,
) -> None:
    """Register folder CODE of FIRM."""
    terms = FolderTerms(name, open_from and open_from.date(), open_to and open_to.date())
    deployment.runtime().registration.add_folder(firm, code, terms)
    click.echo(f"Folder {code} of {firm} is registered.")


@folder.command(name="list")
@click.option("--firm", help="Only this firm's.")
@json_option
def list_(firm: str | None, *, as_json: bool) -> None:
    """Folders, by firm and code."""
    with queries.reading(deployment.runtime().engine) as connection:
        columns = {
            "firm": "firm",
            "code": "code",
            "name": "name",
            "open from": "open_from",
            "open to": "open_to",
            "creates accounts": "create_accounts",
            "registered": "registered_at",
            "case": "case_id",
        }
        print_rows(queries.folders(connection, firm), columns, as_json=as_json)
