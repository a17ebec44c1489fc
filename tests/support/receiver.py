"""A receiver of messages on loopback: verifies them by the published library, answers as told."""

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks import Webhook

from config.settings import read_table
from passerelle.domain.webhook import Network
from passerelle.store.outbox_models import Audience
from passerelle.subscribing import Subscribing
from passerelle.telling import Telling
from passerelle.webhook import Webhooks
from support.raw_server import read_request, response, serving
from support.workshop import FIRM, Workshop

SECRET = "whsec_" + "c2VjcmV0" * 4
LOOPBACK: list[Network] = [ipaddress.ip_network("127.0.0.0/8")]
TAKEN = response("204 No Content")


@dataclass(frozen=True, slots=True)
class Received:
    """A message whose signature is right, and whether it was taken."""

    id: str
    body: dict[str, Any]
    taken: bool

    @property
    def sequences(self) -> list[int]:
        return [one["sequence"] for one in self.body["outcomes"]]


@dataclass(slots=True)
class Receiver:
    """`answer` gives the bytes that answer a message; `None`: nothing is answered at all."""

    url: str
    answer: Callable[[dict[str, Any]], bytes | None] = lambda _: TAKEN
    secret: str = SECRET
    received: list[Received] = field(default_factory=list)
    # Ends the wait of those that are not answered.
    over: threading.Event = field(default_factory=threading.Event)
    heads: list[bytes] = field(default_factory=list)

    def talk(self, connection: socket.socket) -> None:
        while request := read_request(connection):
            head, _, body = request.partition(b"\r\n\r\n")
            lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
            headers = {name.decode().lower(): value.strip().decode() for name, _, value in lines}
            message = Webhook(self.secret).verify(body, headers)
            answer = self.answer(message)
            taken = answer is not None and answer.startswith(b"HTTP/1.1 2")
            self.heads.append(head)
            self.received.append(Received(headers["webhook-id"], message, taken))
            if answer is None:
                self.over.wait(30)
                return
            connection.sendall(answer)
            if not answer.startswith(b"HTTP"):
                return

    def answers(self, *answers: bytes | None) -> None:
        """In this order, the last one for ever."""
        rest = list(answers)
        self.answer = lambda _: rest.pop(0) if len(rest) > 1 else rest[0]

    @property
    def taken(self) -> list[Received]:
        return [one for one in self.received if one.taken]

    @property
    def outcomes(self) -> list[dict[str, Any]]:
        """What was taken of entries, in the order in which it came."""
        return [one for message in self.taken for one in message.body.get("outcomes", ())]

    @property
    def types(self) -> list[str]:
        return [one.body["type"] for one in self.taken]


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    made = Receiver("")
    with serving(made.talk) as url:
        made.url = f"{url}/messages"
        try:
            yield made
        finally:
            made.over.set()


class Office:
    """Those who tell, and who say whom, on a workshop's database."""

    def __init__(
        self,
        shop: Workshop,
        webhooks: Webhooks | None = None,
        checkpoint: Callable[[str], None] = lambda _: None,
        chance: Callable[[], float] = lambda: 0.5,
    ) -> None:
        self.shop = shop
        # Long: the machine may be busy, and who answers does so at once.
        self.webhooks = webhooks or Webhooks(LOOPBACK, lambda _: True, seconds=15)
        self.subscribing = Subscribing(shop.engine, shop.vault, self.webhooks)
        self.telling = Telling(
            shop.engine,
            self.webhooks,
            shop.vault,
            read_table("remedies"),
            chance,
            shop.stop,
            checkpoint,
        )

    def subscribe(self, audience: Audience, url: str, firm: str = FIRM) -> None:
        self.subscribing.set_firm(firm, {audience: url}, SECRET)

    def tell(self) -> None:
        """What the sweep rings for, once outcomes have gathered; nothing that is to be left alone.

        Raises RuntimeError: there is no end to it.
        """
        for _ in range(50):
            self.shop.execute("UPDATE outcomes SET at = at - interval '1 minute'")
            self.shop.execute("UPDATE endpoints SET rung_at = NULL")
            due = self.shop.sweep().endpoints
            if not due:
                return
            for endpoint_id in due:
                self.telling.tell(endpoint_id)
        raise RuntimeError("always something to tell")

    def wait(self) -> float:
        """Let the time pass for which receivers are left alone; how many seconds that was."""
        row = self.shop.row(
            "SELECT coalesce(extract(epoch FROM max(due_at) - now()), 0)::float AS s FROM endpoints"
        )
        self.shop.execute("UPDATE endpoints SET due_at = now() WHERE due_at > now()")
        self.shop.execute("UPDATE messages SET due_at = now() WHERE due_at > now()")
        return float(row["s"])


def come_and_go(shop: Workshop, count: int, firm: str = FIRM) -> None:
    """So many outcomes of entries that never came."""
    shop.execute(
        "INSERT INTO outcomes (firm_id, folder, entry_id, revision, state) "
        "SELECT f.id, 'F', 'e' || n, 1, 'missing' FROM firms f, generate_series(1, :count) n "
        "WHERE f.code = :firm ORDER BY n",
        count=count,
        firm=firm,
    )


def check_order(receiver: Receiver, count: int) -> None:
    """So many outcomes were told, in order, none twice and none left out."""
    assert [one["sequence"] for one in receiver.outcomes] == [*range(1, count + 1)]
