"""Posting and status polling: talks to Loop."""

from tasks.base import UseCaseTask
from tasks.bells import ring_for_folders
from tasks.names import ASK, DELIVER, FOLLOW_UP


class Deliver(UseCaseTask):
    name = DELIVER

    def run(self, folder_id: int) -> None:
        """One import request for a folder; the next one queues behind the other folders'."""
        if self.runtime().delivery.deliver(folder_id):
            ring_for_folders(self.app, [folder_id])


class FollowUp(UseCaseTask):
    name = FOLLOW_UP

    def run(self, import_ids: list[int]) -> None:
        self.runtime().followup.follow_up(import_ids)


class Ask(UseCaseTask):
    name = ASK

    def run(self, entries: list[int]) -> None:
        """Whether these uncertain entries are in Loop."""
        self.runtime().asking.ask(entries)
