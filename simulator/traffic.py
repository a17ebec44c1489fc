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
    domain: str | None
    folder: str | None
    kind: str
    seconds: float


class Traffic:
    def __init__(self) -> None:
        # By route, domain, folder and kind.
        self._counts: Counter[tuple[str, str | None, str | None, str]] = Counter()
        self._last: deque[Request] = deque(maxlen=_LAST)

    def note(
        self,
        at: dt.datetime,
        method: str,
        route: str | None,
        domain: str | None,
        folder: str | None,
        kind: str,
        seconds: float,
    ) -> None:
        self._counts[route or "unknown", domain, folder, kind] += 1
        self._last.append(
            Request(at.isoformat(), method, route, domain, folder, kind, round(seconds, 6))
        )

    def as_json(self, domain: str | None = None) -> dict[str, Any]:
        """Of one domain, or of all."""
        names = ("route", "domain", "folder", "kind")
        counts = [
            {**dict(zip(names, key, strict=True)), "count": count}
            for key, count in self._counts.items()
            if domain in {None, key[1]}
        ]
        return {
            "total": sum(row["count"] for row in counts),
            "counts": counts,
            "last": [asdict(one) for one in self._last if domain in {None, one.domain}],
        }
