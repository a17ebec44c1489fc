"""Which queue is consumed how: `passerelle up` and docker-compose.yml start one worker each."""

from dataclasses import dataclass

from tasks.names import DELIVERY, INTAKE, REFERENTIALS, REMEDIATION, UPKEEP


@dataclass(frozen=True, slots=True)
class Consumer:
    """A worker's pool and concurrency, as `celery worker -P … -c …` takes them."""

    queue: str
    pool: str
    concurrency: int


CONSUMERS = (
    # Checking events is work for the processor: processes.
    Consumer(INTAKE, "prefork", 2),
    # Waiting for Loop: threads; every request has a timeout shorter than the grace period.
    Consumer(DELIVERY, "threads", 32),
    Consumer(REMEDIATION, "threads", 2),
    Consumer(REFERENTIALS, "threads", 4),
    # Apart from what talks to Loop, so that lost work is found while Loop is slow; with more
    # threads than may wait for receivers of messages (passerelle/telling.py).
    Consumer(UPKEEP, "threads", 16),
)


def worker_arguments(consumer: Consumer) -> list[str]:
    """What follows `celery -A workers.main`."""
    return [
        "worker",
        "--queues", consumer.queue,
        "--pool", consumer.pool,
        "--concurrency", str(consumer.concurrency),
        "--hostname", f"{consumer.queue}@%h",
        "--without-mingle",
        "--without-gossip",
        "--loglevel", "INFO",
    ]  # fmt: skip
