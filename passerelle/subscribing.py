"""Who wants to be told, and where: `firm set`, `outcome replay`."""

import datetime as dt
from collections.abc import Mapping

from sqlalchemy import Engine

from passerelle.domain.errors import RegistrationError, no_firm
from passerelle.domain.webhook import WebhookError, parse_secrets
from passerelle.store import outbox, registry, subscriptions
from passerelle.store.outbox_models import Audience
from passerelle.store.subscriptions import Replayed
from passerelle.store.vault import Vault
from passerelle.webhook import Webhooks

_UNSIGNED = (
    "Messages are signed: give --webhook-secret-file, too, a file that holds the secret that the "
    'receiver knows, such as: echo "whsec_$(openssl rand -base64 32)"'
)


class Subscribing:
    def __init__(self, engine: Engine, vault: Vault, webhooks: Webhooks) -> None:
        self._engine = engine
        self._vault = vault
        self._webhooks = webhooks

    def set_firm(self, code: str, urls: Mapping[Audience, str], secrets: str | None) -> None:
        """Where a firm's audiences are told from now on, an empty address for nowhere; and with
        what messages are signed, where that changes (`domain.webhook.parse_secrets`).

        Raises:
            RegistrationError: no such firm is registered.
            WebhookError: an address or a secret cannot be taken; nothing was changed.
        """
        for url in urls.values():
            if url:
                self._webhooks.check(url)
        if secrets is not None:
            parse_secrets(secrets)
        with self._engine.begin() as connection:
            firm_id = registry.registered_firm(connection, code)
            if firm_id is None:
                raise RegistrationError(no_firm(code))
            if secrets is not None:
                subscriptions.set_secrets(connection, firm_id, self._vault.seal(secrets))
            elif any(urls.values()) and not subscriptions.has_secrets(connection, firm_id):
                raise WebhookError(_UNSIGNED)
            for audience, url in urls.items():
                new = subscriptions.set_url(
                    connection, firm_id, audience, self._vault.seal(url) if url else None
                )
                if new and url and audience is Audience.ALERT:
                    outbox.tell_standing(connection, firm_id)

    def replay(self, since: dt.datetime, firm: str | None) -> Replayed:
        """Tell the hub of a firm, or of all, again what it was told since, and what it was not.

        Raises:
            RegistrationError: no such firm is registered, or no hub has an address.
        """
        with self._engine.begin() as connection:
            if firm is not None and registry.registered_firm(connection, firm) is None:
                raise RegistrationError(no_firm(firm))
            hubs = subscriptions.hubs(connection, firm)
        replayed = []
        for firm_id in hubs:
            with self._engine.begin() as connection:
                replayed.append(subscriptions.replay(connection, firm_id, since))
        if not replayed:
            raise RegistrationError(
                f"No hub is told anything: passerelle firm set {firm or 'CODE'} --outcome-url URL"
            )
        return Replayed(
            sum(one.messages for one in replayed),
            sum(one.outcomes for one in replayed),
            any(one.erased for one in replayed),
        )
