"""When a folder's reference data are read: once a night, folders apart. Pure: time is given."""

import datetime as dt
from dataclasses import dataclass

# Multiples of it, without their whole part, lie evenly between 0 and 1 (the golden ratio's).
_APART = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class Night:
    """Begins every day at `start` (UTC) and lasts less than a day."""

    start: dt.time
    length: dt.timedelta

    def next_turn(self, folder_id: int, after: dt.datetime) -> dt.datetime:
        """The folder's turn in the first night in which it is yet to come; always at one time."""
        into = self.length * (folder_id * _APART % 1)
        turn = dt.datetime.combine(after.astimezone(dt.UTC).date(), self.start, dt.UTC) + into
        # That of the night before may last until after midnight.
        turn -= dt.timedelta(days=1)
        while turn <= after:
            turn += dt.timedelta(days=1)
        return turn
