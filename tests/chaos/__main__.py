"""`make chaos`: trials from one seed after another, several side by side."""

import argparse
import os
import secrets
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from chaos.plan import WITHOUT
from chaos.trial import Result, run_alone
from simulator.faults import FAULTS


def _results(options: argparse.Namespace) -> Iterator[Result]:
    """Each as soon as it is there. A signal ends the trials under way, and their workers."""
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGINT))
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        try:
            for done in as_completed(
                [pool.submit(run_alone, seed, options.entries, options.kills) for seed in seeds]
            ):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def main() -> int:
    options = _options()
    fired: Counter[str] = Counter()
    entries = kills = 0
    wrong = []
    for result in _results(options):
        print("\n".join((result.line(), *result.wrong)), flush=True)
        if result.wrong:
            wrong.append(result.seed)
        fired += result.fired
        entries += result.entries
        kills += result.kills
    print(f"{options.seeds} seeds, {entries} entries, {kills} kills; faults:")
    print("\n".join(f"  {name} {fired[name]}" for name in FAULTS if name not in WITHOUT))
    never = [name for name in FAULTS if not fired[name] and name not in WITHOUT]
    if never:
        print(f"never injected: {', '.join(never)}")
    if wrong:
        print(f"wrong: seeds {', '.join(map(str, wrong))}")
    return 1 if wrong or never else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first-seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--entries", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
