"""`python -m benchmarks.preflight`: what looking at entries before they are sent costs.

How it is done and how it is read: docs/performance.md.
"""

import json
import statistics
import time
from collections.abc import Sequence

import click
from sqlalchemy import Connection, Engine, text

from benchmarks.contenders import product_environment, register
from benchmarks.ground import Ground, prepared
from benchmarks.load import Load
from benchmarks.processes import BenchmarkError, stand_alone
from config.settings import read_settings
from passerelle.domain.outcome import Answer, Sort
from passerelle.domain.preflight import Chart, Uses
from passerelle.domain.referential import Kind
from passerelle.loop_api.client import Credentials, Loop
from passerelle.preflight import Claimed, Preflight
from passerelle.runtime import Runtime
from passerelle.store.claims import Due
from passerelle.store.identity import confirmed
from passerelle.store.preflight import Known
from passerelle.store.referentials import accounts_alike, take_over
from passerelle.store.refreshes import lease_refresh

_LOAD = Load(0, folders=1, firms=1)
_ACCOUNTS = 2_000
_MESSAGE = 500


class _AcceptingLoop(Loop):
    """Takes whatever comes, at once: what is left is our own work."""

    def post_import(self, credentials: Credentials, body: bytes, started: float) -> Answer:  # noqa: ARG002 Loop's
        return Answer(Sort.ACCEPTED, "", 200, request_id="1")


class _NoPreflight(Preflight):
    """As before there was one: the chart is read for the writing of accounts alone."""

    def known(self, connection: Connection, folder_id: int, uses: Sequence[Uses]) -> Known:
        accounts = {account for one in uses for account in one.accounts}
        now = connection.execute(text("SELECT now()")).scalar_one()
        alike = accounts_alike(connection, folder_id, accounts)
        return Known(Chart(None, None), alike, now, None, frozenset())

    def passing(self, claimed: Claimed, known: Known, credentials: Credentials) -> list[Due]:  # noqa: ARG002 Preflight's
        return list(claimed.dues)


@click.command(context_settings={"show_default": True})
@click.option("--entries", type=click.IntRange(min=1), default=4_000, help="Of one folder.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, help="Of each way, in turn.")
def main(entries: int, rounds: int) -> None:
    """One process delivers a folder's entries to a Loop that answers at once, with and without."""
    stand_alone()
    ratios = []
    try:
        with prepared(latency_ms=0, import_ms=0) as ground:
            # The first run of each warms up.
            for number in range(rounds + 1):
                kinds = (_NoPreflight, Preflight)
                without, with_ = (_rate(ground, kind, entries) for kind in kinds)
                if number:
                    ratios.append(with_ / without)
                    click.echo(f"{with_:,.0f} a second with it, {without:,.0f} without")
    except BenchmarkError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"with preflight: {statistics.median(ratios):.3f} times the rate without")


def _rate(ground: Ground, kind: type[Preflight], entries: int) -> float:
    """Entries a second from the first claim to the last record."""
    with ground.database() as url:
        env = product_environment(ground, url, ground.scratch)
        # Many requests of one folder, one after the other, none of which ends.
        env |= {"PASSERELLE_PACE_START": "1000", "PASSERELLE_PACE_MAX": "1000"}
        runtime = Runtime(read_settings(env, env_file=False))
        loop = _AcceptingLoop(ground.loop_url, send_seconds=20, call_seconds=60)
        runtime.__dict__["loop"] = loop
        runtime.__dict__["preflight"] = kind(runtime.engine, loop, runtime.turns, 30.0, lambda: 0.5)
        register(runtime, _LOAD)
        folder = _chart(runtime.engine)
        events = _LOAD.events("preflight", entries)
        for start in range(0, entries, _MESSAGE):
            runtime.intake.take_in_many(events[start : start + _MESSAGE])
        began = time.perf_counter()
        while _unsent(runtime.engine):
            # The last request is not a whole one, and does not wait for more.
            while runtime.delivery.deliver(folder) is not None:
                pass
        seconds = time.perf_counter() - began
        with runtime.engine.connect() as connection:
            posted = connection.execute(_COUNT, {"state": "posted"}).scalar_one()
        runtime.close()
    if posted != entries:
        raise BenchmarkError(f"Of {entries} entries {posted} were posted.")
    return entries / seconds


_COUNT = text("SELECT count(*) FROM entries WHERE state = :state")


def _unsent(engine: Engine) -> bool:
    with engine.begin() as connection:
        connection.execute(text("UPDATE folders SET gather_until = NULL"))
        return bool(connection.execute(_COUNT, {"state": "received"}).scalar_one())


def _chart(engine: Engine) -> int:
    """A folder whose lists are known, and of which Loop has lately done an import; its id."""
    used = ("401000", "606400", "613200", "615500", "624100", "625100", "626000")
    codes = {*used, *(f"4{number:05}" for number in range(_ACCOUNTS))}
    lists = {Kind.ACCOUNT: sorted(codes), Kind.JOURNAL: ["ACH", "BQ", "OD", "VTE"]}
    with engine.begin() as connection:
        folder_id: int = connection.execute(text("SELECT id FROM folders")).scalar_one()
        folder = lease_refresh(connection, folder_id, 1.0, asked=True)
        if folder is None:
            raise BenchmarkError("The folder's lists cannot be stored.")
        for kind, listed in lists.items():
            rows = [
                {"code": code, "label": code, "closed": False, "record": {"code": code}}
                for code in listed
            ]
            take_over(connection, folder, kind, json.dumps(rows).encode())
        if not confirmed(connection):
            raise BenchmarkError("The database is not new.")
        connection.execute(
            text(
                "INSERT INTO imports (firm_id, folder_id, answer, request_id, status, ended_at) "
                "SELECT firm_id, id, 'accepted', 'earlier', 3, now() FROM folders"
            )
        )
        connection.execute(text("ANALYZE"))
    return folder_id


if __name__ == "__main__":
    main()
