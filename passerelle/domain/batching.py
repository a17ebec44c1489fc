"""How many due entries one import request takes."""

from collections.abc import Sequence
from dataclasses import dataclass

from passerelle.domain.limits import Limits

_SIREN_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Size:
    """An entry's share of an import request: lines, bytes of them as JSON, and its SIRET."""

    lines: int
    bytes: int
    siret: str | None = None


def first_batch(sizes: Sequence[Size], limits: Limits, *, envelope: int) -> int:
    """How many entries from the front go together; `envelope` is the request's own bytes.

    The order is kept: the first that does not fit ends the batch. An entry is never split, so the
    first is taken whatever its size, and goes alone where it is over the limit. SIRETs of one
    request belong to one company, or Loop refuses it (reference: Loop API 3.7, `SIREN identique`).
    """
    lines, total, siren = 0, envelope, None
    for count, size in enumerate(sizes):
        lines += size.lines
        total += size.bytes
        company = size.siret[:_SIREN_DIGITS] if size.siret else siren
        fits = lines <= limits.batch_lines and total <= limits.batch_bytes
        if count and not (fits and siren in {None, company}):
            return count
        siren = company
    return len(sizes)
