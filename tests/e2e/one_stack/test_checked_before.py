"""With real processes: what Loop would refuse is parked without a POST, and cured by itself."""

import datetime as dt
import uuid
from collections.abc import Callable

import pytest

from support.events import JsonObject, purchase
from support.simulator import SimulatorHandle, until
from support.stack import Stack

ACCOUNTS = ["401000", "445660", "606300", "606400"]
Cure = Callable[[SimulatorHandle, str], None]


def _accounts(*codes: str, closed: str = "") -> list[JsonObject]:
    return [{"code": code, "closed": code == closed} for code in codes]


def _give(**lists: list[JsonObject]) -> Cure:
    return lambda loop, folder: loop.patch_folder(folder, **lists)


ALL = _accounts(*ACCOUNTS)
JOURNALS = [{"code": "ACH"}, {"code": "VTE"}]
CASES = {
    "unknown_account": _give(accounts=ALL[:3]),
    "closed_account": _give(accounts=_accounts(*ACCOUNTS, closed="606400")),
    "unknown_journal": _give(journals=JOURNALS[1:]),
    "closed_journal": _give(journals=[{"code": "ACH", "closed": True}, JOURNALS[1]]),
}


@pytest.mark.parametrize("reason", CASES)
def test_what_is_missing_is_never_sent_and_goes_on_when_it_has_come(
    stack: Stack, reason: str
) -> None:
    folder = f"PRE{list(CASES).index(reason):07}"
    stack.loop.patch_folder(folder, accounts=ALL, journals=JOURNALS)
    CASES[reason](stack.loop, folder)
    firm = stack.add_firm(None, folder)
    until(
        lambda: stack.rows(
            "SELECT fo.id FROM folders fo JOIN firms f ON f.id = fo.firm_id "
            "WHERE f.code = :firm AND fo.refreshed_from IS NOT NULL",
            firm=firm,
        ),
        bool,
        60,
    )
    _let_time_pass(stack)
    event = purchase(1, firm=firm, folder=folder, event_id=str(uuid.uuid4()))
    stack.send("entries.submit", event)
    stack.until_states(firm, parked=1)
    [entry] = stack.rows(
        "SELECT e.reason, e.message FROM entries e JOIN firms f ON f.id = e.firm_id "
        "WHERE f.code = :firm",
        firm=firm,
    )
    assert entry["reason"] == reason
    assert "Nearest: " in entry["message"]
    assert stack.loop.count("importJson", folder=folder) == 0

    stack.loop.patch_folder(folder, accounts=ALL, journals=JOURNALS)
    _let_time_pass(stack)
    stack.until_states(firm, synced=1)
    assert len(stack.loop.ledger(folder)) == 1


def _let_time_pass(stack: Stack) -> None:
    """Lists are not read twice in a minute, and every quarter of an hour while something lacks."""
    with stack.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE folders SET refreshed_at = now() - interval '1 h'")


def test_a_link_that_lives_too_short_is_never_sent_and_another_heals(stack: Stack) -> None:
    folder = "PRELINK001"
    firm = stack.add_firm(None, folder)
    now = dt.datetime.now(dt.UTC)

    def event(hours: int) -> JsonObject:
        seconds = int((now + dt.timedelta(hours=hours)).timestamp())
        url = f"https://d1.cloudfront.net/1.pdf?Expires={seconds}&Signature=x&Key-Pair-Id=K"
        times = {"occurred_at": (now + dt.timedelta(minutes=hours)).isoformat()}
        ids = {"firm": firm, "folder": folder, "event_id": str(uuid.uuid4())}
        return purchase(1, attachment={"url": url}, **ids, **times)

    stack.send("entries.submit", event(2))
    stack.until_states(firm, parked=1)
    assert stack.loop.count("importJson", folder=folder) == 0
    stack.send("entries.submit", event(48))
    stack.until_states(firm, synced=1)
    until(
        lambda: stack.rows(
            "SELECT c.reason, c.state FROM cases c JOIN firms f ON f.id = c.firm_id "
            "WHERE f.code = :firm",
            firm=firm,
        ),
        lambda cases: cases == [{"reason": "attachment_expired", "state": "healed"}],
    )
