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
from sqlalchemy.exc import SQLAlchemyError

from passerelle.domain.backoff import PROBE_CAP, aside_delay, retry_delay
from passerelle.domain.remedies import with_remedy
from passerelle.domain.webhook import headers, parse_secrets
from passerelle.observe import log
from passerelle.store import endpoints, queries
from passerelle.store.endpoints import Endpoint, Message
from passerelle.store.identity import went_back
from passerelle.store.vault import Vault, VaultError
from passerelle.webhook import Receipt, Webhooks
from schemas import messages
from schemas.messages import Letterhead

AT_ONCE = 12
"""Receivers that a process tells at the same time; the sweep has threads left beside them."""

_LEASE_SECONDS = 120.0
"""Longer than two messages, one after the other, may take."""

_BUDGET_SECONDS = 30.0
"""After it a task ends, and others have their turn."""

_SUSPICIOUS = 3
"""Tries in vain after which it may be the message, and not the receiver."""

_PATIENCE = 10
"""So many more, where the receiver says that it is busy."""


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
        checkpoint: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._engine = engine
        self._webhooks = webhooks
        self._vault = vault
        self._catalogue = catalogue
        self._chance = chance
        self._stop = stop
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
        try:
            while time.monotonic() < end and not self._stop.is_set():
                with self._engine.begin() as connection:
                    endpoint = _claim(connection, endpoint_id, lease)
                    if endpoint is None:
                        return
                    message = endpoints.next_message(connection, endpoint_id)
                if message is None:
                    return
                self._checkpoint("packed")
                if not self._tell(endpoint, message):
                    return
        finally:
            with self._engine.begin() as connection:
                endpoints.release(connection, endpoint_id, lease)

    def _tell(self, endpoint: Endpoint, message: Message) -> bool:
        """Whether the receiver takes messages."""
        receipt = self._send(endpoint, message)
        if receipt is None or receipt.told:
            return True
        if receipt.too_large and self._halves(endpoint, message):
            return True
        if message.aside or self._takes_another(endpoint, message, receipt):
            self._set_aside(endpoint, message, receipt.words)
            return True
        delay = retry_delay(
            endpoint.failures + 1,
            self._chance(),
            PROBE_CAP if receipt.gone else receipt.retry_after,
        )
        with self._engine.begin() as connection:
            endpoints.note_failure(connection, endpoint, message.id, receipt.words, delay)
        log.warning("a receiver takes nothing", endpoint=endpoint.id, words=receipt.words)
        return False

    def _halves(self, endpoint: Endpoint, message: Message) -> bool:
        with self._engine.begin() as connection:
            return _claim(connection, endpoint.id, endpoint.lease) is not None and endpoints.halve(
                connection, message.id
            )

    def _takes_another(self, endpoint: Endpoint, message: Message, receipt: Receipt) -> bool:
        """Whether a receiver that has not taken a message several times takes one behind it."""
        tries = message.failures + 1 - _SUSPICIOUS
        if tries < (_PATIENCE if receipt.busy else 0) or receipt.gone:
            return False
        with self._engine.begin() as connection:
            if _claim(connection, endpoint.id, endpoint.lease) is None:
                return False
            another = endpoints.another_message(connection, endpoint.id, message, tries)
        other = None if another is None else self._send(endpoint, another)
        if another is None or other is None:
            return False
        if other.too_large:
            self._halves(endpoint, another)
        return other.told

    def _set_aside(self, endpoint: Endpoint, message: Message, words: str) -> None:
        delay = aside_delay(message.failures if message.aside else 0, self._chance())
        with self._engine.begin() as connection:
            endpoints.set_aside(connection, endpoint, message.id, delay)
        log.warning("a message is set aside", webhook_id=str(message.webhook_id), words=words)

    def _send(self, endpoint: Endpoint, message: Message) -> Receipt | None:
        """None: a bug of ours keeps it from being sent, and it is set aside."""
        try:
            with queries.reading(self._engine) as connection:
                body = self._body(connection, endpoint, message)
        except SQLAlchemyError:
            raise
        # It must not hold up the others.
        except Exception:  # noqa: BLE001 idem
            log.exception("a message cannot be written")
            self._set_aside(endpoint, message, "passerelle failed on it")
            return None
        try:
            url = self._vault.open(endpoint.url)
            secrets = parse_secrets(self._vault.open(endpoint.secrets))
        except VaultError as error:
            return Receipt(told=False, words=str(error))
        signed = headers(secrets, str(message.webhook_id), endpoint.at, body)
        receipt = self._webhooks.post(url, signed, body)
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
            case Message(case_id=int(case_id), seen=dict(seen)):
                found = queries.case(connection, case_id)
                if found is not None:
                    return messages.case(head, with_remedy({**found, **seen}, self._catalogue))
        raise ValueError(f"message {message.id} is about nothing")


def _claim(connection: Connection, endpoint_id: int, lease: uuid.UUID) -> Endpoint | None:
    """Nothing is told from a database that went back: what it was told since is not known."""
    if went_back(connection):
        return None
    return endpoints.claim(connection, endpoint_id, lease, _LEASE_SECONDS)
