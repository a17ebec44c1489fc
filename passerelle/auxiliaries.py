"""Giving an auxiliary code a code of its own in Loop: `folder map-auxiliary`."""

from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from passerelle.domain.errors import PasserelleError
from passerelle.domain.limits import Limits
from passerelle.domain.mapping import auxiliary_code
from passerelle.lines import auxiliaries
from passerelle.store import auxiliaries as store
from passerelle.store.auxiliaries import Owner, SentUnder
from passerelle.store.case_history import Act
from passerelle.store.cases import Ending
from passerelle.store.claims import auxiliary_loop_codes
from passerelle.store.engine import transact
from passerelle.store.revisions import Freed, end_case

_TRIES = 5


class AuxiliaryError(PasserelleError):
    """The code is not to be had; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Given:
    """`code` goes to Loop as `loop_code`, and went `before` as another, the same or none.

    `sent`: what has gone, or may have gone, to Loop under the other. `case_id`: the collision that
    this has healed.
    """

    code: str
    loop_code: str
    before: str | None
    sent: SentUnder
    case_id: int | None
    freed: Freed


class Auxiliaries:
    def __init__(self, engine: Engine, limits: Limits) -> None:
        self._engine = engine
        self._limits = limits

    def give(self, folder_id: int, code: str, loop_code: str, who: str) -> Given:
        """Send an auxiliary code under another; what waited because of its short form goes on.

        Raises:
            AuxiliaryError: Loop cannot hold the code, another goes by it, or entries are just
                being prepared.
        """
        # The case may be in the hands of somebody who waits for the folder.
        return transact(
            self._engine,
            lambda connection: self.give_in(connection, folder_id, code, loop_code, who),
            tries=_TRIES,
        )

    def give_in(
        self, connection: Connection, folder_id: int, code: str, loop_code: str, who: str
    ) -> Given:
        """The same within a transaction."""
        code, loop_code = auxiliary_code(code), auxiliary_code(loop_code)
        self._refuse(code, loop_code)
        firm_id = store.lock_folder(connection, folder_id)
        if code in auxiliaries(store.claimed(connection, folder_id)):
            raise AuxiliaryError(f"Entries of {code} are just being sent: try again in a moment.")
        owner = store.owner(connection, folder_id, loop_code)
        if owner is not None and owner.code != code:
            raise AuxiliaryError(_taken(owner, loop_code))
        before = auxiliary_loop_codes(connection, firm_id, folder_id, [code]).get(code)
        sent = SentUnder(0, erased=False)
        if before != loop_code:
            if before is not None:
                sent = store.sent_under(connection, folder_id, before)
            store.give(connection, firm_id, folder_id, code, loop_code)
            if before is not None and (sent.count or sent.erased):
                store.keep(connection, firm_id, folder_id, code, before)
        case_id = store.lock_collision(connection, folder_id, code)
        freed = Freed(0, ())
        if case_id is not None:
            why = f"{code} goes to Loop as {loop_code}."
            freed = end_case(connection, case_id, Ending(Act.HEALED, who, why))
        return Given(code, loop_code, before, sent, case_id, freed)

    def _refuse(self, code: str, loop_code: str) -> None:
        if not code or not loop_code:
            raise AuxiliaryError("A code has at least one character that is seen.")
        most = self._limits.auxiliary_code
        if len(loop_code) > most:
            raise AuxiliaryError(
                f"{loop_code} has {len(loop_code)} characters, and Loop keeps {most}."
            )


def _taken(owner: Owner, loop_code: str) -> str:
    if owner.former:
        return f"Entries of {owner.code} were sent as {loop_code}, which stays its own."
    return f"{loop_code} is what {owner.code} goes by in this folder."
