"""A broker on a server that is not the trial's own: nobody may stop it, but the way to it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from support import named
from support.gate import Gate, gate_to
from support.messages import Messages
from support.servers import Servers
from tasks.names import QUEUES


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """`url` leads through the gate."""

    url: str
    gate: Gate
    behind: str

    def flush(self) -> None:
        """What waits is gone; what a worker has is gone on Redis alone."""
        if urlsplit(self.behind).scheme == "redis":
            named.flush(self.behind)
            return
        Messages(self.behind).purge(*QUEUES)


@contextlib.contextmanager
def elsewhere(servers: Servers) -> Iterator[Elsewhere]:
    with servers.broker(0) as behind, gate_to(behind) as (gate, url):
        yield Elsewhere(url, gate, behind)
