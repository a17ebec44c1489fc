"""Beat's own: finds what is due or was left behind; tells the hub and people."""

from tasks.base import UseCaseTask
from tasks.bells import ring, ring_for_folders
from tasks.names import (
    ASK,
    DELIVERY,
    ERASE,
    FOLLOW_UP,
    PROBE,
    PROBE_CASE,
    REFERENTIALS,
    REFRESH,
    RELEASE_CASE,
    REMEDIATION,
    SWEEP,
    TELL,
    UPKEEP,
)


class Sweep(UseCaseTask):
    name = SWEEP
    # One a second, for ever: in Flower they would push out all that it remembers.
    send_events = False

    def run(self) -> None:
        bells = self.runtime().upkeep.sweep()
        ring_for_folders(self.app, bells.folders)
        ring(self.app, FOLLOW_UP, DELIVERY, ([list(group)] for group in bells.imports))
        if bells.probe:
            ring(self.app, PROBE, DELIVERY, [[]])
        ring(self.app, ASK, DELIVERY, ([list(group)] for group in bells.entries))
        ring(self.app, REFRESH, REFERENTIALS, ([folder] for folder in bells.refreshes))
        ring(self.app, RELEASE_CASE, REMEDIATION, ([case] for case in bells.cases.over))
        ring(self.app, PROBE_CASE, REMEDIATION, ([case] for case in bells.cases.to_probe))
        ring(self.app, TELL, UPKEEP, ([endpoint] for endpoint in bells.endpoints))


class Tell(UseCaseTask):
    name = TELL
    of = "endpoint"

    def run(self, endpoint_id: int) -> None:
        """Send what waits for an endpoint."""
        self.runtime().telling.tell(endpoint_id)


class Erase(UseCaseTask):
    name = ERASE
    # One a minute, as of sweeps.
    send_events = False

    def run(self) -> None:
        self.runtime().retention.erase()
