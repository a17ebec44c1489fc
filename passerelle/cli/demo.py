"""`passerelle demo`: the main job from end to end on sample data, with real servers underneath."""

import io
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import requests
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sqlalchemy import text

from config.settings import PREFIX, Settings, read_table
from passerelle.cli.sample import sample_events, spoiled_events
from passerelle.cli.tree import PORT_BASE, Ports
from passerelle.cli.up import DEMO_FIRM, DEMO_FOLDER, Plan, register_demonstration, serve
from passerelle.domain.errors import PasserelleError
from passerelle.domain.remedies import facts_of, remedy
from passerelle.embedded.port import free_base
from passerelle.fec.entries import Choices
from passerelle.fec.examination import events
from passerelle.fec.reader import open_fec
from passerelle.fec.sample import Dialect, fec_file, sample_entries
from passerelle.runtime import Runtime
from passerelle.store import queries
from tasks.bells import ring_for_folders
from tasks.names import INTAKE, SUBMIT, SUBMIT_MANY
from workers.app import make_app

FOLDERS = (DEMO_FOLDER, "DEMO000002", "DEMO000003")
FEC_FOLDER = "DEMO000005"
LATE_FIRM, LATE_FOLDER = "CABINET43", "DEMO000004"
REFUSED_FOLDER = "DEMO000006"
ENTRIES = 200
FEC_ENTRIES = 150
LATE_ENTRIES = 50
REFUSED_ENTRIES = 100
_ALL_FOLDERS = (*FOLDERS, FEC_FOLDER, LATE_FOLDER, REFUSED_FOLDER)
# As an older package writes it.
_DIALECT = Dialect(separator="|", encoding="cp1252", line_end="\r\n", trailing_in_lines=True)
_MESSAGE = 100
_WAIT_SECONDS = 120.0
_LOOK_SECONDS = 0.3


class DemoError(PasserelleError):
    """The demonstration did not end as it should."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the database and the simulator's ledger say, side by side."""

    synced: int
    booked: int
    booked_twice: int
    sent_total: Decimal
    booked_total: Decimal
    cut: int
    refused: int
    opened: int
    healed: int

    @property
    def agree(self) -> bool:
        return (
            self.synced == self.booked
            and self.booked_twice == 0
            and self.sent_total == self.booked_total
            and self.opened == self.healed
        )


class Demonstration:
    """What a hub, an administrator and an accountant would do; `say` tells it."""

    def __init__(self, settings: Settings, say: Callable[[str], None], progress: Progress) -> None:
        self._runtime = Runtime(settings)
        self._app = make_app(settings)
        self._loop = settings.loop_url.removesuffix("/loop-api-publiques")
        self._say = say
        self._progress = progress

    def run(self) -> Figures:
        """Raises: DemoError, where something did not come in time."""
        folders = (*FOLDERS, FEC_FOLDER, REFUSED_FOLDER)
        register_demonstration(self._runtime.settings, DEMO_FIRM, *folders)
        self._control("PATCH", f"folders/{REFUSED_FOLDER}", {"access": "refused_at_post"})
        spoiled = spoiled_events(DEMO_FIRM, DEMO_FOLDER)
        sent = ENTRIES * len(FOLDERS)
        self._say(f"The hub sends {sent} validated entries of firm {DEMO_FIRM} through Celery,")
        self._say(f"{len(spoiled)} events that are wrong, and {LATE_ENTRIES} of a firm not known;")
        self._say(f"an FEC of a tool that is not connected brings {FEC_ENTRIES} more;")
        self._say(f"{REFUSED_ENTRIES} are for a folder that Loop does not let the connector into.")
        total = sent + FEC_ENTRIES
        for folder in FOLDERS:
            self._submit(sample_events(DEMO_FIRM, folder, ENTRIES))
        for event in spoiled:
            self._app.send_task(SUBMIT, args=[event], queue=INTAKE)
        self._submit(sample_events(LATE_FIRM, LATE_FOLDER, LATE_ENTRIES))
        self._submit(sample_events(DEMO_FIRM, REFUSED_FOLDER, REFUSED_ENTRIES))
        self._submit_fec()
        self._until("synced", total)
        self._until("parked", LATE_ENTRIES + REFUSED_ENTRIES)
        self._say(f"The entries of {LATE_FIRM} wait under one case: unknown_firm. Adding the firm:")
        register_demonstration(self._runtime.settings, LATE_FIRM)
        self._until("synced", total + LATE_ENTRIES)
        self._heal()
        self._until("synced", total + LATE_ENTRIES + REFUSED_ENTRIES)
        figures = self._figures()
        self._app.close()
        self._runtime.close()
        return figures

    def _submit(self, events: Iterable[Any]) -> None:
        rest = iter(events)
        while message := list(itertools.islice(rest, _MESSAGE)):
            self._app.send_task(SUBMIT_MANY, args=[message], queue=INTAKE)

    def _submit_fec(self) -> None:
        content = fec_file(sample_entries(seed=1, count=FEC_ENTRIES), _DIALECT)
        with open_fec(io.BytesIO(content), lambda _: None) as fec:
            self._submit(events(fec, DEMO_FIRM, FEC_FOLDER, Choices()))

    def _heal(self) -> None:
        """The connector is activated on the folder, and Loop asked at once."""
        with self._runtime.engine.connect() as connection:
            [case] = [one for one in queries.cases(connection) if one["state"] == "open"]
        title = remedy(read_table("remedies"), "en", facts_of(case)).title
        self._say(f"{case['held']} entries wait under one case, {case['reason']}. {title}")
        self._say("Access is given, and Loop asked (by itself it would be within a minute):")
        self._control("PATCH", f"folders/{REFUSED_FOLDER}", {"access": "granted"})
        seen = self._runtime.healing.probe_for(case["id"], "the demonstration")
        ring_for_folders(self._app, seen.folders)

    def _until(self, state: str, wanted: int) -> None:
        bar = self._progress.add_task(state, total=wanted)
        deadline = time.monotonic() + _WAIT_SECONDS
        while (found := self._count(f"entries WHERE state = '{state}'")) < wanted:
            self._progress.update(bar, completed=found)
            if time.monotonic() > deadline:
                raise DemoError(
                    f"After {_WAIT_SECONDS:g} s {found} of {wanted} entries are {state}; "
                    "the logs of the data folder tell why."
                )
            # The workers tell nobody but the database.
            time.sleep(_LOOK_SECONDS)
        self._progress.update(bar, completed=wanted)

    def _count(self, rows: str) -> int:
        with self._runtime.engine.connect() as connection:
            statement = text(f"SELECT count(*) FROM {rows}")  # noqa: S608 literals of this module
            return int(connection.execute(statement).scalar_one())

    def _figures(self) -> Figures:
        booked = [entry for folder in _ALL_FOLDERS for entry in self._ledger(folder)]
        origins = [entry["origin"] for entry in booked]
        with self._runtime.engine.connect() as connection:
            sent = connection.execute(
                text(
                    "SELECT sum((line->>'debit')::numeric) FROM entries, "
                    "jsonb_array_elements(entry->'lines') line WHERE state = 'synced'"
                )
            ).scalar_one()
        return Figures(
            synced=self._count("entries WHERE state = 'synced'"),
            booked=len(booked),
            booked_twice=len(origins) - len(set(origins)),
            sent_total=sent,
            booked_total=sum(
                (
                    Decimal(str(line["debit"]["amount"]))
                    for entry in booked
                    for line in entry["lines"]
                ),
                Decimal(),
            ),
            cut=self._count("entries WHERE cuts <> '[]'"),
            refused=self._count("refused_events"),
            opened=self._count("cases"),
            healed=self._count("cases WHERE state = 'healed'"),
        )

    def _ledger(self, folder: str) -> list[dict[str, Any]]:
        found = self._control("GET", f"ledger?folder={folder}&limit={10 * ENTRIES}")
        entries: list[dict[str, Any]] = found["entries"]
        return entries

    def _control(self, method: str, path: str, body: object = None) -> Any:
        """What the simulator's own door answers."""
        url = f"{self._loop}/_simulator/{path}"
        answer = requests.request(method, url, json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()


def _table(figures: Figures) -> Table:
    table = Table("", "in the database", "in Loop's books", title="What became of it")
    rows = (
        ("synced entries", str(figures.synced), str(figures.booked)),
        ("debit in EUR", str(figures.sent_total), str(figures.booked_total)),
        ("booked twice", "", str(figures.booked_twice)),
        ("entries with a cut", str(figures.cut), ""),
        ("refused events", str(figures.refused), ""),
        ("remediation cases opened", str(figures.opened), ""),
        ("remediation cases healed", str(figures.healed), ""),
    )
    for row in rows:
        table.add_row(*row)
    return table


@click.command()
def demo() -> None:
    """Show the main job from end to end on sample data."""
    console = Console()
    outcome: list[Figures | BaseException] = []
    started = time.monotonic()

    def show(settings: Settings) -> None:
        console.print(f"All servers and workers run after {time.monotonic() - started:.0f} s.")
        try:
            with Progress(console=console, transient=True) as progress:
                outcome.append(Demonstration(settings, console.print, progress).run())
        # Carried over to the main thread, which ends the tree first.
        except BaseException as error:  # noqa: BLE001 idem
            outcome.append(error)

    console.print("Starting a broker, a database, workers, beat, Flower and a stand-in for Loop …")
    with tempfile.TemporaryDirectory(prefix="passerelle-demo-") as folder:
        # The reader's own servers and Loop are none of the demonstration's business.
        bare = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        plan = Plan(bare, Path(folder), Ports(free_base(PORT_BASE, 4)), simulator=True)
        serve(plan, lambda name, line: console.print(f"{name}: {line}"), show, until_done=True)
    if not outcome:
        raise DemoError("The demonstration was stopped.")
    if not isinstance(outcome[0], Figures):
        raise outcome[0]
    console.print(_table(outcome[0]))
    if not outcome[0].agree:
        raise DemoError("The database and Loop's books disagree.")
    console.print(f"Every entry is in Loop once ({time.monotonic() - started:.0f} s).")
