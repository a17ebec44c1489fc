"""`python -m benchmarks.full`: the rate, and how long it takes to look, beside millions of entries.

How it is done and how it is read: docs/performance.md.
"""

import statistics
from collections import Counter
from collections.abc import Callable

import click
from sqlalchemy import Engine, text

from benchmarks.contenders import PRODUCT, Running
from benchmarks.filling import Filled, Place, fill
from benchmarks.ground import Ground, prepared, scalar
from benchmarks.load import SECRET, SUBSCRIPTION, WARM_UP, Json, Load, api_key, origin_of
from benchmarks.processes import BenchmarkError, stand_alone
from benchmarks.rate import rate_of
from benchmarks.reads import time_reads
from config.settings import read_settings
from passerelle.domain.firm_keys import FirmKeys
from passerelle.domain.states import Reason, Scope
from passerelle.registration import FolderTerms
from passerelle.runtime import Runtime
from passerelle.store.cases import Cause, hold
from passerelle.store.engine import make_engine
from passerelle.store.probes import put_off

_POSITIVE = click.IntRange(min=1)
_LOAD = Load(0, folders=50, firms=5)
_FIRST = 5_000
"""Entries that the product delivers into each database before anything is measured."""

_HELD = "HELD"
_HELD_FOLDERS = 50
_UNPROBED_SECONDS = 365 * 86_400.0
_GIGABYTE = 1_000_000_000

_OPEN = text("""
SELECT count(*) FROM firms f JOIN cases c ON c.id = f.held_by
WHERE f.code = :code AND c.state = 'open' AND c.probes = 0
""")


@click.command(context_settings={"show_default": True})
@click.option("--settled", type=_POSITIVE, default=10_000_000, help="Entries, at least.")
@click.option("--waiting", type=_POSITIVE, default=1_000_000, help="Entries, at least.")
@click.option("--entries", type=_POSITIVE, default=10_000, help="Of 50 folders, a round.")
@click.option("--rounds", type=_POSITIVE, default=2, help="In an empty and in the full database.")
def main(settled: int, waiting: int, entries: int, rounds: int) -> None:
    """Default settings, 5 firms; Loop answers after 50 ms and has done an import after 200 ms."""
    stand_alone()
    before = (rounds + 1) // 2
    try:
        with prepared(50, 200) as ground:
            empty, empty_reads = _measure(ground, "empty before", entries, before)
            full, full_reads = _measure(
                ground,
                "full",
                entries,
                rounds,
                lambda running: _fill(running, settled, waiting),
            )
            if rounds > before:
                empty += _measure(ground, "empty after", entries, rounds - before)[0]
    except BenchmarkError as error:
        raise click.ClickException(str(error)) from error
    medians = [statistics.median(rates) for rates in (empty, full)]
    for name, rates, median in zip(("empty", "full"), (empty, full), medians, strict=True):
        click.echo(
            f"{name}: {', '.join(f'{rate:,.0f}' for rate in rates)} entries a second, "
            f"median {median:,.0f}"
        )
    click.echo(
        f"in the full database: {medians[1] / medians[0]:.3f} times the rate in an empty one"
    )
    click.echo("seconds, in the empty database and in the full one:")
    for name, seconds in full_reads.items():
        click.echo(f"{name}: {empty_reads[name]:.2f}, {seconds:.2f}")


def _measure(
    ground: Ground,
    name: str,
    entries: int,
    rounds: int,
    prepare: Callable[[Running], Filled | None] = lambda _: None,
) -> tuple[list[float], dict[str, float]]:
    """In a database of their own, entries a second in each of the rounds, and the seconds of each
    read afterwards.
    """
    ground.clear()
    sent: list[Json] = []
    found = []
    with PRODUCT.start(ground, _LOAD, ground.scratch / name.replace(" ", "-")) as running:
        engine = make_engine(running.processes.env["PASSERELLE_DATABASE_URL"])

        def rate(series: str, count: int) -> float:
            events = _LOAD.events(series, count)
            sent.extend(events)
            return rate_of(running, engine, events)

        rate("first", _FIRST)
        running.processes.wait_until(running.all_read, "the lists of all folders have been read")
        filled = prepare(running)
        for number in range(1, rounds + 1):
            rate(f"warm-{number}", WARM_UP)
            found.append(rate(f"entry-{number}", entries))
            click.echo(f"{name}, {number} of {rounds}: {found[-1]:,.0f} a second", err=True)
        reads = time_reads(engine, running.processes.env)
        if filled is not None:
            _check_held(running, engine, filled)
        engine.dispose()
        ground.check_books(Counter(map(origin_of, sent)))
    return found, reads


def _fill(running: Running, settled: int, waiting: int) -> Filled:
    env = running.processes.env
    runtime = Runtime(read_settings(env, env_file=False))
    held = _hold(runtime)
    runtime.close()
    filled = fill(env["PASSERELLE_DATABASE_URL"], settled, waiting, held)
    click.echo(
        f"{filled.settled:,} settled and {filled.waiting:,} waiting entries were added in "
        f"{filled.seconds:,.0f} s; the database has {filled.database_bytes / _GIGABYTE:.1f} GB"
    )
    return filled


def _hold(runtime: Runtime) -> Place:
    """A firm whose keys Loop has refused, and is not asked about for a year."""
    keys = FirmKeys(api_key(_HELD), SECRET, SUBSCRIPTION)
    runtime.registration.add_firm(_HELD, keys)
    with runtime.engine.begin() as connection:
        firm = connection.execute(
            text("SELECT id FROM firms WHERE code = :code"), {"code": _HELD}
        ).scalar_one()
        reason = Reason.CREDENTIALS_REFUSED
        case = hold(connection, Cause(Scope.FIRM, firm, None, reason, "Loop refuses the keys."))
        put_off(connection, case, _UNPROBED_SECONDS)
    for number in range(_HELD_FOLDERS):
        runtime.registration.add_folder(_HELD, f"HELD{number:04}", FolderTerms())
    with runtime.engine.connect() as connection:
        folders = connection.execute(
            text("SELECT id FROM folders WHERE firm_id = :firm ORDER BY id"), {"firm": firm}
        )
        return Place(firm, list(folders.scalars()))


def _check_held(running: Running, engine: Engine, filled: Filled) -> None:
    """Raises: BenchmarkError, where anything of the firm on hold has moved."""
    still = running.states()["waiting"]
    if still != filled.waiting or not scalar(engine, _OPEN, code=_HELD):
        raise BenchmarkError(f"The hold has not stood: {still:,} of {filled.waiting:,} wait.")


if __name__ == "__main__":
    main()
