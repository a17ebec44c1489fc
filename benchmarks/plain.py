"""The plain way: what a competent developer writes without this product.

One Celery task an entry on a Redis broker: marshmallow, `requests.post` with a timeout,
`autoretry_for` with backoff, and a second task that polls the import's status by `retry`. The
event's schema, the mapping and the body are the product's own functions, so that both send the same
bytes and the difference is in the way alone. Where there was a choice it was made in favour of
speed: no task events, no logs above warnings, no database, no refused events kept, no pace per
firm, and a first poll late enough to be the only one as a rule.

Run by the benchmarks as `celery -A benchmarks.plain worker`, prefork 8; *plain at its best* has
`PLAIN_SESSIONS` set, and the pool and concurrency that serve it best.
"""

import os
import threading
from typing import Any

import requests
from celery import Celery, Task
from redis import Redis

from benchmarks.bodies import body, headers
from schemas.event import faults

TIMEOUT = (5, 60)
WAITING, RUNNING, DONE = 1, 2, 3

loop = os.environ["LOOP_URL"]
broker = os.environ["CELERY_BROKER_URL"]
redis = Redis.from_url(broker)
app = Celery("plain", broker=broker)
app.conf.update(
    task_ignore_result=True,
    # Without it a worker that dies loses what it held.
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
)


class RefusedError(Exception):
    pass


of_thread = threading.local()


def http() -> Any:
    """requests itself, which connects anew for each request, or a session of the thread's own."""
    if not os.environ["PLAIN_SESSIONS"]:
        return requests
    if not hasattr(of_thread, "session"):
        of_thread.session = requests.Session()
    return of_thread.session


# Celery has no types.
@app.task(  # type: ignore[untyped-decorator]
    name="plain.submit",
    autoretry_for=(requests.RequestException,),
    retry_backoff=True,
    retry_jitter=True,
    max_retries=8,
)
def submit(raw: dict[str, Any]) -> None:
    found = faults(raw)
    if found:
        raise RefusedError(found)
    firm = raw["firm"]
    response = http().post(
        f"{loop}/importJson", data=body(raw), headers=headers(firm), timeout=TIMEOUT
    )
    response.raise_for_status()
    answer = response.json()
    if "error" in answer:
        raise RefusedError(answer["error"]["message"])
    follow_up.apply_async([firm, answer["accountingImportRequestId"]], countdown=1)


@app.task(  # type: ignore[untyped-decorator]
    name="plain.follow_up",
    bind=True,
    autoretry_for=(requests.RequestException,),
    retry_backoff=True,
    retry_jitter=True,
    max_retries=20,
)
def follow_up(self: Task, firm: str, request_id: str) -> None:
    response = http().get(
        f"{loop}/getImportStatus",
        params={"accountingImportRequestId": request_id},
        headers=headers(firm),
        timeout=TIMEOUT,
    )
    response.raise_for_status()
    status = response.json()["status"]
    if status in {WAITING, RUNNING}:
        raise self.retry(countdown=1)
    if status != DONE:
        raise RefusedError(request_id)
    redis.incr("plain:synced")
