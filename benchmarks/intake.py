"""`python -m benchmarks.intake`: events taken in durably, against tasks that do nothing.

How it is done and how it is read: docs/performance.md.
"""

import statistics
import time
from collections.abc import Callable

import click
from redis import Redis

from benchmarks.contenders import celery, environment, producer, product
from benchmarks.ground import Ground, prepared
from benchmarks.load import Load
from benchmarks.processes import BenchmarkError, Processes, running, stand_alone, usage
from tasks.names import INTAKE, SUBMIT
from workers.queues import CONSUMERS, worker_arguments

_BEGUN = 50
"""So many messages are done before the clock starts: the worker has to start first."""


@click.command(context_settings={"show_default": True})
@click.option("--entries", type=click.IntRange(min=100), default=5_000, help="A message each.")
@click.option("--folders", type=click.IntRange(min=1), default=50, help="They are dealt out to.")
@click.option("--firms", type=click.IntRange(min=1), default=5, help="The folders belong to.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, help="Of each way, in turn.")
def main(entries: int, folders: int, firms: int, rounds: int) -> None:
    """The worker of intake by itself, with messages that wait already."""
    stand_alone()
    load = Load(entries, folders, firms)
    ways: dict[str, Callable[[Ground, Load, str], tuple[float, float]]] = {
        "product": take_in,
        "no-op": _do_nothing,
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    try:
        with prepared(50, 200) as ground:
            for number in range(1, rounds + 1):
                for name in ways if number % 2 else reversed(ways):
                    rate, cpu = ways[name](ground, load, f"{number}-{name}")
                    found[name].append((rate, cpu))
                    click.echo(
                        f"round {number}, {name}: {rate:,.0f} messages a second, "
                        f"{1000 * cpu / entries:.2f} s of CPU for 1,000"
                    )
    except BenchmarkError as error:
        raise click.ClickException(str(error)) from error
    pairs = list(zip(found["product"], found["no-op"], strict=True))
    rate, cpu = (statistics.median(a[i] / b[i] for a, b in pairs) for i in range(2))
    click.echo(f"product against no-op: {rate:.3f} times the rate, {cpu:.3f} times the CPU")


def take_in(ground: Ground, load: Load, name: str, without: str = "") -> tuple[float, float]:
    """Messages a second that are done, and the worker's CPU. `without`: see `contenders.celery`."""
    ground.clear()
    scratch = ground.scratch / name
    with product(1, ground, load, scratch, without=without, start=False) as running_:
        running_.send(load.events("single", load.entries))
        return _timed(ground, running_.processes, celery(without), load.entries)


def _do_nothing(ground: Ground, load: Load, name: str) -> tuple[float, float]:
    ground.clear()
    env = environment(CELERY_BROKER_URL=ground.broker_url)
    with running(ground.scratch / name, env) as processes, producer(ground.broker_url) as app:
        for event in load.events("single", load.entries):
            app.send_task(SUBMIT, args=[event], queue=INTAKE)
        return _timed(ground, processes, ("-m", "celery", "-A", "benchmarks.noop"), load.entries)


def _timed(
    ground: Ground, processes: Processes, program: tuple[str, ...], count: int
) -> tuple[float, float]:
    [intake] = [consumer for consumer in CONSUMERS if consumer.queue == INTAKE]
    with Redis.from_url(ground.broker_url) as redis:

        def left() -> int:
            # Messages that are acknowledged late wait in a hash until their task is done.
            return int(str(redis.llen(INTAKE))) + int(str(redis.hlen("unacked")))

        def until(most: int) -> tuple[float, float, int]:
            processes.wait_until(lambda: left() <= most, f"{most} messages are left")
            spent = sum(one.cpu_seconds for one in usage(processes.roots()).values())
            return time.perf_counter(), spent, left()

        processes.start("worker-intake", *program, *worker_arguments(intake))
        began, ended = until(count - _BEGUN), until(0)
    return (began[2] - ended[2]) / (ended[0] - began[0]), ended[1] - began[1]


if __name__ == "__main__":
    main()
