"""`passerelle doctor`: what the deployment stands on is tried; what is wrong is named."""

import datetime as dt
from collections.abc import Iterator

import click
from sqlalchemy import Connection, text

from passerelle.cli import deployment, doctor_broker
from passerelle.cli.errors import sentence
from passerelle.cli.findings import any_grave, as_rows, print_findings
from passerelle.cli.output import Row, json_option, print_json, shown
from passerelle.domain.finding import Finding
from passerelle.domain.key_trial import sentence as sentence_of
from passerelle.domain.outcome import Sort
from passerelle.loop_api.client import Door
from passerelle.runtime import Runtime
from passerelle.store import queries
from passerelle.store.schema import revisions
from passerelle.store.vault import VaultError

_CLOCK_SECONDS = 60.0
"""Further apart, and what people read in logs and in the database contradicts itself."""


_KNOCK_SECONDS = 10.0


def examine(runtime: Runtime) -> Iterator[Finding]:
    """What is behind something that does not answer is left out."""
    try:
        yield from _database(runtime)
    except Exception as error:
        told = sentence(error)
        if told is None:
            raise
        yield Finding(
            "database",
            told,
            "See that PASSERELLE_DATABASE_URL is right (host, port, user, password, name), that it "
            "runs, and that it is no standby.",
        )
    yield from doctor_broker.examine(runtime.settings)
    yield from _loops_door(runtime.loop.knock(_KNOCK_SECONDS))


def _database(runtime: Runtime) -> Iterator[Finding]:
    engine = runtime.engine
    with engine.connect() as connection:
        now = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    yield Finding("database")
    apart = abs((dt.datetime.now(dt.UTC) - now).total_seconds())
    yield Finding(
        "clock",
        None if apart < _CLOCK_SECONDS else f"It is {apart:.0f} s away from the database's.",
        "Set this machine's clock by NTP. Times of entries are the database's and right.",
    )
    current, head = revisions(engine)
    if current != head:
        yield Finding(
            "schema",
            f"It is at revision {current or 'none'}, and this version needs {head}.",
            "Run `passerelle db upgrade`; if the database is the newer one, upgrade passerelle.",
        )
        return
    yield Finding("schema")
    with queries.reading(engine) as connection:
        yield from _loop(queries.status(connection))
        yield from _receivers(connection)
        yield from _keys(connection, runtime)


def _loop(status: queries.Row) -> Iterator[Finding]:
    yield Finding(
        "database is the one it was",
        "It went back in time; nothing is sent." if status["database_went_back"] else None,
        "Run `passerelle db restored --since T`; see docs/runbook.md.",
    )
    since, paused = status["loop_down_since"], status["firms_paused"]
    yield Finding(
        "Loop",
        None if since is None else f"Down since {shown(since)}: {status['loop_down_message']}",
        "Nothing; it is asked by a read every 11 s. If it is up for others, see the network.",
    )
    yield Finding(
        "firms",
        None if not paused else f"{paused} are left alone for a while.",
        "Nothing; `passerelle firm list` says until when and why.",
        grave=False,
    )
    on_hold = status["firms_on_hold"] + status["folders_on_hold"]
    yield Finding(
        "holds",
        None if not on_hold else f"{on_hold} firms or folders are on hold.",
        "`passerelle remediation list` says why and what cures it.",
        grave=False,
    )


def _keys(connection: Connection, runtime: Runtime) -> Iterator[Finding]:
    if runtime.settings.secret_keys is None:
        yield Finding(
            "secret keys",
            "PASSERELLE_SECRET_KEYS is not set here, so that nothing can be said of them.",
            "Run it with the settings of a worker.",
            grave=False,
        )
        return
    closed = []
    for firm in queries.firms(connection):
        try:
            _ = firm["api_key"] and runtime.vault.open(firm["api_key"])
        except VaultError:
            closed.append(firm["code"])
    yield Finding(
        "secret keys",
        f"The keys of {len(closed)} firms cannot be decrypted: {', '.join(closed[:_MOST])}."
        if closed
        else None,
        "PASSERELLE_SECRET_KEYS lacks the key that they were stored with: put it last.",
    )


_MOST = 10


def _receivers(connection: Connection) -> Iterator[Finding]:
    """Each for whom messages wait; a line where there is none."""
    found = list(queries.receivers(connection))
    for one in found[:_MOST]:
        name = f"{one['audience']} messages of firm {one['firm']}"
        yield Finding(name, *_receiver(one), grave=False)
    if len(found) > _MOST:
        more = f"Messages wait for {len(found) - _MOST} more."
        yield Finding("other receivers", more, "See the network between.", grave=False)
    if not found:
        yield Finding("receivers of messages")


def _receiver(one: Row) -> tuple[str, str]:
    """What is wrong, and what to do."""
    address = f"`passerelle firm set {one['firm']} --{one['audience']}-url`"
    if not one["listens"]:
        return f"{one['waiting']} wait, and the address was taken away.", f"Give one: {address}."
    if one["down_since"] is None:
        wrong = f"Their receiver takes others and not {one['aside']} of them."
        remedy = (
            "`passerelle outcome list` shows which, by their tries. They are tried ever more "
            f"seldom; {address} with the same address has them tried at once."
        )
    else:
        wrong = (
            f"Their receiver has taken nothing since {shown(one['down_since'])}, and "
            f"{one['waiting']} wait: {one['message']}"
        )
        remedy = (
            f"Nothing is lost; it is tried again at {shown(one['due_at'])} (UTC), and what waits "
            f"goes in order. See to the receiver; {address} with the same or another address has "
            "it tried at once."
        )
    return wrong, remedy


def _loops_door(door: Door) -> Iterator[Finding]:
    see = "See PASSERELLE_LOOP_URL, the network, the proxy and the certificate between."
    if door.asks_for_keys or door.answer.sort is Sort.PAUSE:
        yield Finding("Loop's address")
    elif door.answer.sort in {Sort.PERSON, Sort.ACCEPTED}:
        # It may be Loop in words that are not known; a firm's keys show it.
        strange = (
            f"Who is there does not ask for keys as Loop does (HTTP {door.answer.http_status})."
        )
        tried = f"{see} `passerelle firm check` tries keys."
        yield Finding("Loop's address", strange, tried, grave=False)
    else:
        yield Finding("Loop's address", sentence_of(door.answer), see)
    if door.date is None or not door.asks_for_keys:
        return
    apart = (dt.datetime.now(dt.UTC) - door.date).total_seconds()
    yield Finding(
        "clock and Loop's",
        None if abs(apart) < _CLOCK_SECONDS else f"They are {abs(apart):.0f} s apart.",
        "Set this machine's clock by NTP; if it is right, tell Cegid.",
        grave=False,
    )


@click.command()
@json_option
@click.pass_context
def doctor(context: click.Context, *, as_json: bool) -> None:
    """Try broker, database, schema, clock, workers, beat and Loop; say what is wrong.

    The exit code is 1 if anything is that concerns more than some firms.
    """
    findings = []
    for finding in examine(deployment.runtime()):
        findings.append(finding)
        if not as_json:
            print_findings([finding])
    if as_json:
        print_json(as_rows(findings))
    if any_grave(findings):
        context.exit(1)
