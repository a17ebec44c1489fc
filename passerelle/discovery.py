"""The folders that a firm's key reaches, where Loop has a route that lists them."""

from sqlalchemy import Engine

from passerelle.domain.errors import PasserelleError, no_firm
from passerelle.domain.outcome import Answer
from passerelle.domain.referential import Page, Record
from passerelle.loop_api.client import PAGE_SIZE, Credentials, Loop
from passerelle.store.credentials import sealed_firm
from passerelle.store.vault import Vault
from passerelle.turns import BUSY, READING, Turns


class DiscoveryError(PasserelleError):
    """The folders cannot be listed."""


class Discovery:
    """`route`: of the list, below the base URL; empty where it is not known."""

    def __init__(self, engine: Engine, loop: Loop, vault: Vault, turns: Turns, route: str) -> None:
        self._engine = engine
        self._loop = loop
        self._vault = vault
        self._turns = turns
        self._route = route

    def folders(self, firm: str) -> list[Record]:
        """Code and name of each folder, in Loop's order.

        Raises:
            DiscoveryError: the route is not known, the firm is not, or Loop did not say.
        """
        if not self._route:
            raise DiscoveryError(
                "PASSERELLE_DISCOVER_ROUTE is not set: Cegid documents no route that lists a key's "
                "folders. Ask Cegid for it, or add each with `passerelle folder add`."
            )
        with self._engine.begin() as connection:
            keys = sealed_firm(connection, firm)
        if keys is None:
            raise DiscoveryError(no_firm(firm))
        credentials = Credentials.opened(keys, self._vault.open)
        found: dict[str, Record] = {}
        received = 0
        while True:
            page = self._page(keys.id, credentials, received)
            new = {record.code: record for record in page.records if record.code not in found}
            found |= new
            received += page.received
            if page.received < PAGE_SIZE or not new:
                return list(found.values())

    def _page(self, firm_id: int, credentials: Credentials, skip: int) -> Page:
        with self._turns.turn(firm_id, READING) as granted:
            if not granted:
                raise DiscoveryError(BUSY)
            said = self._loop.folder_page(credentials, self._route, skip)
        if isinstance(said, Answer):
            raise DiscoveryError(f"Loop did not list the folders: {said.message}")
        with self._engine.begin() as connection:
            self._turns.answered(connection, firm_id)
        return said
