"""Finding out whether Loop is back: by a cheap read, before anything is sent (engine rule 9)."""

from sqlalchemy import Engine

from passerelle.loop_api.client import Credentials, Loop
from passerelle.observe import log
from passerelle.store import outages
from passerelle.store.vault import Vault
from passerelle.turns import READING, Turns


class Probing:
    def __init__(self, engine: Engine, loop: Loop, vault: Vault, turns: Turns) -> None:
        self._engine = engine
        self._loop = loop
        self._vault = vault
        self._turns = turns

    def probe(self) -> None:
        """One read. Whatever Loop says, refusals included, shows that it is back."""
        with self._engine.begin() as connection:
            prober = outages.prober(connection)
        if prober is None:
            return
        with self._turns.turn(prober.firm_id, READING) as granted:
            if not granted:
                return
            credentials = Credentials.opened(prober, self._vault.open)
            answer = self._loop.read_folder(credentials, prober.code)
        if answer.down:
            log.warning("Loop is down", message=answer.message)
            return
        with self._engine.begin() as connection:
            seconds = outages.end(connection)
        if seconds is not None:
            log.warning("Loop answers again", seconds=round(seconds))
