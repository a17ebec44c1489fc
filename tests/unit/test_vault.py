"""Secrets at rest."""

import pytest
from cryptography.fernet import Fernet

from passerelle.store.vault import Vault, VaultError

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
SECRET = "se:cret é"


def test_a_secret_comes_back_and_does_not_show() -> None:
    sealed = Vault([OLD]).seal(SECRET)
    assert SECRET.encode() not in sealed
    assert Vault([OLD]).open(sealed) == SECRET


def test_two_seals_of_one_secret_differ() -> None:
    vault = Vault([OLD])
    assert vault.seal(SECRET) != vault.seal(SECRET)


def test_a_new_first_key_still_opens_what_the_old_one_sealed() -> None:
    sealed = Vault([OLD]).seal(SECRET)
    assert Vault([NEW, OLD]).open(sealed) == SECRET
    assert Vault([OLD]).open(Vault([OLD, NEW]).seal(SECRET)) == SECRET


def test_what_is_sealed_anew_needs_the_old_key_no_more() -> None:
    sealed = Vault([OLD]).seal(SECRET)
    assert Vault([NEW]).open(Vault([NEW, OLD]).reseal(sealed)) == SECRET
    with pytest.raises(VaultError, match="PASSERELLE_SECRET_KEYS"):
        Vault([NEW]).reseal(sealed)


@pytest.mark.parametrize(
    "sealed",
    [Vault([OLD]).seal(SECRET), b"", b"nonsense"],
    ids=["under another key", "empty", "nonsense"],
)
def test_what_no_key_opens_is_told_without_the_secret(sealed: bytes) -> None:
    with pytest.raises(VaultError, match="PASSERELLE_SECRET_KEYS") as caught:
        Vault([NEW]).open(sealed)
    assert SECRET not in str(caught.value)
    assert NEW not in str(caught.value)


def test_equal_secrets_are_found_under_every_key_and_none_is_told() -> None:
    old, both = Vault([OLD]), Vault([NEW, OLD])
    [stored] = old.hashes(SECRET)
    assert stored in both.hashes(SECRET)
    assert both.hashes(SECRET)[0] not in old.hashes(SECRET)
    assert stored not in both.hashes("another")
    assert SECRET.encode() not in stored
