"""`python -m benchmarks.telling`: what telling the hub costs, and in how many messages it is told.

How it is done and how it is read: docs/performance.md.
"""

import json
import os
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import click

from benchmarks.contenders import PRODUCT, Running
from benchmarks.ground import Ground, prepared
from benchmarks.load import Load
from benchmarks.processes import BenchmarkError, stand_alone
from config.settings import read_settings
from passerelle.runtime import Runtime
from passerelle.store.outbox_models import Audience

_SECRET = "whsec_" + "c2VjcmV0" * 4


@dataclass(slots=True)
class _Hub:
    """What a receiver on loopback was told: outcomes of each message."""

    url: str = ""
    messages: list[list[int]] = field(default_factory=list)

    @property
    def sequences(self) -> list[int]:
        return [one for message in self.messages for one in message]


@contextmanager
def _listening() -> Iterator[_Hub]:
    hub = _Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hub.messages.append([one["sequence"] for one in body.get("outcomes", ())])
            self.send_response(HTTPStatus.NO_CONTENT)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """The product's processes are killed with their connections open."""

    with Server(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}/"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield hub
        server.shutdown()


@click.command(context_settings={"show_default": True})
@click.option("--entries", type=click.IntRange(min=1), default=10_000, help="Of ten folders.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, help="Of each way, in turn.")
@click.option("--latency-ms", type=click.IntRange(min=0), default=50, help="Loop's.")
@click.option("--import-ms", type=click.IntRange(min=0), default=200, help="Loop's.")
def main(entries: int, rounds: int, latency_ms: int, import_ms: int) -> None:
    """Entries of one firm, with a hub that listens and with none, in turn. Default settings."""
    stand_alone()
    os.environ["PASSERELLE_WEBHOOK_NETWORKS"] = "127.0.0.0/8"
    load = Load(entries, folders=10, firms=1)
    ratios = []
    try:
        with prepared(latency_ms, import_ms) as ground:
            for number in range(rounds):
                told = _rate(ground, load, f"told-{number}", listens=True)
                silent = _rate(ground, load, f"silent-{number}", listens=False)
                ratios.append(told / silent)
                click.echo(f"{told:,.0f} a second to a hub that listens, {silent:,.0f} without")
    except BenchmarkError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"with a hub that listens: {statistics.median(ratios):.3f} times the rate without")


def _rate(ground: Ground, load: Load, name: str, *, listens: bool) -> float:
    """Entries a second from the first that is sent to the last that is synced."""
    ground.clear()
    events = load.events("told", load.entries)
    with _listening() as hub, PRODUCT.start(ground, load, ground.scratch / name) as running:
        if listens:
            _subscribe(running, hub)
        began = time.perf_counter()
        running.send(events)
        running.processes.wait_until(lambda: running.synced() == load.entries, "all are synced")
        seconds = time.perf_counter() - began
        if listens:
            running.processes.wait_until(lambda: len(hub.sequences) == load.entries, "all are told")
            told = time.perf_counter() - began
            if hub.sequences != [*range(1, load.entries + 1)]:
                raise BenchmarkError("The outcomes were not told in order, each once.")
            sizes = [len(message) for message in hub.messages]
            click.echo(
                f"{load.entries:,} outcomes in {len(sizes)} messages, all told "
                f"{told - seconds:.1f} s after the last was synced"
            )
    return load.entries / seconds


def _subscribe(running: Running, hub: _Hub) -> None:
    runtime = Runtime(read_settings(running.processes.env, env_file=False))
    runtime.subscribing.set_firm("FIRM000", {Audience.OUTCOME: hub.url}, _SECRET)
    runtime.close()


if __name__ == "__main__":
    main()
