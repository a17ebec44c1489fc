"""`passerelle intake`: events that were refused at the door."""

import json
from typing import Any

import click
from sqlalchemy import Connection

from passerelle.cli import deployment
from passerelle.cli.broker import ring
from passerelle.cli.output import Columns, json_option, print_facts, print_json, print_rows, shown
from passerelle.domain.errors import PasserelleError
from passerelle.store import arrivals, queries
from passerelle.store.queries import Row

_SHOWN = 2_000
"""Characters of a body on a terminal; it may have millions."""

_REFUSED = click.argument("id_", metavar="ID", type=click.IntRange(1, 2**63 - 1))


@click.group()
def intake() -> None:
    """Events that were refused at the door, kept whole, with the reasons."""


@intake.command(name="list")
@json_option
def list_(*, as_json: bool) -> None:
    """Refused events that were not taken in since, oldest first."""
    with queries.reading(deployment.runtime().engine) as connection:
        columns: Columns = {
            "id": "id",
            "event": "event_id",
            "received": "received_at",
            "deliveries": "deliveries",
            "errors": lambda row: "; ".join(map(_told, row["errors"])),
        }
        print_rows(queries.refused_events(connection), columns, as_json=as_json)


def _told(error: dict[str, str]) -> str:
    return f"{error['path']}: {error['message']}" if error["path"] else error["message"]


@intake.command()
@_REFUSED
@json_option
def show(id_: int, *, as_json: bool) -> None:
    r"""A refused event with all its errors and its body.

    Bytes of the body that are not UTF-8 text are shown as \xNN.
    """
    with queries.reading(deployment.runtime().engine) as connection:
        row = dict(_find(connection, id_))
    del row["content_hash"]
    row["body"] = bytes(row["body"]).decode(errors="backslashreplace")
    if as_json:
        print_json(row)
        return
    body, errors = row.pop("body"), row.pop("errors")
    print_facts({name.replace("_", " "): value for name, value in row.items()})
    click.echo("\nErrors")
    for error in errors:
        click.echo(f"  {shown(_told(error))}")
    click.echo(f"\nBody ({len(body)} characters)")
    click.echo(f"  {shown(body[:_SHOWN])}")
    if len(body) > _SHOWN:
        click.echo("  … `--json` gives the whole.")


@intake.command()
@_REFUSED
def retry(id_: int) -> None:
    """Take a refused event in again: what it clashed with may be gone, or passerelle be newer."""
    runtime = deployment.runtime()
    with queries.reading(runtime.engine) as connection:
        row = _find(connection, id_)
    taken = runtime.intake.take_in([_event(row)])
    if taken.refused:
        with queries.reading(runtime.engine) as connection:
            told = "; ".join(map(_told, _find(connection, id_)["errors"]))
        raise PasserelleError(f"Refused event {id_} is refused again: {told}")
    with runtime.engine.begin() as connection:
        arrivals.mark_taken_in(connection, [row["content_hash"]])
    click.echo(f"Refused event {id_} is taken in.")
    ring(runtime.settings, taken.folders)


def _find(connection: Connection, refused: int) -> Row:
    row = queries.refused_event(connection, refused)
    if row is None:
        raise PasserelleError(f"There is no refused event {refused}.")
    return row


def _event(row: Row) -> Any:
    """Raises: PasserelleError, where the body is no event, but something else that came."""
    try:
        event = json.loads(row["body"])
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise PasserelleError(
            f"The body of refused event {row['id']} is not one event: have it sent anew."
        )
    return event
