"""Times are the database's: a process whose own clock is wrong changes nothing (engine rule 22)."""

import secrets

from support.events import purchase
from support.servers import Servers
from support.simulator import until
from support.stack import running_stack

SHIFTED = "e2e.shifted_worker"
EARLY, LATE = "300", "-300"
FOLDERS = [f"CLOCK{number}" for number in range(4)]
DELIVERIES = {"early": EARLY, "late": LATE}
# All that has been, and nothing that is to come.
PAST = """
SELECT min(at) >= :start AND max(at) <= clock_timestamp() AS good FROM (
    SELECT received_at AS at FROM entries UNION ALL SELECT synced_at FROM entries
    UNION ALL SELECT sent_at FROM imports UNION ALL SELECT answered_at FROM imports
    UNION ALL SELECT ended_at FROM imports UNION ALL SELECT closed_at FROM attempts
    UNION ALL SELECT at FROM transitions) past
"""


def test_processes_whose_clocks_are_five_minutes_off_either_way_work_together(
    servers: Servers, template: str
) -> None:
    """Who rings is late where who hears is early, so that bells are ten minutes old at once."""
    with running_stack(servers, template, {"import_ms": 20}, broker_number=6) as stack:
        [clock] = stack.rows("SELECT now() AS start")
        firm = stack.add_firm(None, *FOLDERS)
        stack.start_worker("intake", SHIFTED, CLOCK_AHEAD=LATE)
        for name, ahead in DELIVERIES.items():
            stack.start_worker("delivery", SHIFTED, name, CLOCK_AHEAD=ahead)
        stack.start_worker("upkeep", SHIFTED, CLOCK_AHEAD=EARLY)
        schedule = str(stack.scratch / "beat")
        stack.start("beat", "-A", SHIFTED, "beat", "-s", schedule, CLOCK_AHEAD=LATE)
        sent = 0

        def both_have_delivered() -> bool:
            nonlocal sent
            for folder in FOLDERS:
                event = purchase(secrets.randbits(60), firm=firm, folder=folder)
                stack.send("entries.submit", event)
            sent += len(FOLDERS)
            stack.until_states(firm, synced=sent)
            return all("import request answered" in stack.log(name) for name in DELIVERIES)

        until(both_have_delivered, bool, 60)
        assert stack.rows(PAST, **clock) == [{"good": True}]
        assert len(stack.loop.ledger()) == sent
