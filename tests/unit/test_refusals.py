"""Loop's refusals are known by fragments of their words. Reference: Loop API 3.7, 4 and 5."""

import pytest

from passerelle.domain.states import Reason
from passerelle.loop_api.refusals import (
    Refusal,
    is_quota,
    is_subscription_refusal,
    recognise,
    wait_in_words,
)

# Reference: Loop API 3.7, the table of fragments.
DEFINITE = [
    "pas de payload",
    "contexte est obligatoire",
    "pas d'écritures",
    "de tableau",
    "au moins deux lignes",
    "format ISO",
    "renseignées ensemble",
    "SIRET est invalide",
    "SIREN identique",
    "n'est pas reconnu",
    "codeIbs n'est pas",
    "chemin d'accès URI",
    "Ambiguité",
]
ACCESS = [
    "n'a pas accès au dossier",
    "n'a pas acces au dossier",
    "n\u2019a pas accès au dossier",
    "N'A PAS ACCÈS AU DOSSIER",
    "does not have access to the folder",
    "during the JSON import request: The collaborator [X] does not have access to the folder [Y]",
]


def spellings(fragment: str) -> list[str]:
    """As it may be spelt: within other words, in capitals, curly, decomposed."""
    return [
        fragment,
        f"Une erreur : {fragment} (ligne 3).",
        fragment.upper(),
        fragment.replace("'", "\u2019"),
        fragment.replace("é", "e\u0301").replace("è", "e\u0300"),
        fragment.replace("é", "e").replace("è", "e"),
    ]


@pytest.mark.parametrize("fragment", DEFINITE)
def test_the_references_refusals_are_definite(fragment: str) -> None:
    for spelling in spellings(fragment):
        assert recognise(spelling) == Refusal(definite=True), spelling


@pytest.mark.parametrize("words", ACCESS)
def test_a_refusal_of_access_is_known_in_both_languages(words: str) -> None:
    assert recognise(words) == Refusal(definite=True, reason=Reason.ACCESS_DENIED)


def test_an_unknown_folder_is_known() -> None:
    for words in spellings("le dossier X n'existe pas sur le domaine"):
        assert recognise(words) == Refusal(definite=True, reason=Reason.UNKNOWN_FOLDER)


@pytest.mark.parametrize("words", ["", "Une erreur interne est survenue", "timeout", "dossier"])
def test_other_words_say_nothing_definite(words: str) -> None:
    assert recognise(words) == Refusal(definite=False)


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Quota will be replenished in 07:01:20.", 25_280),
        ("Quota will be replenished in 20.09:58:55.", 1_763_935),
        ("Quota will be replenished in 2.12 days.", 183_168),
        ("Try again in 57 seconds.", 57),
        ("Try again in 1 second.", 1),
        ("Quota will be replenished in 1 day.", 86_400),
        ("Quota will be replenished in 00:00:00.", 0),
        ("Quota exceeded.", None),
        ("", None),
    ],
)
def test_the_gateway_says_how_long_in_words(words: str, seconds: float | None) -> None:
    assert wait_in_words(words) == pytest.approx(seconds)


def test_no_number_is_too_long_to_be_read() -> None:
    many = "9" * 900
    for words in (f"{many}.09:58:55", f"{many} days", f"{many} seconds", f"{many}.5 days"):
        found = wait_in_words(words)
        assert found is None or found > 0


def test_a_quota_and_a_subscription_key_are_told_from_other_refusals() -> None:
    assert is_quota("Out of call volume quota. Quota will be replenished in 07:01:20.")
    assert not is_quota("Access denied")
    challenge = 'AzureApiManagementKey realm="x",name="Ocp-Apim-Subscription-Key",type="header"'
    assert is_subscription_refusal("", challenge)
    assert is_subscription_refusal("Access denied due to invalid subscription key.", "")
    assert not is_subscription_refusal("la clé d'API est invalide", "Basic")
