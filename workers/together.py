"""Messages of one event each that wait at a worker, given to its pool in groups.

A transaction costs a dozen times what one more event in it does. Alone, a message goes at once; who
finds all processes at work goes with those that wait, too. What fails of a group, whatever it is,
is done again one by one, each with the tries and the refusal that it would have had.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from celery.exceptions import Reject
from celery.worker.request import Request

from passerelle.observe import log
from tasks.names import SUBMIT
from tasks.together import take_in_together

GROUP = 16
"""Messages of a transaction, at most; a worker holds so many for each of its processes."""


class Together:
    """`acquire` calls back when a process is free, `release` gives it to the next; `alone` is how
    a request is done by itself.
    """

    def __init__(
        self,
        pool: Any,
        acquire: Callable[..., None],
        release: Callable[[], None],
        alone: Callable[[Request], None],
    ) -> None:
        self._pool = pool
        self._acquire = acquire
        self._release = release
        self._alone = alone
        # Each waits for a process once; all but the last are full.
        self._groups: deque[list[Request]] = deque()

    def __call__(self, request: Request) -> None:
        if request.name != SUBMIT:
            self._alone(request)
        elif self._groups and len(self._groups[-1]) < GROUP:
            self._groups[-1].append(request)
        else:
            self._groups.append([request])
            self._acquire(self._next)

    def wait_again(self) -> None:
        """Nobody waits for a process any more: who has come waits anew."""
        for _ in range(len(self._groups)):
            self._acquire(self._next)

    def _next(self) -> None:
        group = self._groups.popleft()
        if len(group) == 1:
            self._release()
            self._alone(group[0])
            return
        self._pool.apply_async(
            take_in_together,
            args=([one.body for one in group], [one.id for one in group]),
            accept_callback=lambda pid, at: _accepted(group, pid, at),
            callback=lambda result: _succeeded(group, result),
            error_callback=lambda failure: self._failed(group, failure),
        )

    def _failed(self, group: Sequence[Request], failure: Any) -> None:
        if isinstance(_raised(failure), Reject):
            for request in group:
                request.on_failure(failure)
            return
        log.warning(
            "messages are taken in one by one",
            messages=len(group),
            error=type(_raised(failure)).__name__,
        )
        for request in group:
            self._alone(request)


def _raised(failure: Any) -> BaseException:
    raised: BaseException = failure.exception
    return raised.exc if isinstance(raised, ExceptionWithTraceback) else raised


def _accepted(group: Sequence[Request], pid: int, at: float) -> None:
    for request in group:
        request.on_accepted(pid, at)


def _succeeded(group: Sequence[Request], result: tuple[dict[str, int], float]) -> None:
    told, seconds = result
    for request in group:
        request.on_success((False, told, seconds))
