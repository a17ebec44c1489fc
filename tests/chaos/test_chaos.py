"""The short version of `make chaos`: one seed, fewer entries and kills, each fault once."""

import os
import secrets

import pytest

from chaos.incidents import possible
from chaos.plan import make_plan
from chaos.trial import run
from simulator.faults import FAULTS
from support.servers import Servers


@pytest.mark.timeout(600)
def test_each_entry_is_in_loop_once_or_explains_itself_after_chaos(
    servers: Servers, template: str
) -> None:
    """CHAOS_SEED=… tries a seed again that has failed."""
    seed = int(os.environ.get("CHAOS_SEED") or secrets.randbelow(1_000_000))
    plan = make_plan(seed, entries=200, kills=4, incidents=2, kinds=possible(servers))
    result = run(plan, servers, template)
    told = "\n".join((f"CHAOS_SEED={seed}", result.line(), *result.wrong, f"{result.fired}"))
    print(told)  # noqa: T201 pytest shows it where the test fails
    assert not result.wrong, told
    # Few requests have to do for many faults: some come too late for their folder.
    assert len(+result.fired) > len(FAULTS) // 2, told
    assert (result.kills, result.stops, result.incidents.total()) == (4, 1, 2)
