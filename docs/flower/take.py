"""Takes the pictures of docs/flower.md anew: of `passerelle up --simulator` at work.

Run in the repository, where Debian's chromium and ImageMagick are installed:

    PYTHONPATH=$PWD:$PWD/tests .venv/bin/python docs/flower/take.py

Everything runs on loopback and in a temporary folder. A page that shows a text, an amount or a key
of ours ends it.
"""  # noqa: INP001 it is run, never imported

import contextlib
import html
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psutil
import psycopg
import requests

from config.settings import PREFIX, Settings, read_settings
from passerelle.cli.sample import sample_events, spoiled_events
from passerelle.cli.tree import PORT_BASE, Ports
from passerelle.cli.up import DEMO_FIRM, register_demonstration
from passerelle.embedded.port import LOOPBACK, free_base
from support.servers import Servers
from support.simulator import SimulatorHandle, until
from tasks.names import DELIVER, DELIVERY, INTAKE, KEEP, QUEUES, REMEDIATION, SUBMIT_MANY
from workers.app import make_app

# A folder for each scenario: what one leaves behind is not seen in the next.
FOLDERS = WORKING, REFUSED, AWAY, DOWN, WAITING = [f"DEMO00000{number}" for number in range(1, 6)]
ENTRIES = 40
SECONDS = 120.0
# How much is shown of pages that end with a traceback, which tells where the program lies.
ABOVE_TRACEBACK = {"failed": 882, "retried": 1041}
PASSERELLE = (sys.executable, "-m", "passerelle.cli.main")


@dataclass(frozen=True, slots=True)
class Stage:
    """A running `passerelle up`, and what a hub, an operator and an accident do to it."""

    settings: Settings
    environ: dict[str, str]
    loop: SimulatorHandle
    flower: str
    scratch: Path
    secrets: frozenset[str]

    def submit(self, folder: str, *more: object) -> None:
        """All events of the folder, and more, in one message."""
        events = [*sample_events(DEMO_FIRM, folder, ENTRIES), *more]
        lines = "".join(f"{json.dumps(event)}\n" for event in events)
        _run(*PASSERELLE, "submit", "-", env=self.environ, input=lines)

    def ask(self, statement: str) -> object:
        """What a statement gives first. A connection of its own: the database may be away later."""
        with psycopg.connect(str(self.settings.database_url), autocommit=True) as connection:
            [found, *_] = connection.execute(statement.encode()).fetchone() or [None]
        return found

    def until_all(self, folder: str, state: str) -> None:
        entries = "entries e JOIN folders f ON f.id = e.folder_id"
        states = f"SELECT array_agg(DISTINCT e.state) FROM {entries} WHERE f.code = '{folder}'"  # noqa: S608 names of this module
        until(lambda: self.ask(states), lambda found: found == [state], SECONDS, 0.2)

    def worker(self, queue: str) -> list[psutil.Process]:
        """The processes of a queue's worker, the main one first."""
        children = psutil.Process(self.loop.process.pid).children()
        main = next(one for one in children if f"--queues {queue} " in " ".join(one.cmdline()))
        return [main, *main.children()]

    def get(self, page: str) -> requests.Response:
        return requests.get(f"{self.flower}/{page}", timeout=30)

    def page_of(self, search: str) -> str:
        """The page of the newest task that Flower finds, once there is one."""
        asked = f"draw=1&start=0&length=1&search[value]={quote(search)}"
        order = "order[0][column]=0&order[0][dir]=desc&columns[0][data]=received"
        found = until(lambda: self.get(f"tasks/datatable?{asked}&{order}").json()["data"], bool)
        return f"task/{found[0]['uuid']}"

    def picture(self, name: str, page: str, wanted: str) -> None:
        """Of a page, once its text fits the pattern."""
        shot = str(self.scratch / "shot.png")
        show = partial(self._rendered, page, shot, ABOVE_TRACEBACK.get(name, 1400))
        text = until(show, lambda text: re.search(wanted, text) is not None, SECONDS)
        if shown := [secret for secret in self.secrets if secret in text]:
            raise RuntimeError(f"{name} shows {shown}")
        # The red line keeps the white top of the page, when its empty end is trimmed.
        line = ("-gravity", "north", "-background", "red", "-splice", "0x1")
        trim = ("-fuzz", "1%", "-trim", "+repage", "-strip", "+dither", "-colors", "64")
        _run("/usr/bin/convert", shot, *line, *trim, f"PNG8:{Path(__file__).with_name(name)}.png")

    def _rendered(self, page: str, shot: str, height: int) -> str:
        """The page's text, as its scripts had made it by the time of the shot."""
        # A profile of its own: Flower's page remembers what was searched for.
        with tempfile.TemporaryDirectory(dir=self.scratch) as profile:
            dom = _run(
                "/usr/bin/chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
                "--hide-scrollbars", "--force-device-scale-factor=1", "--virtual-time-budget=5000",
                f"--window-size=1280,{height}", f"--user-data-dir={profile}",
                f"--screenshot={shot}", f"{self.flower}/{page}",
            )  # fmt: skip
        return " ".join(html.unescape(re.sub("<[^>]*>", " ", dom)).split())


def _run(*command: str, **options: Any) -> str:
    """What a command prints."""
    options |= {"capture_output": True, "text": True, "timeout": SECONDS}
    return str(subprocess.run(command, check=True, **options).stdout)  # noqa: S603 nothing of another's


@contextlib.contextmanager
def staged() -> Iterator[Stage]:
    ports = Ports(free_base(PORT_BASE, 4))
    with tempfile.TemporaryDirectory(prefix="passerelle-flower-") as folder:
        scratch = Path(folder)
        # The reader's own servers and Loop are none of our business.
        environ = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        environ[f"{PREFIX}DATA_DIR"] = str(scratch / "data")
        with (scratch / "out").open("w", encoding="utf-8") as out:
            up = subprocess.Popen(  # noqa: S603 ours
                [*PASSERELLE, "up", "--simulator", "--port-base", str(ports.base)],
                env=environ, stdout=out, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
        try:
            until((scratch / "out").read_text, lambda said: "READY\n" in said, SECONDS, 0.2)
            settings = read_settings(environ)
            loop = SimulatorHandle(f"http://{LOOPBACK}:{ports.simulator}", up)
            flower = f"http://{LOOPBACK}:{ports.flower}"
            yield Stage(settings, environ, loop, flower, scratch, frozenset(_secrets(settings)))
        finally:
            up.terminate()
            up.wait(SECONDS)


def _secrets(settings: Settings) -> Iterator[str]:
    """What no page may show: keys, passwords, and what the events say."""
    yield from settings.secret_keys or ()
    for url in (settings.broker_url, settings.database_url):
        yield str(urlsplit(str(url)).password)
    for folder in FOLDERS:
        entries = [event["entry"] for event in sample_events(DEMO_FIRM, folder, ENTRIES)]
        # Shorter numbers may be a duration of Flower's; the rest are dates, keys and kinds.
        texts = re.findall(r'"([^"]{7,})"', json.dumps(entries, ensure_ascii=False))
        yield from (text for text in texts if not re.fullmatch(r"[\d-]+|[a-z_]+", text))


def at_work(stage: Stage) -> None:
    stage.submit(WORKING, *spoiled_events(DEMO_FIRM, WORKING))
    stage.until_all(WORKING, "synced")
    stage.picture("intake", stage.page_of(f"name:{SUBMIT_MANY}"), "'new': 40, .*'refused': 6")


def refused_and_healed(stage: Stage) -> None:
    stage.loop.patch_folder(REFUSED, access="refused_at_post")
    stage.submit(REFUSED)
    stage.until_all(REFUSED, "parked")
    # The minute until Loop is asked is over.
    over = "UPDATE cases SET probe_at = now() WHERE state = 'open' RETURNING true"
    stage.ask(over)
    until(lambda: stage.ask("SELECT max(last_probe_at) FROM cases"), bool, SECONDS, 0.2)
    stage.loop.patch_folder(REFUSED, access="granted")
    stage.ask(over)
    stage.until_all(REFUSED, "synced")
    stage.picture("remediation", f"tasks?worker={REMEDIATION}", r"release case \S+ SUCCESS")
    stage.picture("tasks", "tasks", r"release case \S+ SUCCESS")
    stage.picture("workers", "workers", "Online workers 5 ")


def loop_down(stage: Stage) -> None:
    stage.loop.set_faults({"fault": "http_503"})
    stage.submit(DOWN)
    stage.picture("loop-down", f"tasks?worker={DELIVERY}", r"(delivery\.probe .*){3}")
    stage.loop.set_faults()


def wrong_messages(stage: Stage) -> None:
    with make_app(stage.settings) as app:
        app.send_task("entries.sumbit", args=[{}], queue=INTAKE)
        # What it wants is the folder's number.
        app.send_task(DELIVER, args=[WORKING], queue=DELIVERY)
    stage.picture("no-task-call", stage.page_of(f"name:{KEEP}"), "Status SUCCESS")
    stage.picture("failed", stage.page_of("state:FAILURE"), "TaskFailedError")


def database_away(stage: Stage) -> None:
    ours = f"name:{SUBMIT_MANY} args:{AWAY}"
    url = str(stage.settings.database_url)
    servers = Servers(f"{url.rpartition('/')[0]}/postgres", "")

    def kill_once() -> bool:
        killed = "WorkerLostError" in stage.get(stage.page_of(ours)).text
        for process in () if killed else stage.worker(INTAKE)[1:]:
            process.kill()
        return killed

    servers.alter(url, "ALLOW_CONNECTIONS false")
    stage.submit(AWAY)
    stage.picture("database-away", f"tasks?worker={INTAKE}", "STARTED")
    # A process that was between two tries dies in vain: see whether it did before killing again.
    until(kill_once, bool, SECONDS, 5)
    servers.alter(url, "ALLOW_CONNECTIONS true")
    stage.until_all(AWAY, "synced")
    stage.picture("retried", stage.page_of(ours), "Retries 1 .*WorkerLostError")


def nobody_consumes(stage: Stage) -> None:
    # One that is dead `up` would start again.
    for process in stage.worker(INTAKE):
        process.suspend()
    for _ in range(4):
        stage.submit(WAITING)
    stage.picture("offline", "workers", r"intake@\S+ Offline")
    stage.picture("broker", "broker", ".*".join(sorted(QUEUES)).replace(INTAKE, f"{INTAKE} [1-9]"))


SCENARIOS = (at_work, refused_and_healed, loop_down, wrong_messages, database_away, nobody_consumes)


def main() -> None:
    with staged() as stage:
        register_demonstration(stage.settings, DEMO_FIRM, *FOLDERS)
        for scenario in SCENARIOS:
            scenario(stage)


if __name__ == "__main__":
    main()
