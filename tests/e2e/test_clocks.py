"""Times are the database's: a worker whose own clock is wrong changes nothing (engine rule 22)."""

from support.events import purchase
from support.servers import Servers
from support.stack import running_stack


def test_workers_whose_clocks_differ_by_five_minutes_work_together(
    servers: Servers, template: str
) -> None:
    with running_stack(servers, template, {"import_ms": 20}, broker_number=6) as stack:
        firm = stack.add_firm(None, "CLOCK")
        stack.start_worker("delivery", "e2e.early_worker")
        stack.start_worker("upkeep")
        stack.start("beat", "-A", "workers.main", "beat", "-s", str(stack.scratch / "beat"))
        stack.runtime.intake.take_in([purchase(firm=firm, folder="CLOCK")])
        stack.until_states(firm, synced=1)
        [row] = stack.rows(
            "SELECT greatest(synced_at, sent_at, ended_at) < now() AS good FROM entries, imports"
        )
        assert row["good"]
