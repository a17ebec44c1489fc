"""`passerelle up`: everything in one process tree, until Ctrl-C."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from config.settings import Settings, read_settings
from passerelle.cli.tree import PORT_BASE, Ports, Tree
from passerelle.domain.errors import RegistrationError
from passerelle.domain.firm_keys import FirmKeys
from passerelle.embedded.folder import claim
from passerelle.embedded.port import LOOPBACK
from passerelle.embedded.supervisor import Supervisor
from passerelle.registration import FolderTerms
from passerelle.runtime import Runtime

DEMO_FIRM = "CABINET42"
DEMO_FOLDER = "DEMO000001"
_HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Plan:
    environ: Mapping[str, str]
    data_dir: Path
    ports: Ports
    simulator: bool


def serve(
    plan: Plan,
    tell: Callable[[str, str], None],
    when_ready: Callable[[Settings], None],
    *,
    until_done: bool = False,
) -> None:
    """Run the tree until Ctrl-C or SIGTERM; with `until_done`, until `when_ready` has returned.

    `when_ready` runs in a thread: the tree needs the main one.

    Raises:
        EmbeddedError, SettingsError: with what to do.
    """
    with claim(plan.data_dir) as folder, Supervisor(folder, tell) as supervisor:
        settings = Tree(folder, supervisor, plan.ports, plan.environ).grow(simulator=plan.simulator)

        def work() -> None:
            try:
                when_ready(settings)
            finally:
                if until_done:
                    os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=work, daemon=True).start()
        supervisor.watch()


def register_demonstration(settings: Settings, firm: str, *folders: str) -> None:
    """A firm that the simulator lets in, with its folders; again changes nothing."""
    runtime = Runtime(settings)
    keys = FirmKeys(f"demonstration-{firm}", "demonstration", "demonstration")
    with contextlib.suppress(RegistrationError):
        runtime.registration.add_firm(firm, keys)
    for folder in folders:
        with contextlib.suppress(RegistrationError):
            runtime.registration.add_folder(firm, folder, FolderTerms())
    runtime.close()


@click.command()
@click.option("--simulator", is_flag=True, help="Start the stand-in for Loop, too.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the servers keep their data; PASSERELLE_DATA_DIR by default.",
)
@click.option(
    "--port-base",
    type=click.IntRange(1, _HIGHEST_PORT - 3),
    default=PORT_BASE,
    show_default=True,
    help="First of four ports: broker, database, Flower, simulator.",
)
def up(*, simulator: bool, data_dir: Path | None, port_base: int) -> None:
    """Start everything in one process tree; Ctrl-C stops it."""
    ports = Ports(port_base)

    def tell(name: str, line: str) -> None:
        click.echo(f"{name}: {line}", err=True)

    def when_ready(settings: Settings) -> None:
        if simulator:
            register_demonstration(settings, DEMO_FIRM, DEMO_FOLDER)
        for name in ("broker", "database"):
            if f"PASSERELLE_{name.upper()}_URL" in os.environ:
                click.echo(f"{name.title():<12}that of PASSERELLE_{name.upper()}_URL")
        click.echo(f"Flower      http://{LOOPBACK}:{ports.flower}")
        click.echo(f"Loop        {settings.loop_url}")
        click.echo(f"Settings    {chosen / 'env'}")
        click.echo(f"Logs        {chosen / 'logs'}")
        click.echo("READY")

    chosen = (data_dir or read_settings(os.environ, env_file=False).data_dir).resolve()
    serve(Plan(os.environ, chosen, ports, simulator), tell, when_ready)
