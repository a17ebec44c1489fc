"""Posting and status polling: talks to Loop."""

from tasks.base import UseCaseTask
from tasks.bells import ring_for_folders
from tasks.names import ASK, DELIVER, FOLLOW_UP, PROBE


class Deliver(UseCaseTask):
    name = DELIVER
    of = "folder"

    def run(self, folder_id: int) -> None:
        """One import request for a folder; the next one queues behind the other folders'."""
        following = self.runtime().delivery.deliver(folder_id)
        if following is not None:
            ring_for_folders(self.app, [following])


class FollowUp(UseCaseTask):
    name = FOLLOW_UP
    of = "import"

    def run(self, import_ids: list[int]) -> None:
        self.runtime().followup.follow_up(import_ids)


class Ask(UseCaseTask):
    name = ASK
    of = "entry"

    def run(self, entries: list[int]) -> None:
        """Whether these uncertain entries are in Loop."""
        self.runtime().asking.ask(entries)


class Probe(UseCaseTask):
    name = PROBE

    def run(self) -> None:
        """Whether Loop, which is down, is back."""
        self.runtime().probing.probe()
