"""`firm add` and `folder add`: what is registered, refused, and healed by it (engine rule 21)."""

import datetime as dt

import pytest
from sqlalchemy import Engine

from passerelle.domain.errors import RegistrationError
from passerelle.domain.firm_keys import FirmKeys
from passerelle.registration import FolderTerms, Registration
from support.events import purchase
from support.workshop import Workshop, background

KEYS = FirmKeys("key", "se:cret", "subscription")


@pytest.fixture
def shop(engine: Engine) -> Workshop:
    return Workshop(engine)


@pytest.fixture
def registration(shop: Workshop) -> Registration:
    return shop.registration


def test_keys_are_sealed_and_come_back(shop: Workshop, registration: Registration) -> None:
    registration.add_firm("F", FirmKeys(" key\n", "se:cret ", "\tsubscription"))
    row = shop.row("SELECT api_key, api_secret, subscription_key FROM firms")
    assert [shop.vault.open(sealed) for sealed in row.values()] == [
        "key",
        "se:cret",
        "subscription",
    ]
    assert not any(b"cret" in sealed for sealed in row.values())


REFUSED_KEYS = [
    (FirmKeys("", "s", "k"), "API key is empty"),
    (FirmKeys("a", " \n", "k"), "API secret is empty"),
    (FirmKeys("a", "s", ""), "subscription key is empty"),
    (FirmKeys("a:b", "s", "k"), "colon"),
    (FirmKeys("a", "s\r\nx: y", "k"), "API secret holds characters"),
    (FirmKeys("clé", "s", "k"), "API key holds characters"),
]


def test_keys_that_cannot_be_sent_are_refused(shop: Workshop, registration: Registration) -> None:
    for keys, words in REFUSED_KEYS:
        with pytest.raises(RegistrationError, match=words):
            registration.add_firm("F", keys)
    assert shop.rows("SELECT * FROM firms") == []


def test_keys_never_show(registration: Registration) -> None:
    assert "se:cret" not in repr(KEYS)


def test_a_code_is_short_and_has_no_blanks_around_it(
    shop: Workshop, registration: Registration
) -> None:
    registration.add_firm("F", KEYS)
    for code in ("", " ", " G", "G ", "G\n", "x" * 65):
        with pytest.raises(RegistrationError, match="blanks"):
            registration.add_firm(code, KEYS)
        with pytest.raises(RegistrationError, match="blanks"):
            registration.add_folder("F", code, FolderTerms())


def test_a_firm_is_registered_once_whatever_the_case(
    shop: Workshop, registration: Registration
) -> None:
    registration.add_firm("CABINET", KEYS)
    for code in ("CABINET", "cabinet", "Cabinet"):
        with pytest.raises(RegistrationError, match="registered"):
            registration.add_firm(code, FirmKeys("other", "secret", "subscription"))
    assert len(shop.rows("SELECT * FROM firms")) == 1


def test_an_api_key_belongs_to_one_firm(shop: Workshop, registration: Registration) -> None:
    registration.add_firm("F", KEYS)
    with pytest.raises(RegistrationError, match="firm F's"):
        registration.add_firm("G", FirmKeys("key", "another secret", "subscription"))
    assert shop.rows("SELECT code FROM firms") == [{"code": "F"}]


@pytest.mark.parametrize(("code", "key"), [("F", "other"), ("f", "other"), ("G", "key")])
def test_two_registrations_at_once_are_one_and_a_refusal(
    shop: Workshop, registration: Registration, code: str, key: str
) -> None:
    with shop.engine.begin() as connection:
        # As the first registration has them, before its commit.
        connection.exec_driver_sql(
            "INSERT INTO firms (code, code_key, registered_at, api_key, api_secret, "
            "subscription_key, api_key_hash) VALUES ('F', 'f', now(), '', '', '', %s)",
            (shop.vault.hashes("key")[0],),
        )
        other = background(lambda: registration.add_firm(code, FirmKeys(key, "s", "k")))
        shop.wait_for_lock()
    with pytest.raises(RegistrationError, match="registered"):
        other.result(30)


def test_a_firm_that_is_added_heals_what_waited_for_it(
    shop: Workshop, registration: Registration
) -> None:
    shop.submit(purchase(1, firm="F", folder="A"), purchase(2, firm="F", folder="B"))
    shop.submit(purchase(3, firm="G"))
    assert registration.add_firm("F", KEYS) == sorted(
        row["id"] for row in shop.rows("SELECT id FROM folders WHERE code IN ('A', 'B')")
    )
    assert [shop.state(number) for number in (1, 2, 3)] == ["received", "received", "parked"]
    assert shop.cases() == [("firm", "unknown_firm", "healed"), ("firm", "unknown_firm", "open")]


def test_of_two_revisions_that_waited_for_a_firm_the_later_is_sent(
    shop: Workshop, registration: Registration
) -> None:
    shop.submit(purchase(1))
    shop.submit(purchase(1, revision=2, event_id="00000000-0000-4000-8000-000000000001"))
    assert shop.states() == {"superseded": 1, "parked": 1}
    shop.add_firm()
    shop.deliver_all()
    assert (shop.state(1, 1), shop.state(1, 2)) == ("superseded", "posted")


def test_a_folder_needs_a_firm(registration: Registration) -> None:
    with pytest.raises(RegistrationError, match="firm add F"):
        registration.add_folder("F", "A", FolderTerms())


def test_a_folder_is_registered_once_whatever_the_case(registration: Registration) -> None:
    registration.add_firm("F", KEYS)
    registration.add_firm("G", FirmKeys("g", "s", "k"))
    registration.add_folder("F", "DEMO", FolderTerms())
    registration.add_folder("G", "demo", FolderTerms())
    for code in ("DEMO", "demo"):
        with pytest.raises(RegistrationError, match="registered"):
            registration.add_folder("F", code, FolderTerms())


def test_a_folder_keeps_its_name_and_its_open_period(
    shop: Workshop, registration: Registration
) -> None:
    first, last = dt.date(2026, 1, 1), dt.date(2026, 12, 31)
    registration.add_firm("F", KEYS)
    registration.add_folder("F", "DEMO", FolderTerms("Démo", first, last))
    assert shop.row("SELECT name, open_from, open_to FROM folders") == {
        "name": "Démo",
        "open_from": first,
        "open_to": last,
    }
    with pytest.raises(RegistrationError, match="ends before"):
        registration.add_folder("F", "OTHER", FolderTerms(open_from=last, open_to=first))


def test_two_folders_registered_at_once_are_one_and_a_refusal(
    shop: Workshop, registration: Registration
) -> None:
    registration.add_firm("F", KEYS)
    with shop.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO folders (firm_id, code, code_key, registered_at) "
            "VALUES (1, 'DEMO', 'demo', now())"
        )
        other = background(lambda: registration.add_folder("F", "demo", FolderTerms()))
        shop.wait_for_lock()
    with pytest.raises(RegistrationError, match="just being registered"):
        other.result(30)
