"""The GET lists: reference data, filter, sort, page, select. Reference: Loop API 2 to 3.5."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.simulator import SimulatorHandle, running_simulator

SCENARIO = {
    "strict_folders": True,
    "folders": [
        {
            "code": "CEGID003",
            "accounts": [
                {"code": "60100000", "label": "Achats"},
                {"code": "40100000", "label": "Fournisseurs"},
                {"code": "51200000", "label": "Banque", "closed": True},
            ],
            "journals": [
                {"code": "ACH", "label": "Achats", "type": 1},
                {"code": "BQ", "type": 4, "closed": True},
            ],
            "third_parties": [
                {"code": "DUPONT", "name": "Dupont SA", "kind": "supplier"},
                {"code": "MARTIN", "kind": "customer"},
                {"code": "PAUL", "kind": "employee"},
                {"code": "DGFIP"},
            ],
            "sections": [{"code": "SECA@AXE", "axis": "AXE"}],
            "establishments": [{"code": "73282932000074", "name": "Siège"}],
        },
        {"code": "SHUT", "access": "refused_at_post", "language": "en", "collaborator": "C7"},
    ],
}


@pytest.fixture(scope="module")
def process() -> Iterator[SimulatorHandle]:
    with running_simulator(SCENARIO) as started:
        yield started


@pytest.fixture
def loop(process: SimulatorHandle) -> SimulatorHandle:
    process.reset()
    return process


def listed(loop: SimulatorHandle, route: str, **query: str | int) -> Any:
    answer = loop.call("GET", route, params={"codeDossier": "CEGID003"} | query)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    return answer.json()


ACCOUNT_FIELDS = {
    "objectId", "revisionId", "description", "numero", "libelle", "type", "collectif", "lettrable",
    "pointable", "centralisable", "analytique", "ferme", "compteContrepartie", "compteBanque",
    "tva",
}  # fmt: skip
JOURNAL_FIELDS = {
    "objectId", "revisionId", "description", "code", "libelle", "type", "compteContrepartie",
    "typeContrepartie", "repriseDateOp", "bordereau", "ferme", "accesClient", "saisieLibelle",
}  # fmt: skip
THIRD_PARTY_FIELDS = {
    "objectId", "revisionId", "code", "type", "nature", "prenom", "nom", "raisonSociale",
    "nomUsuel", "lettrable", "compteContrepartie", "SIRET", "telephone", "fax", "email", "siteWeb",
    "adr", "rib", "actif", "validation", "soumisTva",
}  # fmt: skip


@pytest.mark.parametrize(
    ("route", "fields"),
    [
        ("compte", ACCOUNT_FIELDS),
        ("journal", JOURNAL_FIELDS),
        ("section", {"objectId", "revisionId", "code", "description", "ferme", "axe"}),
        ("tiersClient", THIRD_PARTY_FIELDS),
        ("tiersFournisseur", THIRD_PARTY_FIELDS),
        ("tiersSalarie", THIRD_PARTY_FIELDS),
        ("tiersDivers", THIRD_PARTY_FIELDS),
    ],
)
def test_a_record_has_every_field_that_was_seen(
    loop: SimulatorHandle, route: str, fields: set[str]
) -> None:
    assert set(listed(loop, route)[0]) == fields


def test_an_account_reads_as_the_reference_says(loop: SimulatorHandle) -> None:
    account = listed(loop, "compte")[0]
    assert account["numero"] == "60100000"
    assert account["libelle"] == "Achats"
    assert account["type"] == 6
    assert account["ferme"] is False
    assert account["description"] == ["60100000", "Achats"]
    assert account["compteContrepartie"] == {"objectId": None, "description": []}
    assert account["revisionId"].startswith("0x")
    assert listed(loop, "compte")[2]["ferme"] is True


def test_a_journal_reads_as_the_reference_says(loop: SimulatorHandle) -> None:
    assert [(j["code"], j["type"], j["ferme"]) for j in listed(loop, "journal")] == [
        ("ACH", 1, False),
        ("BQ", 4, True),
    ]


@pytest.mark.parametrize(
    ("route", "code", "kind"),
    [
        ("tiersClient", "MARTIN", 0),
        ("tiersFournisseur", "DUPONT", 1),
        ("tiersSalarie", "PAUL", 2),
        ("tiersDivers", "DGFIP", 4),
    ],
)
def test_each_kind_of_third_party_has_a_list_of_its_own(
    loop: SimulatorHandle, route: str, code: str, kind: int
) -> None:
    assert [(party["code"], party["type"]) for party in listed(loop, route)] == [(code, kind)]


def test_a_section_and_an_establishment_read_as_given(loop: SimulatorHandle) -> None:
    section = listed(loop, "section")[0]
    establishment = listed(loop, "etablissementComplet")[0]
    assert (section["code"], section["axe"]["description"]) == ("SECA@AXE", "AXE")
    assert establishment["SIRET"] == "73282932000074"
    assert establishment["raisonSociale"] == "Siège"


@pytest.mark.parametrize("prefix", ["", "/loop-api-publiques", "/Loop-Api-Publiques"])
@pytest.mark.parametrize("route", ["tiersClient", "tiersclient", "TIERSCLIENT"])
def test_a_route_stands_with_and_without_prefix_in_any_case(
    loop: SimulatorHandle, prefix: str, route: str
) -> None:
    answer = loop.session.get(
        f"{loop.url}{prefix}/{route}",
        params={"codeDossier": "CEGID003"},
        headers={"x-apikey": "a:b", "Ocp-Apim-Subscription-Key": "c"},
        timeout=10,
    )
    assert [party["code"] for party in answer.json()] == ["MARTIN"]


@pytest.mark.parametrize("path", ["", "tiers", "compte/60100000", "loop-api-publiques/compte"])
def test_a_path_that_is_no_route_is_not_found(loop: SimulatorHandle, path: str) -> None:
    answer = loop.call("GET", path, params={"codeDossier": "CEGID003"})
    assert answer.status_code == 404


ALL = ["60100000", "40100000", "51200000"]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({}, ALL),
        ({"filter": ""}, ALL),
        ({"filter": 'numero=="60100000"'}, ["60100000"]),
        ({"filter": 'numero==="60100000"'}, ["60100000"]),
        ({"filter": 'numero!="60100000"'}, ["40100000", "51200000"]),
        ({"filter": 'numero != "60100000" && libelle == "Banque"'}, ["51200000"]),
        ({"filter": 'numero=="60100000" && libelle=="Banque"'}, []),
        ({"filter": "tva==null"}, ALL),
        ({"filter": "tva!=null"}, []),
        ({"filter": 'type=="6"'}, ["60100000"]),
        ({"filter": 'type==="6"'}, []),
        ({"sort": "numero"}, ["40100000", "51200000", "60100000"]),
        ({"sort": "numero:desc"}, ["60100000", "51200000", "40100000"]),
        ({"sort": "ferme:desc&&numero"}, ["51200000", "40100000", "60100000"]),
        ({"take": 2}, ["60100000", "40100000"]),
        ({"skip": 1, "take": 1}, ["40100000"]),
        ({"skip": 2}, ["51200000"]),
        ({"skip": 3, "take": 100}, []),
        ({"take": 0}, []),
    ],
)
def test_a_list_is_filtered_sorted_and_paged(
    loop: SimulatorHandle, query: dict[str, str | int], numbers: list[str]
) -> None:
    assert [account["numero"] for account in listed(loop, "compte", **query)] == numbers


def test_select_keeps_the_named_fields_alone(loop: SimulatorHandle) -> None:
    assert listed(loop, "compte", select="numero&&libelle", take=1) == [
        {"numero": "60100000", "libelle": "Achats"}
    ]


@pytest.mark.parametrize(
    "query",
    [
        {"filter": "numero"},
        {"filter": 'numero="60100000"'},
        {"filter": "numero=='60100000'"},
        {"filter": 'numero=="60100000" || numero=="1"'},
        {"filter": 'numero=="60100000" &&'},
        {"filter": 'numero>="6"'},
        {"filter": 'nummer=="6"'},
        {"sort": "nummer"},
        {"sort": "numero:up"},
        {"select": "nummer"},
        {"take": "ten"},
        {"skip": "-1"},
        {"skip": "1" * 30},
        {"codeDossier": ""},
    ],
)
def test_what_is_not_of_the_query_language_is_refused(
    loop: SimulatorHandle, query: dict[str, str]
) -> None:
    assert listed(loop, "compte", **query)["error"]["message"]


def test_a_folder_that_is_not_there_is_refused(loop: SimulatorHandle) -> None:
    answer = listed(loop, "journal", codeDossier="CEGID004")
    assert "n'existe pas sur le domaine" in answer["error"]["message"]


def test_a_folder_out_of_reach_is_refused_in_its_language(loop: SimulatorHandle) -> None:
    answer = listed(loop, "journal", codeDossier="SHUT")
    assert answer["error"]["message"] == (
        "The collaborator C7 does not have access to the folder SHUT"
    )


def test_a_folder_granted_later_answers_at_once(loop: SimulatorHandle) -> None:
    loop.patch_folder("SHUT", access="granted")
    assert listed(loop, "journal", codeDossier="SHUT") == []


@pytest.mark.parametrize("filename", ["e.txt", "e.TRA", "ecritures.2026.csv"])
def test_a_deposit_gives_an_address_and_a_path(loop: SimulatorHandle, filename: str) -> None:
    answer = loop.call("GET", "getFileUrlDeposit", params={"filename": filename}).json()
    assert set(answer) == {"depositUrl", "uri"}
    assert answer["uri"] in answer["depositUrl"]


@pytest.mark.parametrize("query", [{}, {"filename": "txt"}, {"filename": "e.pdf"}])
def test_a_deposit_of_another_kind_of_file_is_refused(
    loop: SimulatorHandle, query: dict[str, str]
) -> None:
    assert loop.call("GET", "getFileUrlDeposit", params=query).json()["error"]["message"]
