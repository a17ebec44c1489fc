"""A task that does nothing, for messages of one event: what Celery itself takes."""

import os
from typing import Any

from celery import Celery

from tasks.names import INTAKE, SUBMIT

app = Celery("noop", broker=os.environ["CELERY_BROKER_URL"])
app.conf.update(
    task_ignore_result=True,
    # As the product's: a message is gone only when its task is done, and Flower hears of it.
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_send_task_events=True,
    task_default_queue=INTAKE,
    broker_connection_retry_on_startup=True,
)


# Celery has no types.
@app.task(name=SUBMIT)  # type: ignore[untyped-decorator]
def submit(event: dict[str, Any]) -> None:
    pass
