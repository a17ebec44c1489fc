"""Several trials side by side, each in a process of its own, with servers of its own."""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import NoReturn

from chaos.incidents import possible
from chaos.plan import make_plan
from chaos.trial import Result, run
from support.servers import running_servers
from support.template import make_template


def side_by_side(jobs: int, seeds: Iterable[int], entries: int, kills: int) -> Iterator[Result]:
    """Each result as soon as it is there. A signal ends the trials under way and their workers."""
    _heed_signals()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_heed_signals) as pool:
        try:
            for done in as_completed([pool.submit(_trial, seed, entries, kills) for seed in seeds]):
                yield done.result()
        except KeyboardInterrupt:
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _heed_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)


def _interrupt(*_: object) -> NoReturn:
    # Once is enough: a second one would break off the cleaning up.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _trial(seed: int, entries: int, kills: int) -> Result:
    try:
        with running_servers() as servers:
            kinds = possible(servers)
            plan = make_plan(seed, entries, kills, len(kinds), kinds)
            return run(plan, servers, make_template(servers))
    except KeyboardInterrupt:
        # The pool would go on with the next.
        os._exit(1)
    except Exception:  # noqa: BLE001 what is wrong with one trial is no reason to end the others
        return Result(seed, wrong=[traceback.format_exc()])
