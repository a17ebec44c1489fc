"""What an event holds and what is secret, looked for wherever somebody else might look.

Among what is sent: a foreign producer's message, whose headers hold the payload; wrong events, and
what is no task call; a folder that is refused, an answer that is lost, and an error that nobody has
foreseen.
"""

import base64
import contextlib
import json
import re
import secrets
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import requests
from celery import Celery
from redis import Redis
from sqlalchemy import LargeBinary, Text, cast, func, select

from passerelle.domain.firm_keys import FirmKeys
from passerelle.registration import FolderTerms
from passerelle.store.columns import metadata
from passerelle.store.outbox_models import Audience
from support.events import JsonObject, credit, debit, purchase
from support.ports import free_port
from support.process_tree import command_line
from support.receiver import receiving
from support.servers import Servers
from support.simulator import until
from support.stack import QUICK, Stack, running_stack
from workers.flower import FLOWER_OPTIONS

TABLE = (
    "draw=1&start=0&length=1000&search[value]=&order[0][column]=0&order[0][dir]=asc"
    "&columns[0][data]=name"
)
FOLDERS = WORKING, REFUSED, LOST = "OUT0000001", "OUT0000002", "OUT0000003"
USER = ("operator", secrets.token_hex(8))

MAY_HOLD_TEXTS = {
    ("attempts", "lines"),
    ("entries", "cuts"),
    ("entries", "entry"),
    ("refused_events", "body"),
    # As Loop has them: accounts and third parties, once it has the entries.
    ("referential_records", "label"),
    ("referential_records", "record"),
}
"""The database's columns of entries, of events that were refused, and of Loop's own lists."""


def word(name: str) -> str:
    """One that stands nowhere else."""
    return f"{name}-{secrets.token_hex(8)}"


@dataclass(frozen=True, slots=True)
class Told:
    """What must not be seen: `secret` nowhere at all, `texts` only where entries are kept."""

    secret: dict[str, str]
    texts: dict[str, str] = field(
        default_factory=lambda: {
            name: word(name)
            for name in ("description", "account_label", "auxiliary_label", "journal_label", "file")
        }
    )

    def event(self, number: int, firm: str, folder: str) -> JsonObject:
        texts = self.texts
        lines = [
            debit("1.00", description=texts["description"] + " long" * 20),
            credit(
                "1.00",
                account="401000",
                account_label=texts["account_label"],
                auxiliary={"code": "FOUT", "label": texts["auxiliary_label"]},
            ),
        ]
        event = purchase(
            number, firm=firm, folder=folder, event_id=str(uuid.uuid4()), lines=lines,
            journal={"code": "ACH", "label": texts["journal_label"]},
        )  # fmt: skip
        event["entry"]["attachment"]["filename"] = texts["file"]
        event["entry"]["attachment"]["url"] += self.secret["link"]
        return event

    def among(self, text: str) -> set[str]:
        return {name for name, one in (self.texts | self.secret).items() if one in text}


@dataclass(frozen=True, slots=True)
class Scene:
    stack: Stack
    told: Told
    firm: str
    flower: str
    metrics: str


@pytest.fixture(scope="module")
def scene(
    servers: Servers, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    scratch = tmp_path_factory.mktemp("out")
    env = {"PASSERELLE_WEBHOOK_NETWORKS": "127.0.0.0/8"}
    with (
        running_stack(
            servers, template, {"import_ms": 20}, broker_number=13, two_firms=False, **QUICK, **env
        ) as stack,
        receiving() as hub,
    ):
        told = Told(
            {
                "api_key": word("key"),
                "api_secret": word("secret"),
                "subscription": word("subscription"),
                "webhook": hub.secret,
                "link": word("signature"),
                "vault": stack.env["PASSERELLE_SECRET_KEYS"],
                "flower": USER[1],
                "broker": str(re.findall(":([^@/]+)@", servers.broker_url)[0]),
                "database": str(re.findall(":([^@/]+)@", servers.postgres_url)[0]),
            }
        )
        keys = FirmKeys(*(told.secret[name] for name in ("api_key", "api_secret", "subscription")))
        stack.runtime.registration.add_firm("OUT", keys)
        for folder in FOLDERS:
            stack.runtime.registration.add_folder("OUT", folder, FolderTerms())
        urls = {Audience.OUTCOME: hub.url, Audience.ALERT: hub.url}
        stack.runtime.subscribing.set_firm("OUT", urls, hub.secret)
        stack.start_all()
        conf = scratch / "flowerconfig.py"
        conf.write_text(f"basic_auth = ['{':'.join(USER)}']\naddress = '127.0.0.1'\n")
        ports = free_port(), free_port()
        options = (f"--conf={conf}", f"--port={ports[0]}", f"--db={scratch}/flower")
        flower = (*FLOWER_OPTIONS, *options)
        stack.start("flower", "-A", "workers.main", "flower", *flower)
        with (stack.scratch / "metrics.log").open("wb") as log:
            stack.processes["metrics"] = subprocess.Popen(
                [sys.executable, "-m", "passerelle.cli.main", "metrics", "--port", str(ports[1])],
                env=stack.env, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        stack.until_log("metrics", "READY")
        url = f"http://127.0.0.1:{ports[0]}"
        # What happens before it has heard of all workers, it may not remember.
        until(
            lambda: get_text(f"{url}/metrics").count("_worker_online{"), lambda seen: seen == 5, 60
        )
        made = Scene(stack, told, "OUT", url, f"http://127.0.0.1:{ports[1]}/metrics")
        play(made)
        yield made


def get_text(url: str) -> str:
    with contextlib.suppress(requests.RequestException):
        return requests.get(url, timeout=5).text
    return ""


def play(scene: Scene) -> None:
    """All kinds of what happens, to its end."""
    stack, told, firm = scene.stack, scene.told, scene.firm
    events = [told.event(number, firm, WORKING) for number in range(5)]
    # As a foreign producer may say: what is shown of the arguments are the arguments.
    shown = {"argsrepr": str(events), "kwargsrepr": str(events), "shadow": events[0]["entry"]["id"]}
    stack.app.send_task("entries.submit_many", args=[events], queue="intake", **shown)
    wrong = told.event(6, firm, WORKING)
    wrong["entry"]["lines"][0]["debit"] = "2.00"
    stack.app.send_task("entries.submit", args=[wrong], queue="intake", kwargs={})
    stack.app.send_task("entries.submit", args=[], kwargs={"event": wrong}, queue="intake")
    stack.app.send_task(told.texts["description"], args=[wrong], queue="intake")
    # An error whose own text has what it was given.
    stack.app.send_task("delivery.deliver", args=[told.texts["description"]], queue="delivery")
    with Redis.from_url(stack.env["PASSERELLE_BROKER_URL"]) as broker:
        broker.lpush("intake", json.dumps(wrong))
    stack.loop.patch_folder(REFUSED, access="refused_at_post")
    once = {"route": "importJson", "count": 1}
    stack.loop.set_faults({"fault": "dropped_stored", "folder": LOST} | once)
    for number, folder in ((7, REFUSED), (8, LOST)):
        stack.send("entries.submit", told.event(number, firm, folder))
    done = stack.cli("submit", "--direct", "-", stdin=json.dumps(told.event(9, firm, WORKING)))
    assert done.returncode == 0, done.stderr
    stack.until_states(firm, 90, synced=7, parked=1)
    refused = "SELECT sum(deliveries) AS number FROM refused_events"
    until(lambda: stack.rows(refused)[0]["number"], lambda found: found == 4, 60)
    until(lambda: stack.log("delivery"), lambda log: "a task failed" in log, 60)
    told_all = "SELECT count(*) AS left FROM messages WHERE told_at IS NULL"
    until(lambda: stack.rows(told_all)[0]["left"], lambda left: left == 0, 60)


def test_logs_hold_none_of_it(scene: Scene) -> None:
    logs = {path.name: path.read_text("utf-8") for path in scene.stack.scratch.glob("*.log")}
    assert {*logs} >= {"intake.log", "delivery.log", "upkeep.log", "flower.log", "metrics.log"}
    assert "events were taken in" in logs["intake.log"]
    # Statements fail, too: PostgreSQL's own log is one of them.
    [data] = scene.stack.rows("SELECT current_setting('data_directory') AS path")
    server = Path(data["path"]).parents[1] / "logs/postgres.log"
    logs["postgres.log"] = server.read_text("utf-8")
    assert "ready to accept connections" in logs["postgres.log"]
    held = {name: scene.told.among(text) for name, text in logs.items()}
    assert {name: found for name, found in held.items() if found} == {}


def test_flower_shows_none_of_it(scene: Scene) -> None:
    def get(path: str) -> str:
        found = requests.get(f"{scene.flower}/{path}", auth=USER, timeout=60)
        assert found.ok, path
        return found.text

    tasks = json.loads(get("api/tasks?limit=10000"))
    seen = {one["name"] for one in tasks.values()}
    assert seen >= {"entries.submit_many", "intake.keep", "delivery.deliver", "upkeep.tell"}
    workers = json.loads(get("api/workers?refresh=1"))
    assert len(workers) == 5
    pages = [
        *("workers", "tasks", "broker", "metrics", "api/tasks?limit=10000", "api/workers"),
        *("api/task/types", "api/queues/length", f"tasks/datatable?{TABLE}"),
        *(f"worker/{name}" for name in workers),
        *(f"{kind}/{one}" for kind in ("task", "api/task/info") for one in tasks),
    ]  # fmt: skip
    shown = {page: scene.told.among(get(page)) for page in pages}
    assert {page: found for page, found in shown.items() if found} == {}


def test_metrics_and_the_list_of_processes_hold_none_of_it(scene: Scene) -> None:
    figures = requests.get(scene.metrics, timeout=60).text
    assert 'passerelle_cases_open{reason="access_denied"} 1.0' in figures
    assert scene.told.among(figures) == set()
    mothers = [psutil.Process(one.pid) for one in scene.stack.processes.values()]
    processes = [one for mother in mothers for one in (mother, *mother.children(recursive=True))]
    lines = "\n".join(map(command_line, processes))
    assert "--queues intake" in lines
    assert scene.told.among(lines) == set()


def held(broker: Redis) -> str:
    """All that the broker holds, whatever its kind; bodies are in base 64."""
    read: dict[bytes, Callable[[bytes], object]] = {
        # It has gone meanwhile.
        b"none": bool,
        b"list": lambda name: broker.lrange(name, 0, -1),
        b"hash": lambda name: [*broker.hgetall(name).items()],
        b"set": broker.smembers,
        b"zset": lambda name: broker.zrange(name, 0, -1),
        b"string": broker.get,
    }
    found = "".join(str(read[broker.type(name)](name)) for name in broker.scan_iter())
    for text in re.findall(r"[A-Za-z0-9+/]{24,}={0,2}", found):
        with contextlib.suppress(ValueError):
            found += base64.b64decode(text + "=" * (-len(text) % 4)).decode("latin-1")
    return found


def test_the_broker_holds_none_of_it_once_all_is_taken_in(scene: Scene) -> None:
    with Redis.from_url(scene.stack.env["PASSERELLE_BROKER_URL"]) as broker:
        # What is at work at this moment is in there, too.
        until(lambda: held(broker), lambda found: "celery.pidbox" in found)
        assert scene.told.among(held(broker)) == set()
        # It would be seen: a message that nobody takes.
        event = scene.told.event(10, scene.firm, WORKING)
        with Celery(broker=scene.stack.env["PASSERELLE_BROKER_URL"], set_as_current=False) as hub:
            hub.send_task("entries.submit", args=[event], queue="nobodys")
        assert scene.told.among(held(broker)) >= {*scene.told.texts}


def test_the_database_holds_texts_with_entries_alone_and_no_secret(scene: Scene) -> None:
    found: dict[tuple[str, str], set[str]] = {}
    with scene.stack.engine.connect() as connection:
        for table in metadata.tables.values():
            for column in table.columns:
                text = (
                    func.encode(column, "escape")
                    if isinstance(column.type, LargeBinary)
                    else cast(column, Text)
                )
                rows = connection.execute(select(text).where(column.is_not(None))).scalars()
                among = scene.told.among("\n".join(rows))
                if among:
                    found[table.name, column.name] = among
    assert {*found} <= MAY_HOLD_TEXTS
    assert found["entries", "entry"] >= {*scene.told.texts}
    # A link to a document is a part of the entry, and Loop is to have it.
    held = set().union(*found.values())
    assert held & {*scene.told.secret} == {"link"}
