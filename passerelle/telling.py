"""Telling the hub what became of entries, and people of cases: one message at a time (contract
section 8).

A receiver that takes nothing is left alone for ever longer, up to minutes; what is for it waits,
and goes in order once it takes the first again. Packed and named before it is sent: whatever dies
on the way, it is told again under the same name.
"""

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Engine

from passerelle.domain.backoff import PROBE_CAP, aside_delay, retry_delay
from passerelle.domain.remedies import with_remedy
from passerelle.domain.webhook import headers, parse_secrets
from passerelle.observe import log
from passerelle.store import endpoints, queries
from passerelle.store.endpoints import Endpoint, Message
from passerelle.store.vault import Vault
from passerelle.webhook import Receipt, Webhooks
from schemas import messages
from schemas.messages import Letterhead

AT_ONCE = 12
"""Receivers that a process tells at the same time; the sweep has threads left beside them."""

_BUDGET_SECONDS = 30.0
"""After it a task ends, and others have their turn."""

_SUSPICIOUS = 3
"""Tries in vain after which it may be the message, and not the receiver."""


class Telling:
    """`catalogue`: of remedies. `stop` is set when the process is to end. `checkpoint` is told of
    each step.
    """

    def __init__(
        self,
        engine: Engine,
        webhooks: Webhooks,
        vault: Vault,
        catalogue: Mapping[str, Any],
        chance: Callable[[], float],
        stop: threading.Event,
        lease_seconds: float,
        checkpoint: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._engine = engine
        self._webhooks = webhooks
        self._vault = vault
        self._catalogue = catalogue
        self._chance = chance
        self._stop = stop
        self._lease_seconds = lease_seconds
        self._checkpoint = checkpoint
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def tell(self, endpoint_id: int) -> None:
        """Send what waits for an endpoint, if it may be sent to, until it takes no more."""
        if not self._places.acquire(blocking=False):
            return
        try:
            self._tell_all(endpoint_id)
        finally:
            self._places.release()

    def _tell_all(self, endpoint_id: int) -> None:
        lease, end = uuid.uuid4(), time.monotonic() + _BUDGET_SECONDS
        while time.monotonic() < end and not self._stop.is_set():
            with self._engine.begin() as connection:
                endpoint = endpoints.claim(connection, endpoint_id, lease, self._lease_seconds)
                if endpoint is None:
                    break
                message = endpoints.next_message(connection, endpoint_id)
            if message is None:
                break
            self._checkpoint("packed")
            if not self._tell(endpoint, message):
                break
        with self._engine.begin() as connection:
            endpoints.release(connection, endpoint_id, lease)

    def _tell(self, endpoint: Endpoint, message: Message) -> bool:
        """Whether the receiver takes messages."""
        receipt = self._send(endpoint, message)
        if receipt.told:
            return True
        answered = receipt.status is not None and not receipt.gone
        if answered and (message.aside or self._takes_another(endpoint, message)):
            self._set_aside(message, receipt)
            return True
        delay = retry_delay(
            endpoint.failures + 1,
            self._chance(),
            max(receipt.retry_after or 0.0, PROBE_CAP) if receipt.gone else receipt.retry_after,
        )
        with self._engine.begin() as connection:
            endpoints.note_failure(connection, endpoint.id, message.id, receipt.words, delay)
        log.warning("a receiver takes nothing", endpoint=endpoint.id, message=receipt.words)
        return False

    def _takes_another(self, endpoint: Endpoint, message: Message) -> bool:
        """Whether a receiver that has refused a message several times takes the one behind it."""
        if message.failures + 1 < _SUSPICIOUS:
            return False
        with self._engine.begin() as connection:
            another = endpoints.next_message(connection, endpoint.id, after=message.id)
        return another is not None and self._send(endpoint, another).told

    def _set_aside(self, message: Message, receipt: Receipt) -> None:
        delay = aside_delay(message.failures, self._chance())
        with self._engine.begin() as connection:
            endpoints.set_aside(connection, message.id, delay)
        log.warning("a message is set aside", webhook=message.webhook_id, message=receipt.words)

    def _send(self, endpoint: Endpoint, message: Message) -> Receipt:
        with queries.reading(self._engine) as connection:
            body = self._body(connection, endpoint, message)
        secrets = parse_secrets(self._vault.open(endpoint.secrets))
        signed = headers(secrets, str(message.webhook_id), endpoint.at, body)
        receipt = self._webhooks.post(endpoint.url, signed, body)
        self._checkpoint("sent")
        if receipt.told:
            with self._engine.begin() as connection:
                endpoints.note_told(connection, endpoint.id, message.id)
        return receipt

    def _body(self, connection: Connection, endpoint: Endpoint, message: Message) -> bytes:
        head = Letterhead(message.type, endpoint.at, endpoint.firm, endpoint.connector)
        match message:
            case Message(first_sequence=int(first), last_sequence=int(last)):
                rows = endpoints.outcomes(connection, endpoint.firm_id, first, last)
                return messages.outcomes(head, rows, self._catalogue)
            case Message(folder_id=int(folder_id), seen=dict(seen)):
                folder = endpoints.folder_code(connection, folder_id)
                return messages.folder_state(
                    head, folder, message.created_at, seen, self._catalogue
                )
            case Message(case_id=int(case_id)):
                found = queries.case(connection, case_id)
                if found is not None:
                    return messages.case(head, with_remedy(found, self._catalogue))
        raise ValueError(f"message {message.id} is about nothing")
