"""A firm's keys against Loop: tried, checked, replaced (engine rule 21)."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from passerelle.domain.errors import PasserelleError, no_firm
from passerelle.domain.firm_keys import FirmKeys
from passerelle.domain.key_trial import sentence
from passerelle.domain.outcome import Answer, Sort
from passerelle.domain.referential import Kind
from passerelle.domain.states import Reason
from passerelle.loop_api.client import Credentials, Loop
from passerelle.observe import log
from passerelle.store import credentials as store
from passerelle.store import domains, pauses
from passerelle.store.credentials import SealedFirm
from passerelle.store.registry import owner_of_key
from passerelle.store.revisions import heal_cases
from passerelle.store.unanswered import back_off
from passerelle.store.vault import Vault, VaultError
from passerelle.turns import BUSY, READING, Turns

_MOST_FOLDERS = 50
_ENOUGH = 5
"""Folders that show other journals than are known of them."""

_LOOK_SECONDS = 0.2
_PAUSED = "The firm's keys are being replaced."
_OTHER_DOMAIN = (
    "No folder shows these keys a journal that is known of it: they lead to another Loop domain, "
    "or no folder is activated for them in Loop Hub. Activate one; if the firm has moved to "
    "another domain, say so with --other-domain and --why."
)
_MOVED = (
    "{who} replaced the firm's keys by those of another Loop domain: {why} Look for the entry in "
    "the old one and settle it by hand."
)
_T = TypeVar("_T")


class ConnectingError(PasserelleError):
    """Loop does not take the keys, or they cannot be replaced so; nothing was saved."""


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What is to be replaced of a firm's keys; None keeps what is stored."""

    api_key: str | None = field(default=None, repr=False)
    api_secret: str | None = field(default=None, repr=False)
    subscription_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Checked:
    """`refused`: the keys are at fault. `folders` have something to do since the check."""

    ok: bool
    refused: bool
    message: str
    folders: Sequence[int] = ()


class Connecting:
    """`lease_seconds`: how long a delivery may be under way. `chance` gives numbers 0 to 1."""

    def __init__(
        self,
        engine: Engine,
        loop: Loop,
        vault: Vault,
        turns: Turns,
        lease_seconds: float,
        chance: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._loop = loop
        self._vault = vault
        self._turns = turns
        self._lease_seconds = lease_seconds
        self._chance = chance

    def try_keys(self, keys: FirmKeys) -> None:
        """Of a firm that has none yet: it has no turns, either. Raises: ConnectingError."""
        _believe(self._loop.try_keys(_credentials(keys)))

    def check(self, code: str) -> Checked:
        """Try a firm's stored keys; that they pass heals a case of refused ones.

        Raises:
            ConnectingError: no such firm, or it has no turn.
            VaultError: its keys cannot be decrypted.
        """
        firm = self._firm(code)
        keys = self._changed(firm, KeyChange())
        answer = self._in_turn(firm, self._loop.try_keys, _credentials(keys))
        with self._engine.begin() as connection:
            if answer.sort is Sort.ACCEPTED:
                folders = heal_cases(connection, firm.id, [Reason.CREDENTIALS_REFUSED])
                self._turns.answered(connection, firm.id)
                return Checked(ok=True, refused=False, message=sentence(answer), folders=folders)
            if answer.sort is Sort.PAUSE:
                back_off(connection, firm.id, answer, self._chance())
        return Checked(ok=False, refused=answer.sort is Sort.PERSON, message=sentence(answer))

    def rotate(self, code: str, change: KeyChange, who: str, why: str | None = None) -> list[int]:
        """Replace keys that pass; heals what waited for it. The folders that have something to do.

        They have to lead to the same Loop domain, unless `why` says why they do not: then what is
        not known to have ended is `undecided`.

        Raises:
            RegistrationError: a key is empty or cannot be sent.
            ConnectingError, VaultError: nothing was changed.
        """
        firm = self._firm(code)
        keys = self._changed(firm, change).trimmed()
        with self._engine.begin() as connection:
            self._refuse_anothers(connection, firm, keys)
        _believe(self._in_turn(firm, self._loop.try_keys, _credentials(keys)))
        if why is None:
            self._same_domain(firm, _credentials(keys))
        try:
            if why is None:
                with self._engine.begin() as connection:
                    _unchanged(connection, firm)
                    folders = self._store(connection, firm, keys)
            else:
                folders = self._leave(firm, keys, _MOVED.format(who=who, why=why))
        except IntegrityError:
            raise ConnectingError("This API key is just being given to another firm.") from None
        log.warning("a firm's keys were replaced", firm=code, who=who, other_domain=why)
        return folders

    def _firm(self, code: str) -> SealedFirm:
        with self._engine.begin() as connection:
            firm = store.sealed_firm(connection, code)
        if firm is None:
            raise ConnectingError(no_firm(code))
        return firm

    def _changed(self, firm: SealedFirm, change: KeyChange) -> FirmKeys:
        """What is replaced need not be readable."""

        def either(given: str | None, sealed: bytes) -> str:
            return self._vault.open(sealed) if given is None else given

        try:
            return FirmKeys(
                either(change.api_key, firm.api_key),
                either(change.api_secret, firm.api_secret),
                either(change.subscription_key, firm.subscription_key),
            )
        except VaultError as error:
            raise VaultError(f"Firm {firm.code}: {error}") from None

    def _in_turn(self, firm: SealedFirm, call: Callable[..., _T], *arguments: object) -> _T:
        with self._turns.turn(firm.id, READING) as granted:
            if not granted:
                raise ConnectingError(BUSY)
            return call(*arguments)

    def _same_domain(self, firm: SealedFirm, keys: Credentials) -> None:
        """One folder that shows a journal as it is stored is enough."""
        with self._engine.begin() as connection:
            known = store.known_journals(connection, firm.id, _MOST_FOLDERS)
        others = 0
        for one in known:
            if others == _ENOUGH:
                break
            said = self._in_turn(firm, self._loop.list_page, keys, one.folder, Kind.JOURNAL, 0)
            if not isinstance(said, Answer):
                if one.object_ids & {record.object_id for record in said.records}:
                    return
                others += 1
            elif said.down or said.sort in {Sort.AGAIN, Sort.PAUSE}:
                raise ConnectingError(
                    f"It could not be seen whether it is the same Loop domain. {sentence(said)}"
                )
        if known:
            raise ConnectingError(_OTHER_DOMAIN)

    def _leave(self, firm: SealedFirm, keys: FirmKeys, message: str) -> list[int]:
        """What is being sent by the old keys is heard out first."""
        deadline = time.monotonic() + self._lease_seconds
        with self._paused(firm):
            while True:
                with self._engine.begin() as connection:
                    domains.lock_imports(connection, firm.id)
                    _unchanged(connection, firm)
                    # Looked at behind the lock: who was claiming has been waited for.
                    if domains.is_doubted(connection, firm.id):
                        raise ConnectingError(
                            "The database went back, and entries of the firm are yet to be looked "
                            "for by the old keys; try again when `passerelle status` counts none "
                            "as uncertain."
                        )
                    if not domains.is_posting(connection, firm.id):
                        domains.leave(connection, firm.id, message)
                        return self._store(connection, firm, keys)
                if time.monotonic() > deadline:
                    raise ConnectingError(
                        "Entries of the firm are still being sent by the old keys; try again."
                    )
                # They are awaited no longer than the lease; nothing tells when they are through.
                time.sleep(_LOOK_SECONDS)

    @contextmanager
    def _paused(self, firm: SealedFirm) -> Iterator[None]:
        """No new request starts meanwhile; if this process dies, the pause runs out by itself."""
        with self._engine.begin() as connection:
            seconds = 2 * self._lease_seconds
            pauses.pause(connection, firm.id, seconds, _PAUSED, throttled=False)
        try:
            yield
        finally:
            with self._engine.begin() as connection:
                pauses.end_pause(connection, firm.id, _PAUSED)

    def _store(self, connection: Connection, firm: SealedFirm, keys: FirmKeys) -> list[int]:
        hashes = self._refuse_anothers(connection, firm, keys)
        sealed = map(self._vault.seal, (keys.api_key, keys.api_secret, keys.subscription_key))
        store.replace(connection, SealedFirm(firm.id, firm.code, *sealed), hashes[0])
        store.stop_refreshes(connection, firm.id)
        return heal_cases(connection, firm.id, [Reason.CREDENTIALS_REFUSED])

    def _refuse_anothers(
        self, connection: Connection, firm: SealedFirm, keys: FirmKeys
    ) -> list[bytes]:
        hashes = self._vault.hashes(keys.api_key)
        owner = owner_of_key(connection, hashes)
        if owner not in {None, firm.code}:
            raise ConnectingError(
                f"This API key is firm {owner}'s; make a key of its own for {firm.code}."
            )
        return hashes


def _credentials(keys: FirmKeys) -> Credentials:
    return Credentials(keys.api_key, keys.api_secret, keys.subscription_key)


def _believe(answer: Answer) -> None:
    if answer.sort is not Sort.ACCEPTED:
        raise ConnectingError(f"{sentence(answer)} Nothing was saved.")


def _unchanged(connection: Connection, firm: SealedFirm) -> None:
    """The firm, locked. What was not replaced was taken from what was stored then."""
    if store.lock_firm(connection, firm.id) != firm:
        raise ConnectingError("Somebody else has just replaced keys of this firm; look, try again.")
