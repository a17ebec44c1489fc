"""What was asked of Loop: counts, and the last requests with their times."""

import datetime as dt
from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

_LAST = 1_000


@dataclass(frozen=True, slots=True)
class Request:
    """`at` is when it was read, `seconds` until its answer was written."""

    at: str
    method: str
    route: str | None
    folder: str | None
    kind: str
    seconds: float


class Traffic:
    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str | None, str]] = Counter()
        self._last: deque[Request] = deque(maxlen=_LAST)

    def note(
        self,
        at: dt.datetime,
        method: str,
        route: str | None,
        folder: str | None,
        kind: str,
        seconds: float,
    ) -> None:
        self._counts[route or "unknown", folder, kind] += 1
        self._last.append(Request(at.isoformat(), method, route, folder, kind, round(seconds, 6)))

    def as_json(self) -> dict[str, Any]:
        counts = [
            {"route": route, "folder": folder, "kind": kind, "count": count}
            for (route, folder, kind), count in self._counts.items()
        ]
        return {
            "total": self._counts.total(),
            "counts": counts,
            "last": [asdict(request) for request in self._last],
        }
