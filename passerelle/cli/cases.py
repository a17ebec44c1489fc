"""`passerelle remediation`."""

from collections.abc import Iterator
from typing import Any

import click

from config.settings import read_table
from passerelle.cli import deployment
from passerelle.cli.broker import ring
from passerelle.cli.options import why_option
from passerelle.cli.output import (
    Columns,
    json_option,
    print_facts,
    print_json,
    print_rows,
    shown,
)
from passerelle.domain.errors import PasserelleError
from passerelle.domain.remedies import Remedy, facts_of, remedies, with_remedy
from passerelle.healing import Progress
from passerelle.store import queries

_MOST_SHOWN = 20


@click.group()
def remediation() -> None:
    """Cases: what a person must act on."""


@remediation.command(name="list")
@json_option
def list_(*, as_json: bool) -> None:
    """All cases, open and closed."""
    catalogue = read_table("remedies")
    with queries.reading(deployment.runtime().engine) as connection:
        rows = (with_remedy(case, catalogue) for case in queries.cases(connection))
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


@remediation.command()
@click.argument("case", type=int)
@json_option
def show(case: int, *, as_json: bool) -> None:
    """What CASE is about, what to do, who did what, and which entries wait on it."""
    catalogue = read_table("remedies")
    with queries.reading(deployment.runtime().engine) as connection:
        found = queries.case(connection, case)
        if found is None:
            raise PasserelleError(f"There is no case {case}.")
        document = {
            **with_remedy(found, catalogue),
            "acts": list(queries.case_acts(connection, case)),
            "entries": list(queries.held_entries(connection, case)),
        }
    if as_json:
        print_json(document)
        return
    print_facts({name: document[name] for name in _FACTS})
    for part in (_steps(remedies(catalogue, facts_of(found))), _acts(document), _entries(document)):
        for line in part:
            click.echo(line)


_FACTS = ("id", "state", "scope", "firm", "folder", "reason", "message", "held", "opened_at",
          "closed_at", "last_probe_at", "probe_at", "probe_entry")  # fmt: skip
_HEADINGS = {"en": "What to do", "fr": "Que faire"}


def _steps(found: dict[str, Remedy]) -> Iterator[str]:
    for language, remedy in found.items():
        yield f"\n{_HEADINGS[language]}"
        yield f"  {remedy.title}"
        yield from (f"  {number}. {step}" for number, step in enumerate(remedy.steps, 1))


def _acts(document: dict[str, Any]) -> Iterator[str]:
    if document["acts"]:
        yield "\nWho did what"
    for act in document["acts"]:
        why = f": {act['why']}" if act["why"] else ""
        yield shown(f"  {shown(act['at'])}  {act['act']} by {act['who']}{why}")


def _entries(document: dict[str, Any]) -> Iterator[str]:
    entries = document["entries"]
    if entries:
        yield "\nEntries that wait"
    for entry in entries[:_MOST_SHOWN]:
        yield shown(f"  {entry['id']}  {entry['entry_id']}, revision {entry['revision']}")
    if len(entries) > _MOST_SHOWN:
        yield f"  and {len(entries) - _MOST_SHOWN} more: --json has all"


@remediation.command()
@click.argument("case", type=int)
@click.pass_context
def probe(context: click.Context, case: int) -> None:
    """Ask Loop at once whether the cause of CASE is over; then what waits is sent by itself.

    Loop is read first. If it does not refuse, one entry is sent to see. The exit code is 1 if the
    cause is not over.
    """
    runtime = deployment.runtime()
    seen = runtime.healing.probe_for(case, deployment.who())
    match seen.progress:
        case Progress.SENT:
            click.echo(
                f"Entry #{seen.entry} is sent to see, and is {seen.state}. Once it is in Loop, "
                f"case {case} heals by itself."
            )
        case Progress.HEALED:
            click.echo(f"Case {case} is healed. {seen.message}")
        case Progress.REFUSED:
            click.echo(f"Loop still refuses: {seen.message}", err=True)
        case Progress.NOT_NOW:
            click.echo(f"Loop did not say: {seen.message}", err=True)
    ring(runtime.settings, seen.folders)
    if seen.progress in {Progress.REFUSED, Progress.NOT_NOW}:
        context.exit(1)


@remediation.command()
@click.argument("case", type=int)
@click.option("--why", help="Kept with the case.")
def release(case: int, why: str | None) -> None:
    """Close CASE and send what waits on it again, once its cause is mended.

    What may be in Loop already stays; it is named.
    """
    runtime = deployment.runtime()
    done = runtime.remediation.release(case, deployment.who(), why)
    click.echo(f"Case {case} is released: {done.entries} entries are sent again.")
    if done.left:
        ids = ", ".join(map(str, done.left))
        click.echo(f"These stay, because they may be in Loop: {ids}.", err=True)
    ring(runtime.settings, done.folders)


@remediation.command()
@click.argument("case", type=int)
@why_option("Kept with the case.")
def dismiss(case: int, why: str) -> None:
    """Close CASE, on which no entry waits."""
    deployment.runtime().remediation.dismiss(case, deployment.who(), why)
    click.echo(f"Case {case} is dismissed.")
