"""Messages of one event each that wait at a worker, in groups."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import Reject
from kombu.asynchronous.semaphore import LaxBoundedSemaphore

from tasks.names import SUBMIT, SUBMIT_MANY
from workers.consumer import Consumer
from workers.together import GROUP, Together


@dataclass
class FakeRequest:
    id: str
    name: str = SUBMIT
    told: list[object] = field(default_factory=list)

    @property
    def body(self) -> str:
        return f"body of {self.id}"

    def on_accepted(self, pid: int, at: float) -> None:
        self.told.append((pid, at))

    def on_failure(self, failure: object) -> None:
        self.told.append(failure)

    def on_success(self, result: object) -> None:
        self.told.append(result)


@dataclass
class FakePool:
    """Of a worker whose processes are busy until `free` is called."""

    waiting: list[tuple[Any, ...]] = field(default_factory=list)
    jobs: list[SimpleNamespace] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)
    released: int = 0

    def acquire(self, callback: Callable[..., None], *args: object) -> None:
        self.waiting.append((callback, *args))

    def release(self) -> None:
        self.released += 1

    def free(self) -> None:
        callback, *args = self.waiting.pop(0)
        callback(*args)

    def apply_async(self, target: object, *, args: Any, **callbacks: Any) -> None:
        self.jobs.append(SimpleNamespace(target=target, args=args, **callbacks))

    def do_alone(self, request: FakeRequest) -> None:
        self.alone.append(request.id)


@pytest.fixture
def pool() -> FakePool:
    return FakePool()


@pytest.fixture
def together(pool: FakePool) -> Callable[[Any], None]:
    return Together(pool, pool.acquire, pool.release, pool.do_alone)  # type: ignore[arg-type]


@pytest.fixture
def processes() -> LaxBoundedSemaphore:
    """Of a worker that has one, which is at work."""
    made = LaxBoundedSemaphore(1)
    made.acquire(lambda: None)
    return made


def requests(count: int) -> list[FakeRequest]:
    return [FakeRequest(str(number)) for number in range(count)]


def group(
    pool: FakePool, together: Callable[[Any], None]
) -> tuple[list[FakeRequest], SimpleNamespace]:
    """Three requests, and the job that the pool was given for them."""
    waiting = requests(3)
    for one in waiting:
        together(one)
    pool.free()
    [job] = pool.jobs
    return waiting, job


def test_one_alone_goes_as_any_other_request(
    pool: FakePool, together: Callable[[Any], None]
) -> None:
    together(FakeRequest("1"))
    pool.free()
    assert (pool.alone, pool.jobs, pool.released) == (["1"], [], 1)


def test_a_list_of_events_goes_at_once_by_itself(
    pool: FakePool, together: Callable[[Any], None]
) -> None:
    together(FakeRequest("1", SUBMIT_MANY))
    assert (pool.alone, pool.waiting) == (["1"], [])


def test_those_that_wait_for_a_process_go_together_once(
    pool: FakePool, together: Callable[[Any], None]
) -> None:
    waiting = requests(GROUP + 2)
    for one in waiting:
        together(one)
    while pool.waiting:
        pool.free()
    groups = [job.args[1] for job in pool.jobs]
    assert groups == [[one.id for one in waiting[:GROUP]], [one.id for one in waiting[GROUP:]]]
    assert pool.released == 0
    first = pool.jobs[0]
    assert first.args[0] == [one.body for one in waiting[:GROUP]]
    first.accept_callback(7, 1.5)
    first.callback(({"new": 3}, 0.5))
    assert all(one.told == [(7, 1.5), (False, {"new": 3}, 0.5)] for one in waiting[:GROUP])
    assert not any(one.told for one in waiting[GROUP:])
    assert pool.alone == []


def test_who_has_gone_in_a_group_waits_for_no_process_any_more(
    pool: FakePool, processes: LaxBoundedSemaphore
) -> None:
    """Else thousands would, after a long backlog, and each would wake the next within its call."""
    together = Together(pool, processes.acquire, processes.release, pool.do_alone)  # type: ignore[arg-type]
    rounds = 1000
    for _ in range(rounds):
        for one in requests(GROUP):
            together(one)  # type: ignore[arg-type]
        processes.release()
    processes.release()
    assert [len(job.args[1]) for job in pool.jobs] == [GROUP] * rounds
    assert processes.value == 1


def test_who_has_come_goes_though_the_connection_was_lost(
    pool: FakePool, processes: LaxBoundedSemaphore
) -> None:
    together = Together(pool, processes.acquire, processes.release, pool.do_alone)  # type: ignore[arg-type]
    waiting = requests(2 * GROUP + 1)
    for one in waiting[:-1]:
        together(one)  # type: ignore[arg-type]
    consumer = object.__new__(Consumer)
    consumer.__dict__ |= {
        "controller": SimpleNamespace(semaphore=processes),
        "on_task_request": together,
        "pool": None,
        "task_buckets": {},
    }
    consumer.on_close()
    together(waiting[-1])  # type: ignore[arg-type]
    for _ in range(3):
        processes.release()
    done = [one for job in pool.jobs for one in job.args[1]] + pool.alone
    assert done == [one.id for one in waiting]


def test_a_group_that_failed_is_done_one_by_one(
    pool: FakePool, together: Callable[[Any], None]
) -> None:
    waiting, job = group(pool, together)
    job.error_callback(SimpleNamespace(exception=ValueError("what an event says")))
    assert pool.alone == ["0", "1", "2"]
    assert not any(one.told for one in waiting)


def test_a_group_that_is_put_back_is_put_back_whole(
    pool: FakePool, together: Callable[[Any], None]
) -> None:
    waiting, job = group(pool, together)
    failure = SimpleNamespace(exception=Reject("OperationalError", requeue=True))
    job.error_callback(failure)
    assert pool.alone == []
    assert all(one.told == [failure] for one in waiting)
