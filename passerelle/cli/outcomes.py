"""`passerelle outcome`: what is told to the hub and to people."""

import datetime as dt

import click

from passerelle.cli import deployment
from passerelle.cli.options import time_option
from passerelle.cli.output import Columns, json_option, print_rows
from passerelle.store import queries


@click.group()
def outcome() -> None:
    """What is told to the hub and to people: outcomes of entries, states of folders, cases."""


@outcome.command(name="list")
@click.option("--firm", help="Only this firm's.")
@json_option
def list_(firm: str | None, *, as_json: bool) -> None:
    """What was or will be told, oldest first: each outcome with its number, each other message.

    Without a time in "told" it has not been told yet: see "tries", and `passerelle doctor`. What
    has no number either has gathered for the next message, or nobody has asked to be told.
    """
    columns: Columns = {
        "at": "at",
        "firm": "firm",
        "type": "type",
        "sequence": "sequence",
        "folder": "folder",
        "entry": "entry_id",
        "revision": "revision",
        "state": "state",
        "reason": "reason",
        "case": "case_id",
        "told": "told_at",
        "tries": "failures",
        "message": "message",
    }
    with queries.reading(deployment.runtime().engine) as connection:
        print_rows(queries.told(connection, firm), columns, as_json=as_json)


@outcome.command()
@time_option("--since", "Since when.")
@click.option("--firm", help="Only this firm's hub.")
def replay(since: dt.datetime, firm: str | None) -> None:
    """Tell the hub again what it was told since T, under the same numbers and names.

    What nobody had asked to be told is told for the first time, under new numbers.
    """
    done = deployment.runtime().subscribing.replay(since, firm)
    click.echo(
        f"Messages that are sent again: {done.messages}. Outcomes that are told for the first "
        f"time: {done.outcomes}."
    )
    if done.erased:
        click.echo("Of entries whose contents are erased neither messages nor cuts are told again.")
