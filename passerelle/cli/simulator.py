"""`passerelle simulator`."""

import os
import sys

import click


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="0 picks a free one. [8093]")
@click.option(
    "--scenario",
    type=click.Path(exists=True, dir_okay=False),
    help="TOML or JSON: folders, faults, tempo.",
)
def simulator(port: int | None, scenario: str | None) -> None:
    """Run a stand-in for Cegid Loop until Ctrl-C.

    It prints READY and its address; PASSERELLE_LOOP_URL is that with /loop-api-publiques behind.
    """
    # -P: a folder `simulator` in the working directory is not meant.
    words = [sys.executable, "-P", "-m", "simulator"]
    if port is not None:
        words += ["--port", str(port)]
    if scenario is not None:
        words += ["--scenario", scenario]
    os.execv(sys.executable, words)  # noqa: S606 our own program, no shell
