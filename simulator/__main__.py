"""`python -m simulator`: a stand-in for Cegid Loop's public API."""

import argparse
import asyncio
import logging
import signal
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from tornado.netutil import bind_sockets

from simulator import scenario, server
from simulator.faults import FAULTS
from simulator.scenario import Scenario, ScenarioError

_PORTS = range(65_536)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 ended by a signal, 1 cannot start (one sentence on standard error)."""
    options = _options(arguments)
    logging.basicConfig(level=logging.WARNING, format="simulator: %(message)s")
    try:
        played = Scenario() if options.scenario is None else scenario.load(options.scenario)
    except ScenarioError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    try:
        asyncio.run(_serve(played, options.host, options.port))
    except OSError as error:
        reason = error.strerror or error
        sys.stderr.write(f"Cannot listen on {options.host}:{options.port}: {reason}.\n")
        return 1
    return 0


async def _serve(played: Scenario, host: str, port: int) -> None:
    """Until SIGTERM or SIGINT; answers under way are cut off."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    sockets = bind_sockets(port, host)
    server.start(played, sockets)
    sys.stdout.write(f"READY http://{host}:{sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await ended.wait()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description="A stand-in for Cegid Loop's public API; /_simulator/ is the test's own door.",
        epilog=f"The scenario: {scenario.__doc__}\n{_fault_names()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=_port, default=8093, help="0 picks a free one [8093]")
    parser.add_argument("--host", default="127.0.0.1", help="[127.0.0.1]")
    parser.add_argument("--scenario", type=Path, metavar="FILE", help="TOML or JSON")
    return parser.parse_args(arguments)


def _fault_names() -> str:
    names = ", ".join(FAULTS)
    return textwrap.fill(f"Faults: {names}.", width=100, subsequent_indent="    ")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) not in _PORTS:
        raise argparse.ArgumentTypeError(f"{text} is no port")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
