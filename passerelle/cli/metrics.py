"""`passerelle metrics`."""

import threading

import click
from prometheus_client import CollectorRegistry, start_http_server

from passerelle.cli import deployment
from passerelle.cli.broker import Broker
from passerelle.metrics import Metrics

PORT = 17604


@click.command()
@click.option(
    "--address",
    default="127.0.0.1",
    show_default=True,
    help="Where it listens. Nobody is asked for a password: elsewhere than on loopback let only "
    "Prometheus in.",
)
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True)
def metrics(address: str, port: int) -> None:
    """Tell Prometheus the figures of the whole deployment, at /metrics, until Ctrl-C.

    One is enough, wherever it reaches database and broker.
    """
    runtime = deployment.runtime()
    broker = None if runtime.settings.broker_url is None else Broker(runtime.settings)

    def queues() -> dict[str, int] | None:
        if broker is None:
            return None
        try:
            return broker.queues()
        except broker.failures:
            return None

    registry = CollectorRegistry()
    registry.register(Metrics(runtime.engine, queues))
    start_http_server(port, address, registry)
    click.echo(f"READY http://{address}:{port}/metrics")
    threading.Event().wait()
