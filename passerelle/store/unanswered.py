"""What a call to Loop that was not answered asks for."""

from sqlalchemy import Connection

from passerelle.domain.backoff import retry_delay
from passerelle.domain.outcome import Answer, Sort
from passerelle.store import outages, pauses
from passerelle.store.cases import hold, refusal


def heed(
    connection: Connection, firm_id: int, folder_id: int | None, answer: Answer, chance: float
) -> None:
    """Hold what Loop refuses; leave it alone for a while where it throttles or is down."""
    if answer.reason is not None:
        hold(connection, refusal(firm_id, folder_id, answer.reason, answer.message))
    elif answer.sort is Sort.PAUSE or answer.down:
        back_off(connection, firm_id, answer, chance)


def back_off(connection: Connection, firm_id: int, answer: Answer, chance: float) -> float:
    """Leave Loop alone for this firm; for how many seconds."""
    failures = pauses.failures(connection, firm_id)
    delay = retry_delay(failures, chance, answer.retry_after)
    throttled = answer.sort is Sort.PAUSE
    pauses.pause(connection, firm_id, delay, answer.message, throttled=throttled)
    if answer.down:
        outages.count_failure(connection, answer.message)
    return delay
