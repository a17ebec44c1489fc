"""The database went back: what may have been sent since is asked for first (engine rule 23)."""

import datetime as dt

from sqlalchemy import Engine

from passerelle.domain.errors import PasserelleError
from passerelle.store import doubts, identity, subscriptions
from passerelle.supposing import Supposing

_PAGE = 1000
"""Entries that are doubted in one transaction."""


class RestoringError(PasserelleError):
    """The database cannot be taken for restored."""


class Restoring:
    def __init__(self, engine: Engine, supposing: Supposing) -> None:
        self._engine = engine
        self._supposing = supposing

    def restore(self, since: dt.datetime, who: str) -> int:
        """Doubt every entry that is not final, and whatever arrives that was validated before now;
        how many entries Loop will be asked about.

        Nothing is sent meanwhile, nor if this is cut off, until it has run to its end.

        Raises:
            RestoringError: `since` is to come, or somebody else has begun the same.
        """
        with self._engine.begin() as connection:
            restored_at = identity.doubt(connection, since, who)
            doubts.skip_lost_imports(connection)
            if restored_at is not None:
                subscriptions.skip_sequences(connection)
        if restored_at is None:
            raise RestoringError("The database cannot have gone back to a time that is to come.")
        after, count = 0, 0
        while True:
            with self._engine.begin() as connection:
                page = doubts.doubt_from(connection, restored_at, after, _PAGE)
            if not page:
                break
            after, count = page[-1], count + len(page)
        self._supposing.suppose()
        with self._engine.begin() as connection:
            if not identity.believe(connection, restored_at):
                raise RestoringError("Somebody else has said so meanwhile: wait for their command.")
        return count
