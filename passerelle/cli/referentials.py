"""`passerelle referential`."""

import click

from passerelle.cli import deployment
from passerelle.cli.output import (
    Columns,
    Row,
    json_option,
    print_facts,
    print_json,
    print_json_parts,
    print_rows,
    shown,
)
from passerelle.domain.errors import PasserelleError
from passerelle.domain.referential import Kind
from passerelle.referentials import Refreshed
from passerelle.registration import unregistered
from passerelle.runtime import Runtime
from passerelle.store import prerequisites, queries
from passerelle.store.prerequisites import FolderState


@click.group()
def referential() -> None:
    """Reference data: chart of accounts, journals and third parties of a folder in Loop."""


@referential.command()
@click.argument("firm")
@click.argument("folder")
@click.option(
    "--accept-smaller",
    is_flag=True,
    help="Believe lists that have lost more than half since they were read before.",
)
@json_option
def refresh(firm: str, folder: str, *, accept_smaller: bool, as_json: bool) -> None:
    """Read the lists of FOLDER of FIRM anew, now.

    The exit code is 1 if one of them could not be read or is not believed.
    """
    runtime = deployment.runtime()
    state = folder_state(runtime, firm, folder)
    done = runtime.referentials.refresh(state.id, asked=True, accept=accept_smaller)
    if done is None:
        raise PasserelleError(why_not(folder_state(runtime, firm, folder)))
    if as_json:
        print_json(
            {"records": done.shown, "flags": done.flags, "changed": done.changed, "gone": done.gone}
        )
    else:
        _print(done)
    if done.flags:
        lists = ", ".join(f"{kind}: {message}" for kind, message in done.flags.items())
        raise PasserelleError(f"Not all is as Loop shows it. {lists}")


def _print(done: Refreshed) -> None:
    facts: dict[str, object] = {f"{kind}s": done.shown.get(kind, "not read") for kind in Kind}
    print_facts(facts | {"new or changed": done.changed, "gone": done.gone})


def folder_state(runtime: Runtime, firm: str, folder: str) -> FolderState:
    """Raises: RegistrationError, where no such folder is registered."""
    with runtime.engine.connect() as connection:
        state = prerequisites.folder_state(connection, firm, folder)
    if state is None:
        raise unregistered(firm, folder)
    return state


def why_not(state: FolderState) -> str:
    """Why a folder's lists cannot be read now, in a sentence."""
    if state.reason is not None:
        return f"It is on hold ({state.reason}): {state.said} See `passerelle remediation list`."
    if state.away is not None:
        return f"Loop is left alone for the moment: {state.away} Try again in a while."
    return "Somebody else reads the folder just now: try again in a while."


@referential.command()
@click.argument("firm")
@click.argument("folder")
@click.option("--kind", type=click.Choice(list(map(str, Kind))), help="Only this list.")
@click.option("--search", default="", help="Only with this in the code or the name.")
@click.option("--closed", is_flag=True, help="Only what is closed.")
@json_option
def show(
    firm: str, folder: str, kind: str | None, search: str, *, closed: bool, as_json: bool
) -> None:
    """What FOLDER of FIRM has in Loop, as it was last read."""
    runtime = deployment.runtime()
    state = folder_state(runtime, firm, folder)
    with queries.reading(runtime.engine) as connection:
        flags = prerequisites.flags(connection, state.id)
        found = queries.referential_records(connection, state.id, kind, search, closed=closed)
        if as_json:
            head = {"firm": firm, "folder": folder, "refreshed_at": state.refreshed_at}
            print_json_parts({**head, "flags": flags, "records": found})
            return
        columns: Columns = {
            "list": "kind",
            "code": "code",
            "name": "label",
            "state": _state,
            "since": lambda row: row["gone_at"] or row["closed_at"] or row["reopened_at"],
        }
        print_rows(found, columns, as_json=False)
    read = f"last read {shown(state.refreshed_at)}" if state.refreshed_at else "never read"
    told = [read, *(f"{kind}: {message}" for kind, message in flags.items())]
    click.echo("; ".join(told), err=True)


def _state(row: Row) -> str:
    if row["gone_at"] is not None:
        return "gone"
    return "open" if row["closed_at"] is None else "closed"
