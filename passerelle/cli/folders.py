"""`passerelle folder`."""

import datetime as dt
from collections.abc import Iterator

import click

from passerelle.auxiliaries import Given
from passerelle.cli import deployment
from passerelle.cli.broker import ring
from passerelle.cli.findings import any_grave, as_rows, print_findings
from passerelle.cli.output import Columns, Row, json_option, print_json, print_rows, shown
from passerelle.cli.referentials import folder_state, why_not
from passerelle.domain.errors import PasserelleError, RegistrationError
from passerelle.registration import FolderTerms
from passerelle.store import queries
from passerelle.store.cuts import cuts as cuts_of

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


@folder.command(name="set")
@click.argument("firm")
@click.argument("code")
@click.option("--name", help="For people.")
@click.option("--open-from", type=_DAY, help="First day of the open period.")
@click.option("--open-to", type=_DAY, help="Last day of the open period.")
@click.option(
    "--create-accounts/--no-create-accounts",
    default=None,
    help="Whether Loop creates accounts that the folder lacks.",
)
def set_(
    firm: str,
    code: str,
    name: str | None,
    open_from: dt.datetime | None,
    open_to: dt.datetime | None,
    *,
    create_accounts: bool | None,
) -> None:
    """Change what is known of folder CODE of FIRM; what is not given stays."""
    terms = FolderTerms(
        name, open_from and open_from.date(), open_to and open_to.date(), create_accounts
    )
    if terms == FolderTerms():
        raise click.UsageError("Nothing to change is given.")
    runtime = deployment.runtime()
    folders = runtime.registration.set_folder(firm, code, terms)
    click.echo(f"Folder {code} of {firm} is changed.")
    ring(runtime.settings, folders)


@folder.command()
@click.argument("firm")
@json_option
def discover(firm: str, *, as_json: bool) -> None:
    """Register every folder that FIRM's key reaches, where PASSERELLE_DISCOVER_ROUTE lists them.

    The exit code is 1 if one of them cannot be registered.
    """
    runtime = deployment.runtime()
    found = runtime.discovery.folders(firm)
    with queries.reading(runtime.engine) as connection:
        known = {row["code"] for row in queries.folders(connection, firm) if row["registered_at"]}
    rows = []
    for one in found:
        new, refused = one.code not in known, None
        if new:
            try:
                runtime.registration.add_folder(firm, one.code, FolderTerms(one.label or None))
            except RegistrationError as error:
                new, refused = False, str(error)
        rows.append(
            {"firm": firm, "code": one.code, "name": one.label, "new": new, "refused": refused}
        )
    columns = {"code": "code", "name": "name", "new": "new", "refused": "refused"}
    print_rows(rows, columns, as_json=as_json)
    count = sum(row["refused"] is not None for row in rows)
    if count:
        raise PasserelleError(f"{count} of {len(found)} folders could not be registered.")


@folder.command()
@click.argument("firm")
@click.argument("code")
@json_option
@click.pass_context
def check(context: click.Context, firm: str, code: str, *, as_json: bool) -> None:
    """Whether Loop has what the entries of folder CODE of FIRM need; its lists are read for it.

    The exit code is 1 if entries would be refused.
    """
    runtime = deployment.runtime()
    done = runtime.referentials.refresh(folder_state(runtime, firm, code).id, asked=True)
    # Reading may have put it on hold.
    state = folder_state(runtime, firm, code)
    unasked = why_not(state) if done is None else done.stopped
    today = dt.datetime.now(dt.UTC).date()
    findings = runtime.prerequisites.examine(state, today, unasked)
    grave = any_grave(findings)
    if as_json:
        rows = as_rows(findings)
        print_json({"firm": firm, "folder": code, "ok": not grave, "findings": rows})
    else:
        print_findings(findings)
    if grave:
        context.exit(1)


@folder.command(name="map-auxiliary")
@click.argument("firm")
@click.argument("code")
@click.argument("full")
@click.argument("loopcode")
def map_auxiliary(firm: str, code: str, full: str, loopcode: str) -> None:
    """Send auxiliary code FULL of folder CODE of FIRM to Loop as LOOPCODE.

    What waited because another code begins with the same characters is sent.
    """
    runtime = deployment.runtime()
    folder_id = folder_state(runtime, firm, code).id
    given = runtime.auxiliaries.give(folder_id, full, loopcode, deployment.who())
    for line in _told(given):
        click.echo(shown(line))
    ring(runtime.settings, given.freed.folders)


def _told(given: Given) -> Iterator[str]:
    already = " already" if given.before == given.loop_code else ""
    yield f"{given.code} goes to Loop as {given.loop_code}{already}."
    if given.case_id is not None:
        yield f"Case {given.case_id} is healed: {given.freed.entries} entries go on."
    elif given.before is None:
        yield "No entry of the folder has used it yet: it holds from the first on."
    if given.sent.count:
        yield (
            f"{given.sent.count} entries were sent as {given.before}: merge the two third parties "
            "in Loop."
        )
    if given.sent.erased:
        yield (
            f"Whether entries whose contents are erased were sent as {given.before} is not known: "
            "see in Loop."
        )


@folder.command()
@click.argument("firm")
@click.argument("code")
@json_option
def cuts(firm: str, code: str, *, as_json: bool) -> None:
    """What was cut for Loop of the last year's entries of folder CODE of FIRM, the most first.

    By third party, and of lines that have none by journal.
    """
    runtime = deployment.runtime()
    folder_id = folder_state(runtime, firm, code).id
    columns: Columns = {
        "of": _whose,
        "name": "label",
        "cut to": "short",
        "lines": "lines",
        "cut": "cut",
        "share": lambda row: f"{row['share']:.0%}",
        "longest": "longest",
        "from": "from",
        "to": "to",
    }
    with queries.reading(runtime.engine) as connection:
        print_rows(cuts_of(connection, folder_id), columns, as_json=as_json)


def _whose(row: Row) -> str:
    return f"journal {row['journal']}" if row["auxiliary"] is None else str(row["auxiliary"])


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
            "lists read": "refreshed_at",
            "flags": "flags",
            # By which tasks, logs and Flower name it.
            "number": "id",
        }
        print_rows(queries.folders(connection, firm), columns, as_json=as_json)
