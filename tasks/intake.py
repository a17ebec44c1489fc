"""Events from the hub: the only messages that carry data."""

import time
from typing import Any

from celery.exceptions import Reject
from sqlalchemy.exc import OperationalError

from passerelle.intake import TakenIn, encode
from tasks.base import UseCaseTask
from tasks.bells import ring_for_folders
from tasks.names import SUBMIT, SUBMIT_MANY

_DATABASE_AWAY_SECONDS = 2.0


class _IntakeTask(UseCaseTask):
    abstract = True

    def run(self, *args: Any, **kwargs: Any) -> dict[str, int]:
        """Take in what came; acknowledged after the commit (late acknowledgement)."""
        try:
            taken = self.take_in(args, kwargs)
        except OperationalError as error:
            # Only a requeued message survives: one that fails is acknowledged and gone. The pause
            # keeps the message from going round while the database is away.
            time.sleep(_DATABASE_AWAY_SECONDS)
            raise Reject("the database is away", requeue=True) from error
        ring_for_folders(self.app, taken.folders)
        return {"new": taken.new, "known": taken.known, "refused": taken.refused}

    def take_in(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> TakenIn:
        intake = self.runtime().intake
        if len(args) != 1 or kwargs:
            return intake.refuse(
                encode([args, kwargs]), f"{self.name} takes one argument, and no named ones."
            )
        return self.take_in_one(args[0])

    def take_in_one(self, argument: Any) -> TakenIn:
        raise NotImplementedError


class Submit(_IntakeTask):
    name = SUBMIT

    def take_in_one(self, argument: Any) -> TakenIn:
        return self.runtime().intake.take_in([argument])


class SubmitMany(_IntakeTask):
    name = SUBMIT_MANY

    def take_in_one(self, argument: Any) -> TakenIn:
        return self.runtime().intake.take_in_many(argument)
