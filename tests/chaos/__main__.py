"""`make chaos`: trials from one seed after another, several side by side."""

import argparse
import secrets
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from chaos.plan import WITHOUT
from chaos.trial import run_alone
from simulator.faults import FAULTS


def main() -> int:
    options = _options()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    fired: Counter[str] = Counter()
    entries = kills = 0
    wrong = []
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        running = [pool.submit(run_alone, seed, options.entries, options.kills) for seed in seeds]
        for done in as_completed(running):
            result = done.result()
            print(result.line(), flush=True)
            for told in result.wrong:
                print(told, flush=True)
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
    parser.add_argument("--kills", type=int, default=24)
    parser.add_argument("--jobs", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
