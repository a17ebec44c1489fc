"""Which of Loop's refusals are one case to read."""

import pytest

from passerelle.domain.alike import alike

FIRST = "Ligne 12 : le compte 60640000 de la pièce FA-2026-000123 est fermé depuis le 31/12/2025."


@pytest.mark.parametrize(
    "other",
    [
        "Ligne 7 : le compte 60640000 de la pièce FA-2026-000124 est fermé depuis le 31/12/2025.",
        "LIGNE 12 : le compte 401 de la  pièce FA-2026-9 est fermé depuis le 2025-12-31.",
    ],
)
def test_refusals_that_differ_in_numbers_and_case_are_alike(other: str) -> None:
    assert alike(other) == alike(FIRST)


def test_an_id_is_no_word() -> None:
    one, other = (
        f"Demande {id_} : erreur interne"
        for id_ in ("8f14e45f-ceea-467f-a0b2-3d1c5e6f7a8b", "C9F0F895-FB98-4B91-A59F-3D1C5E6F7A8B")
    )
    assert alike(one) == alike(other) == "demande # : erreur interne"


def test_other_words_are_another_cause() -> None:
    assert alike("Le journal ACH est fermé.") != alike("Le journal VTE est fermé.")
    assert alike("Le compte 401 est fermé.") != alike("Le compte 401 est absent.")


def test_however_long_a_message_is_its_cause_fits_an_index() -> None:
    assert len(alike("é" * 5_000)) == len(alike("é" * 6_000)) == 200
