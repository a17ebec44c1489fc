"""How a read is answered: filter, sort, page, select. Reference: Loop API 2."""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from simulator import filters
from simulator.answers import RefusedError
from simulator.filters import Condition, Row

_DIGITS = 9
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Reading:
    """How one read is answered: a fault changes what stands here."""

    filter_ignored: bool = False
    take_ignored: bool = False
    overlapping: bool = False
    cap: int | None = None
    request_known: bool = True
    status: int | None = None
    status_key: str = "status"
    status_as_text: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """What a query asks for beyond its filter; `take` None gives everything (assumption)."""

    sort: tuple[tuple[str, bool], ...]
    select: tuple[str, ...]
    skip: int
    take: int | None


def page(query: Mapping[str, str]) -> Page:
    """The page a query asks for. Raises RefusedError.

    `select` is separated as `sort` is, or with commas: the reference does not say.
    """
    sort = []
    for part in _parts(query.get("sort", "")):
        name, _, order = part.partition(":")
        if order not in {"", "asc", "desc"}:
            raise RefusedError(f"le tri {part} est illisible")
        sort.append((name, order == "desc"))
    return Page(
        sort=tuple(sort),
        select=tuple(_parts(query.get("select", "").replace(",", "&&"))),
        skip=_number(query, "skip") or 0,
        take=_number(query, "take"),
    )


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split("&&") if part.strip()]


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise RefusedError(f"{name} attend un nombre")
    return int(text)


def rows(
    found: Iterable[R],
    shown: Callable[[R], dict[str, Any]],
    conditions: Sequence[Condition],
    wanted: Page,
    reading: Reading,
) -> list[dict[str, Any]]:
    """The rows of one page, each as `shown` makes it. Raises RefusedError: unknown field."""
    start = wanted.skip - 1 if reading.overlapping and wanted.skip else wanted.skip
    sizes = [
        size
        for size in (None if reading.take_ignored else wanted.take, reading.cap)
        if size is not None
    ]
    stop = start + min(sizes) if sizes else None
    asked = () if reading.filter_ignored else conditions
    if asked or wanted.sort:
        matching: Iterable[Row] = (row for row in map(shown, found) if filters.all_hold(asked, row))
        if wanted.sort:
            matching = _sorted(list(matching), wanted.sort)
        matching = itertools.islice(matching, start, stop)
    else:
        # A page of a long list costs no more than its own rows.
        matching = map(shown, itertools.islice(found, start, stop))
    return [dict(_selected(row, wanted.select)) for row in matching]


def _sorted(matching: list[Row], keys: Sequence[tuple[str, bool]]) -> list[Row]:
    for name, descending in reversed(keys):
        if any(name not in row for row in matching):
            raise RefusedError(f"le champ {name} est inconnu")
        matching.sort(key=functools.partial(_comparable, name), reverse=descending)
    return matching


def _comparable(name: str, row: Row) -> tuple[bool, float, str]:
    """`null` first, numbers by size, all else by its text."""
    value = row[name]
    if isinstance(value, int | float):
        return True, value, ""
    return value is not None, 0, str(value)


def _selected(row: Row, names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    if not names:
        yield from row.items()
        return
    for name in names:
        if name not in row:
            raise RefusedError(f"le champ {name} est inconnu")
        yield name, row[name]


def status_body(status: int, reading: Reading) -> dict[str, int | str]:
    """What getImportStatus says. Reference: Loop API 3.10; `status` alone is sure."""
    shown = status if reading.status is None else reading.status
    return {reading.status_key: str(shown) if reading.status_as_text else shown}
