"""Cases: whether they are over, and letting go on what waited for them."""

from tasks.base import UseCaseTask
from tasks.bells import ring_for_folders
from tasks.names import PROBE_CASE, RELEASE_CASE


class ProbeCase(UseCaseTask):
    name = PROBE_CASE
    of = "case"

    def run(self, case_id: int) -> None:
        """Ask Loop whether the case is over, if it is time to."""
        ring_for_folders(self.app, self.runtime().healing.probe(case_id).folders)


class ReleaseCase(UseCaseTask):
    name = RELEASE_CASE
    of = "case"

    def run(self, case_id: int) -> None:
        """The case is over, if what was sent to see is in Loop."""
        ring_for_folders(self.app, self.runtime().healing.release(case_id))
