"""What Loop can hold, and the record of what had to go."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long fields may be, in code points."""

    description: int
    auxiliary_code: int
    reference: int


@dataclass(frozen=True, slots=True)
class Limits(Lengths):
    """With them, the size of an import request in lines and bytes."""

    batch_lines: int
    batch_bytes: int


@dataclass(frozen=True, slots=True)
class Cut:
    """A text that was shortened for Loop.

    `line` counts from 0; `field` is the event's word, with dots between levels. `from_` is the
    normalised text, so that normalising alone never shows here.
    """

    line: int
    field: str
    from_: str
    to: str
