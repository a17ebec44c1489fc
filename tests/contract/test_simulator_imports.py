"""What an import request is refused for at once. Reference: Loop API 3.7 and 3.8."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.simulator import SimulatorHandle, running_simulator
from support.simulator_bodies import ISO, LINES, OTHER_SIREN, SCENARIO, SIRET, body


@pytest.fixture(scope="module")
def process() -> Iterator[SimulatorHandle]:
    with running_simulator(SCENARIO) as started:
        yield started


@pytest.fixture
def loop(process: SimulatorHandle) -> SimulatorHandle:
    process.reset()
    return process


def without(document: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != key}


def with_lines(lines: Any) -> dict[str, Any]:
    document = body()
    document["data"]["ecritures"] = lines
    return document


REFUSALS: list[tuple[Any, str]] = [
    ({}, "codeIbs n'est pas"),
    (without(body(), "codeIbs"), "codeIbs n'est pas"),
    (body(folder=""), "codeIbs n'est pas"),
    (body(folder="CEGID004"), "n'existe pas sur le domaine"),
    (body(options={"multiPeriode": False}), "contexte est obligatoire"),
    (body(options={"multiPeriode": None}), "contexte est obligatoire"),
    ({"codeIbs": "GIVEN", "data": {"ecritures": LINES}}, "contexte est obligatoire"),
    (without(body(), "data"), "contexte est obligatoire"),
    (body(context={"from": "01/01/2026", "to": ISO}), "format ISO"),
    (body(context={"from": ISO}), "format ISO"),
    (with_lines(None), "pas d'écritures"),
    (with_lines([]), "pas d'écritures"),
    (with_lines({"0": LINES[0], "1": LINES[1]}), "de tableau"),
    (with_lines("lignes"), "de tableau"),
    (with_lines(LINES[:1]), "au moins deux lignes"),
    (body({"dateJustif": "31/01/2026"}), "format ISO"),
    (body({"dateJustif": "2026-02-30T00:00:00.000Z"}), "format ISO"),
    (body({"debCutOff": "janvier", "finCutOff": ISO}), "format ISO"),
    (body({"debCutOff": ISO, "finCutOff": "janvier"}), "format ISO"),
    (body({"debCutOff": ISO}), "renseignées ensemble"),
    (body({}, {"finCutOff": ISO}), "renseignées ensemble"),
    (body({"SIRET": "7328293200007"}), "SIRET est invalide"),
    (body({"SIRET": "73282932000075"}), "SIRET est invalide"),
    (body({"SIRET": "7328293200007A"}), "SIRET est invalide"),
    (body() | {"SIRET": "1"}, "SIRET est invalide"),
    (body({"SIRET": SIRET}, {"SIRET": OTHER_SIREN}), "SIREN identique"),
    (body({"SIRET": SIRET}, {"SIRET": "73282932000017"}), "n'est pas reconnu"),
]


@pytest.mark.parametrize(("document", "fragment"), REFUSALS)
def test_a_request_is_refused_at_once_under_200_with_the_known_fragment(
    loop: SimulatorHandle, document: Any, fragment: str
) -> None:
    answer = loop.call("POST", "importJson", json=document)
    assert answer.status_code == 200
    assert set(answer.json()) == {"error"}
    assert set(answer.json()["error"]) == {"instanceId", "message"}
    assert len(answer.json()["error"]["instanceId"]) == 36
    assert fragment in answer.json()["error"]["message"]
    assert loop.imports() == []


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b"{", b'{"codeIbs": NaN}', b"\xff\xfe\xfd", b"[" * 100_000]
)
def test_a_body_that_is_no_object_counts_as_none(loop: SimulatorHandle, content: bytes) -> None:
    answer = loop.call("POST", "importJson", data=content)
    assert answer.status_code == 200
    assert "pas de payload" in answer.json()["error"]["message"]


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_wrong_method_counts_as_no_body(loop: SimulatorHandle, method: str) -> None:
    answer = loop.call(method, "importJson", json=body())
    assert "pas de payload" in answer.json()["error"]["message"]


def test_the_number_of_the_line_stands_in_a_refused_siret(loop: SimulatorHandle) -> None:
    answer = loop.post(body({}, {"SIRET": "1"}))
    assert "ligne 2" in answer["error"]["message"]


@pytest.mark.parametrize("route", ["importFEC", "importPerso"])
@pytest.mark.parametrize(
    ("document", "fragment"),
    [
        ({"URL": "https://x"}, "codeIbs n'est pas"),
        ({"codeIbs": "GIVEN"}, "chemin d'accès URI"),
        ({"codeIbs": "GIVEN", "URL": "https://x", "URI": "depot/x"}, "Ambiguité"),
        ({"codeIbs": "CEGID004", "URL": "https://x"}, "n'existe pas sur le domaine"),
    ],
)
def test_a_file_import_is_refused_with_the_known_fragment(
    loop: SimulatorHandle, route: str, document: dict[str, str], fragment: str
) -> None:
    answer = loop.call("POST", route, json=document).json()
    assert fragment in answer["error"]["message"]


def test_a_file_import_that_is_accepted_ends_in_error(loop: SimulatorHandle) -> None:
    answer = loop.call("POST", "importFEC", json={"codeIbs": "GIVEN", "URI": "depot/x"}).json()
    assert loop.ended(answer["accountingImportRequestId"]) == {"status": 4}
