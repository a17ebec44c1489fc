"""Reading reference data of folders anew."""

from tasks.base import UseCaseTask
from tasks.names import REFRESH


class Refresh(UseCaseTask):
    name = REFRESH
    of = "folder"

    def run(self, folder_id: int) -> None:
        """All lists of a folder, if it is still time; its requests stand behind all others."""
        self.runtime().referentials.refresh(folder_id)
