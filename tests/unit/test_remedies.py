"""Promise: whoever reads a case also reads what to do."""

import re
from typing import Any

import click
import pytest

from config.settings import read_table
from passerelle.cli.main import main
from passerelle.domain.remedies import LANGUAGES, Facts, Remedy, parties, remedies, remedy
from passerelle.domain.states import Reason

CATALOGUE = read_table("remedies")
# The last two: what the hub is told of what never became an entry.
REASONS = [*Reason, "invalid", "missing"]
COMMAND = re.compile(r"`[^`]*`")


def of(reason: str, **known: Any) -> dict[str, Remedy]:
    facts = {"firm": "CABINET42", "folder": "DEMO000001", "message": "", **known}
    return remedies(CATALOGUE, Facts(reason, **facts))


def test_every_reason_has_a_remedy_in_both_languages_and_nothing_else_has() -> None:
    assert set(CATALOGUE) == {*REASONS, "words"}
    assert all(set(entry) == set(LANGUAGES) for entry in CATALOGUE.values())


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("folder", ["DEMO000001", None])
def test_a_remedy_is_whole_sentences_of_a_readable_length(reason: str, folder: str) -> None:
    for found in of(reason, folder=folder).values():
        assert found.steps
        for sentence in (found.title, *found.steps):
            assert re.fullmatch(r"[A-ZIÉL][^\n{}]{15,200}\.|passerelle [^\n{}]+\.", sentence)
        assert found.text.startswith(f"{found.title} 1. {found.steps[0]}")


@pytest.mark.parametrize("reason", REASONS)
def test_a_remedy_names_the_same_commands_and_steps_in_both_languages(reason: str) -> None:
    english, french = of(reason).values()
    assert len(english.steps) == len(french.steps)
    assert COMMAND.findall(english.text) == COMMAND.findall(french.text)


def test_every_command_that_a_remedy_names_is_there() -> None:
    named = {
        tuple(command.strip("`").split()[1:])
        for entry in CATALOGUE.values()
        for remedy_ in entry.values()
        for step in remedy_.get("steps", ())
        for command in COMMAND.findall(step)
    }
    assert len(named) > 5
    for group, name, *options in named:
        with click.Context(main) as context:
            found = main.get_command(context, group)
        assert isinstance(found, click.Group)
        known = {option for one in found.commands[name].params for option in one.opts}
        assert known.issuperset(options)


def test_an_expired_link_has_two_ways_on() -> None:
    for found in of(Reason.ATTACHMENT_EXPIRED).values():
        link, without = found.steps
        assert "lien" in link or "link" in link
        assert "`passerelle entry retry --without-attachment`" in without


def test_a_refusal_of_access_names_both_screens_folder_connector_and_collaborator() -> None:
    message = "le collaborateur LOOPAPI n\u2019a pas acces au dossier PAPETERIE"
    found = of(Reason.ACCESS_DENIED, message=message, connector="Compta Hub")
    for remedy_ in found.values():
        for word in ("DEMO000001 (PAPETERIE)", "Action", "Compta Hub", "Loop Hub", "LOOPAPI"):
            assert any(word in step for step in remedy_.steps), word
    usual = of(Reason.ACCESS_DENIED, message=message)
    assert all("Qonto" in one.text and "Regate by Qonto" in one.text for one in usual.values())


def test_a_collision_of_codes_names_the_command_that_heals_it() -> None:
    for found in of(Reason.AUXILIARY_COLLISION).values():
        assert "`passerelle folder map-auxiliary`" in found.steps[0]


@pytest.mark.parametrize(
    "message",
    [
        # As Qonto shows it.
        "An error occurred during the JSON import request: The collaborator LOOP API does not have access to the folder DEMO 1",  # noqa: E501 one text
        "The collaborator LOOP API does not have access to the folder DEMO 1.",
        "Une erreur est survenue : le collaborateur LOOP API n'a pas accès au dossier DEMO 1",
        "le collaborateur LOOP API n\u2019a pas accès au dossier DEMO 1",
        "LE COLLABORATEUR LOOP API N\u02bcA PAS ACCES AU DOSSIER DEMO 1 ",
    ],
)
def test_collaborator_and_folder_are_taken_out_of_the_words(message: str) -> None:
    assert parties(message) == ("LOOP API", "DEMO 1")


@pytest.mark.parametrize("message", ["", "le dossier DEMO n'existe pas sur le domaine", "HTTP 403"])
def test_words_that_name_nobody_are_no_refusal_of_access(message: str) -> None:
    assert parties(message) is None
    assert "of the API key" in of(Reason.ACCESS_DENIED, message=message)["en"].text


def test_braces_in_loops_words_are_words() -> None:
    message = "The collaborator {x} does not have access to the folder {0}"
    facts = Facts(Reason.ACCESS_DENIED, "F{irm}", "A{b", message)
    assert "A{b ({0})" in remedy(CATALOGUE, "en", facts).text
