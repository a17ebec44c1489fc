"""`make chaos`: trials from one seed after another, several side by side."""

import argparse
import secrets
import sys
from collections import Counter

from chaos.incidents import INCIDENTS
from chaos.pool import side_by_side
from simulator.faults import FAULTS


def main() -> int:
    options = _options()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    fired: Counter[str] = Counter()
    incidents: Counter[str] = Counter()
    entries = kills = stops = 0
    wrong = []
    for result in side_by_side(options.jobs, seeds, options.entries, options.kills):
        print("\n".join((result.line(), *result.wrong)), flush=True)
        if result.wrong:
            wrong.append(result.seed)
        fired += result.fired
        entries += result.entries
        kills += result.kills
        stops += result.stops
        incidents += result.incidents
    print(f"{options.seeds} seeds, {entries} entries, {kills} kills, {stops} stops; incidents:")
    print("\n".join(f"  {name} {incidents[name]}" for name in INCIDENTS))
    print("faults:")
    print("\n".join(f"  {name} {fired[name]}" for name in FAULTS))
    never = [name for name in (*FAULTS, *INCIDENTS) if not (fired + incidents)[name]]
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
