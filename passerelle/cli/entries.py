"""`passerelle entry`."""

import itertools
from collections.abc import Iterator
from typing import Any

import click
from sqlalchemy import Connection

from config.settings import read_table
from passerelle.cli import deployment
from passerelle.cli.broker import ring
from passerelle.cli.deployment import who
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
from passerelle.domain.remedies import with_remedy
from passerelle.domain.states import Reason, State
from passerelle.domain.verdict import Strategy, Verdict
from passerelle.runtime import Runtime
from passerelle.store import queries
from passerelle.store.queries import Row
from schemas.json_text import encode

_MOST_CANDIDATES = 20
_LARGEST_ID = 2**63 - 1


@click.group()
def entry() -> None:
    """Entries: where they are and what happened to them."""


@entry.command(name="list")
@click.option("--state", type=click.Choice(list(map(str, State))))
@click.option("--reason", type=click.Choice(list(map(str, Reason))))
@click.option("--firm", help="A firm's code.")
@click.option("--folder", help="A folder's code, of any firm.")
@json_option
def list_(*, as_json: bool, **wanted: str | None) -> None:
    """Entries, oldest first."""
    given = {name: value for name, value in wanted.items() if value is not None}
    with queries.reading(deployment.runtime().engine) as connection:
        columns: Columns = {
            "id": "id",
            "firm": "firm",
            "folder": "folder",
            "entry": "entry_id",
            "revision": "revision",
            "state": "state",
            "reason": "reason",
            "cuts": lambda row: len(row["cuts"]),
            "received": "received_at",
            "message": "message",
        }
        print_rows(queries.entries(connection, **given), columns, as_json=as_json)


@entry.command()
@click.argument("id_", metavar="ID")
@json_option
def show(id_: str, *, as_json: bool) -> None:
    """The whole life of one entry, by our ID or by the hub's.

    Every transition, what was cut, the exact lines sent to Loop and what Loop answered. Where its
    contents were erased, what is left says when.
    """
    with queries.reading(deployment.runtime().engine) as connection:
        life = _life(connection, _find(connection, id_))
    if as_json:
        print_json(life)
    else:
        _print_life(life)


@entry.command(name="settle")
@click.argument("id_", metavar="ID")
@click.option("--in-loop/--not-in-loop", default=None, required=True, help="What you found there.")
@why_option("How you know; kept with the entry.")
def settle(id_: str, *, in_loop: bool, why: str) -> None:
    """Say whether an entry is in Loop that nobody else can tell of.

    In Loop: it is synced. Not in Loop: it is sent again.
    """
    runtime = deployment.runtime()
    with queries.reading(runtime.engine) as connection:
        row = _find(connection, id_)
    folders = runtime.settling.settle(row["id"], in_loop=in_loop, who=who(), why=why)
    ring(runtime.settings, folders)
    click.echo("It is synced." if in_loop else "It is sent again.")


@entry.command()
@click.argument("id_", metavar="ID")
@click.option(
    "--without-attachment",
    is_flag=True,
    help="Send it without its document, where no link to it works any more.",
)
def retry(id_: str, *, without_attachment: bool) -> None:
    """Send a parked entry again, once its cause is mended."""
    runtime = deployment.runtime()
    with queries.reading(runtime.engine) as connection:
        row = _find(connection, id_)
    folder = runtime.remediation.retry(row["id"], who(), without_attachment=without_attachment)
    ring(runtime.settings, [folder])
    _say(runtime, row["id"])


@entry.command()
@click.argument("id_", metavar="ID")
@why_option("Kept with the entry.")
def discard(id_: str, *, why: str) -> None:
    """Drop a parked entry for good: it will not be in Loop."""
    runtime = deployment.runtime()
    with queries.reading(runtime.engine) as connection:
        row = _find(connection, id_)
    runtime.remediation.discard(row["id"], who(), why)
    _say(runtime, row["id"])


def _find(connection: Connection, id_: str) -> Row:
    """An entry by the hub's id or by ours, which `#` in front makes sure of.

    Raises: PasserelleError, where there is none, or several are meant.
    """
    number = id_.removeprefix("#")
    ours = None
    if number.isascii() and number.isdecimal() and int(number) <= _LARGEST_ID:
        ours = queries.entry(connection, int(number))
    if number != id_ and ours is not None:
        return ours
    candidates = list(queries.entries(connection, entry_id=id_))
    if ours is not None and not candidates:
        return ours
    if not candidates:
        raise PasserelleError(f"There is no entry {shown(id_)}.")
    if ours is not None and ours["entry_id"] != id_:
        candidates.append(ours)
    if len({(row["firm"], row["folder"], row["entry_id"]) for row in candidates}) > 1:
        told = "".join(f"\n  #{row['id']}  {_named(row)}" for row in candidates[:_MOST_CANDIDATES])
        raise PasserelleError(f"Several entries are {shown(id_)}; give our id with #:{told}")
    return max(candidates, key=lambda row: row["revision"])


def _named(row: Row) -> str:
    return shown(
        f"{row['firm']}, {row['folder']}, {row['entry_id']}, revision {row['revision']}, "
        f"{row['state']}"
    )


def _say(runtime: Runtime, id_: int) -> None:
    """Where an entry is after an act on it."""
    with queries.reading(runtime.engine) as connection:
        row = queries.entry(connection, id_)
    if row is not None:
        click.echo(f"#{id_}  {_named(row)}")


def _life(connection: Connection, row: Row) -> dict[str, Any]:
    same = queries.entries(
        connection, firm=row["firm"], folder=row["folder"], entry_id=row["entry_id"]
    )
    case = None if row["case_id"] is None else queries.case(connection, row["case_id"])
    return {
        **row,
        **queries.content(connection, row["id"]),
        "revisions": [{key: other[key] for key in ("id", "revision", "state")} for other in same],
        "transitions": list(queries.transitions(connection, row["id"])),
        "sent": list(queries.sendings(connection, row["id"])),
        "asked": list(queries.questions(connection, row["id"])),
        "told": list(queries.entry_outcomes(connection, row["id"])),
        "case": case and with_remedy(case, read_table("remedies")),
    }


def _print_life(life: dict[str, Any]) -> None:
    print_facts(
        {
            "entry": f"{life['entry_id']}, revision {life['revision']}",
            "id": life["id"],
            "firm, folder": f"{life['firm']}, {life['folder']}",
            "event": life["event_id"],
            "state": life["state"],
            **{key: life[key] for key in ("reason", "message") if life[key]},
            "received": life["received_at"],
            **({"in turn at": life["due_at"]} if life["state"] == State.WAITING else {}),
            **({"asked for at": life["due_at"]} if life["state"] == State.UNCERTAIN else {}),
            **({"synced": life["synced_at"]} if life["synced_at"] else {}),
            **({"read back at": life["read_again_at"]} if life["read_again_at"] else {}),
            **({"contents erased": life["erased_at"]} if life["erased_at"] else {}),
        }
    )
    parts = (_case, _revisions, _transitions, _cuts, _sent, _asked, _told)
    for line in itertools.chain.from_iterable(part(life) for part in parts):
        click.echo(line)


def _case(life: dict[str, Any]) -> Iterator[str]:
    if life["case"] is not None:
        yield f"\nCase {life['case']['id']}: what to do"
        yield f"  {life['case']['remedy']['en']}"


def _revisions(life: dict[str, Any]) -> Iterator[str]:
    others = [other for other in life["revisions"] if other["id"] != life["id"]]
    if others:
        yield "\nOther revisions"
    for other in others:
        yield f"  {other['revision']} is {other['state']}, id {other['id']}"


def _transitions(life: dict[str, Any]) -> Iterator[str]:
    yield "\nLife (UTC)"
    for step in life["transitions"]:
        told = [f"{shown(step['at'])}  {step['to_state']}"]
        if step["import_id"] is not None:
            told.append(f"import {step['import_id']}")
        told += [shown(step[key]) for key in ("reason", "message") if step[key]]
        yield f"  {', '.join(told)}"


def _cuts(life: dict[str, Any]) -> Iterator[str]:
    if life["cuts"]:
        yield "\nCut for Loop (lines counted from 0)"
    for cut in life["cuts"]:
        yield f"  line {cut['line']}, {cut['field']}: {shown(cut['from'])} -> {shown(cut['to'])}"


def _sent(life: dict[str, Any]) -> Iterator[str]:
    for sending in life["sent"]:
        when = f"at {shown(sending['sent_at'])} in import {sending['import_id']}"
        # What was lost with the database may have sent it, and may not.
        yield f"\nSupposed {when}" if sending["supposed"] else f"\nSent {when}"
        for name, key in (
            ("answer", "answer"),
            ("HTTP status", "http_status"),
            ("Loop's request id", "import_request_id"),
            ("Loop's status", "status"),
            ("Loop's words", "message"),
            ("ended at", "ended_at"),
            ("closed as", "closed_as"),
        ):
            if sending[key] is not None:
                yield f"  {name}: {shown(sending[key])}"
        yield "  lines: erased" if life["erased_at"] else "  lines, exactly:"
        for line in sending["lines"]:
            yield f"    {shown(encode(line).decode())}"


_VERDICTS = {
    Verdict.PRESENT: "all lines are there",
    Verdict.TWICE: "all lines are there more than once",
    Verdict.ABSENT: "no line is there; it may still come, so it is not sent again",
    Verdict.PARTIAL: "some lines are there and others are not",
    Verdict.DIFFERENT: "lines are there that were not sent so",
    Verdict.AMBIGUOUS: "lines like its own are there, which may be another entry's",
    Verdict.INCOMPLETE: "Loop may not have shown all, or showed what it was not asked for",
}
_STRATEGIES = {
    Strategy.ORIGIN: "by its origin",
    Strategy.PIECE: "by its journal, piece and date",
}


def _asked(life: dict[str, Any]) -> Iterator[str]:
    if life["asked"]:
        yield "\nAsked of Loop, whether it is there (UTC)"
    for question in life["asked"]:
        if question["verdict"] is None:
            heard = question["message"] or "no answer"
        else:
            # What was asked by an earlier version was asked by origin.
            how = _STRATEGIES[question["strategy"] or Strategy.ORIGIN]
            heard = f"{how}, {question['rows_found']} lines: {_VERDICTS[question['verdict']]}"
        yield f"  {shown(question['asked_at'])}  import {question['import_id']}, {shown(heard)}"


def _told(life: dict[str, Any]) -> Iterator[str]:
    told = [one for one in life["told"] if one["sequence"] is not None]
    if told:
        yield "\nTold to the hub (UTC)"
    for one in told:
        when = shown(one["told_at"]) if one["told_at"] else "not yet"
        yield f"  {when}  number {one['sequence']}, {one['state']}"
