"""Secrets at rest: MultiFernet, newest key first."""

import hashlib
import hmac
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class VaultError(Exception):
    """What is stored was encrypted with a key that PASSERELLE_SECRET_KEYS does not hold."""


_LACKS = (
    "A stored secret cannot be decrypted: PASSERELLE_SECRET_KEYS lacks the key that it was stored "
    "with. Add that key behind the newest."
)


class Vault:
    def __init__(self, keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._keys = [key.encode() for key in keys]

    def seal(self, secret: str) -> bytes:
        return self._fernet.encrypt(secret.encode())

    def open(self, sealed: bytes) -> str:
        """Raises: VaultError."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise VaultError(_LACKS) from None

    def reseal(self, sealed: bytes) -> bytes:
        """The same secret, encrypted with the newest key. Raises: VaultError."""
        try:
            return self._fernet.rotate(sealed)
        except InvalidToken:
            raise VaultError(_LACKS) from None

    def hashes(self, secret: str) -> list[bytes]:
        """Keyed hashes of a secret, newest key first: equal secrets are found, none is told."""
        return [hmac.digest(key, secret.encode(), hashlib.sha256) for key in self._keys]
