"""Firms with their credentials, and folders: `firm add`, `folder add`, `db rotate-secrets`."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from passerelle.domain.errors import RegistrationError, no_firm
from passerelle.domain.firm_keys import FirmKeys
from passerelle.domain.states import Reason
from passerelle.store import credentials, registry
from passerelle.store.revisions import heal_cases
from passerelle.store.vault import Vault, VaultError


@dataclass(frozen=True, slots=True)
class FolderTerms:
    """What a person knows of a folder; None leaves it as it is."""

    name: str | None = None
    open_from: dt.date | None = None
    open_to: dt.date | None = None
    create_accounts: bool | None = None


@dataclass(frozen=True, slots=True)
class Resealed:
    """How many firms' keys are encrypted with the newest key; codes of firms whose are not."""

    count: int
    unreadable: Sequence[str]
    # Their API key is another firm's, too.
    doubled: Sequence[str]


class Registration:
    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault

    def add_firm(
        self, code: str, keys: FirmKeys, try_keys: Callable[[FirmKeys], None] = lambda _: None
    ) -> list[int]:
        """Register a firm; heals what waited for it. The folders that have something to do now.

        `try_keys` is called with keys that may be registered, before anything is saved and with no
        transaction open; what it raises passes through.

        Raises:
            RegistrationError: it is registered, or nearly so, or its key is another firm's.
        """
        _check_code(code)
        keys = keys.trimmed()
        with self._engine.begin() as connection:
            self._refuse(connection, code, keys)
        try_keys(keys)
        try:
            with self._engine.begin() as connection:
                firm_id = self._register(connection, code, keys)
                return heal_cases(connection, firm_id, [Reason.UNKNOWN_FIRM])
        except IntegrityError:
            raise RegistrationError(
                "A firm of this code or this API key is just being registered."
            ) from None

    def _refuse(self, connection: Connection, code: str, keys: FirmKeys) -> list[bytes]:
        """The hashes of a key that may be registered for this code."""
        near = registry.near_firm(connection, code)
        if near is not None:
            raise RegistrationError(f"A firm is registered as {near} already.")
        # Before the key: that it is this very firm's would be no answer.
        if registry.registered_firm(connection, code) is not None:
            raise RegistrationError(f"Firm {code} is registered already.")
        hashes = self._vault.hashes(keys.api_key)
        owner = registry.owner_of_key(connection, hashes)
        if owner is not None:
            raise RegistrationError(
                f"This API key is firm {owner}'s; make a key of its own for {code}."
            )
        return hashes

    def _register(self, connection: Connection, code: str, keys: FirmKeys) -> int:
        hashes = self._refuse(connection, code, keys)
        registry.add_codes(connection, [code])
        firm_id = registry.register_firm(
            connection,
            code,
            self._vault.seal(keys.api_key),
            self._vault.seal(keys.api_secret),
            self._vault.seal(keys.subscription_key),
            hashes[0],
        )
        if firm_id is None:
            raise RegistrationError(f"Firm {code} is registered already.")
        return firm_id

    def reseal(self) -> Resealed:
        """Encrypt every firm's keys with the newest key; one that cannot be harms no other."""
        with self._engine.begin() as connection:
            firms = credentials.registered_firms(connection)
        unreadable, doubled = [], []
        for firm_id, code in firms:
            try:
                with self._engine.begin() as connection:
                    credentials.reseal(connection, firm_id, self._vault)
            except VaultError:
                unreadable.append(code)
            except IntegrityError:
                doubled.append(code)
        return Resealed(len(firms) - len(unreadable) - len(doubled), unreadable, doubled)

    def set_firm(self, code: str, connector: str) -> None:
        """Say under which name Loop lists the connector; empty for the usual one.

        Raises:
            RegistrationError: no such firm is registered.
        """
        with self._engine.begin() as connection:
            if not registry.set_firm(connection, code, connector.strip() or None):
                raise RegistrationError(no_firm(code))

    def add_folder(self, firm_code: str, code: str, terms: FolderTerms) -> None:
        """Register a folder of a registered firm.

        Raises:
            RegistrationError: no such firm, or the folder is registered, or nearly so.
        """
        _check_code(code)
        _check_period(terms.open_from, terms.open_to)
        try:
            with self._engine.begin() as connection:
                firm_id = registry.registered_firm(connection, firm_code)
                if firm_id is None:
                    raise RegistrationError(no_firm(firm_code))
                near = registry.near_folder(connection, firm_id, code)
                if near is not None:
                    raise RegistrationError(f"The folder is registered as {near} already.")
                registry.add_codes(connection, [code], firm_id)
                added = registry.add_folder(connection, firm_id, code)
                self._set_folder(connection, firm_id, code, terms)
        except IntegrityError:
            raise RegistrationError(f"The folder {code} is just being registered.") from None
        if not added:
            raise RegistrationError(f"Folder {code} of {firm_code} is registered already.")

    def set_folder(self, firm_code: str, code: str, terms: FolderTerms) -> list[int]:
        """Change what a person knows of a registered folder; what waited for that is looked at
        again. The folder, where it has something to do.

        Raises:
            RegistrationError: no such firm or folder, or the period would end before it begins.
        """
        with self._engine.begin() as connection:
            firm_id = registry.registered_firm(connection, firm_code)
            if firm_id is None or not self._set_folder(connection, firm_id, code, terms):
                raise unregistered(firm_code, code)
            # Whether it is still against them is looked at before they are sent.
            return heal_cases(connection, firm_id, _concerned(terms), code)

    @staticmethod
    def _set_folder(connection: Connection, firm_id: int, code: str, terms: FolderTerms) -> bool:
        period = registry.set_folder(
            connection,
            firm_id,
            code,
            name=terms.name,
            open_from=terms.open_from,
            open_to=terms.open_to,
            create_accounts=terms.create_accounts,
        )
        if period is not None:
            _check_period(*period)
        return period is not None


def _concerned(terms: FolderTerms) -> list[Reason]:
    """What may be over by what was changed."""
    found = []
    if terms.open_from is not None or terms.open_to is not None:
        found.append(Reason.OUTSIDE_OPEN_PERIOD)
    if terms.create_accounts:
        found.append(Reason.UNKNOWN_ACCOUNT)
    return found


def unregistered(firm: str, folder: str) -> RegistrationError:
    return RegistrationError(
        f"No folder {folder} of {firm} is registered: passerelle folder add {firm} {folder}."
    )


def _check_period(first: dt.date | None, last: dt.date | None) -> None:
    if first and last and first > last:
        raise RegistrationError("The open period ends before it begins.")


_LONGEST_CODE = 64


def _check_code(code: str) -> None:
    if not code.strip() or code != code.strip() or len(code) > _LONGEST_CODE:
        raise RegistrationError(
            f"A code has 1 to {_LONGEST_CODE} characters and no blanks around it."
        )
