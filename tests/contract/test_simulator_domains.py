"""Firms side by side: each key's domain has its own folders, books and imports."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from support.simulator import SimulatorHandle, running_simulator, until
from support.simulator_bodies import body

FOLDER = "CEGID003"
NAMES = ("ONE", "TWO")
PASSING = {"secret": "SECRET", "subscription_key": "SUBSCRIPTION"}


def headers(name: str) -> dict[str, str]:
    return {"x-apikey": f"{name}:SECRET"}


@pytest.fixture(scope="module")
def process() -> Iterator[SimulatorHandle]:
    scenario = {
        "import_ms": 0,
        "strict_folders": True,
        "keys": [
            *({**PASSING, "key": name, "domain": name} for name in NAMES),
            {**PASSING, "key": "FEW", "domain": "ONE", "folders": [FOLDER, "SHUT"]},
        ],
        "folders": [
            {"code": FOLDER, "domain": "ONE", "name": "Papeterie", "journals": [{"code": "ACH"}]},
            {"code": FOLDER, "domain": "TWO", "journals": [{"code": "ACH"}, {"code": "BQ"}]},
            {"code": "ONLY1", "domain": "ONE"},
            {"code": "SHUT", "domain": "ONE", "access": "refused_at_post"},
            {"code": "NOBODYS"},
        ],
    }  # fmt: skip
    with running_simulator(scenario) as started:
        yield started


@pytest.fixture
def loop(process: SimulatorHandle) -> SimulatorHandle:
    process.reset()
    return process


def get(loop: SimulatorHandle, name: str, route: str, **query: Any) -> Any:
    return loop.call("GET", route, params=query, headers=headers(name)).json()


def post(loop: SimulatorHandle, name: str, folder: str = FOLDER) -> dict[str, Any]:
    answer: dict[str, Any] = loop.call(
        "POST", "importJson", json=body(folder=folder), headers=headers(name)
    ).json()
    return answer


def journals(loop: SimulatorHandle, name: str, folder: str = FOLDER) -> Any:
    return get(loop, name, "journal", codeDossier=folder)


def test_the_same_code_is_another_folder_in_another_domain(loop: SimulatorHandle) -> None:
    one, two = (journals(loop, name) for name in NAMES)
    assert [len(one), len(two)] == [1, 2]
    # The same record in both, and yet another object.
    assert one[0]["code"] == two[0]["code"]
    assert one[0]["objectId"] != two[0]["objectId"]
    assert one[0]["revisionId"] == two[0]["revisionId"]


@pytest.mark.parametrize("folder", ["ONLY1", "SHUT", "NOBODYS"])
def test_a_folder_of_another_domain_does_not_exist(loop: SimulatorHandle, folder: str) -> None:
    for refusal in (journals(loop, "TWO", folder), post(loop, "TWO", folder)):
        assert "n'existe pas sur le domaine" in refusal["error"]["message"]


def test_what_one_domain_imports_the_other_does_not_see(loop: SimulatorHandle) -> None:
    request_id = post(loop, "ONE")["accountingImportRequestId"]
    origin = body()["data"]["ecritures"][0]["ecritureOrigine"]
    found = f'ecritureOrigine=="{origin}"'

    def status(name: str) -> Any:
        return get(loop, name, "getImportStatus", accountingImportRequestId=request_id)

    until(lambda: status("ONE"), lambda found: found == {"status": 3})
    assert "est inconnue" in status("TWO")["error"]["message"]
    rows = [
        get(loop, name, "EcritureComptable", codeDossier=FOLDER, filter=found) for name in NAMES
    ]
    assert [len(one) for one in rows] == [2, 0]


def test_the_own_door_tells_the_domains_apart(loop: SimulatorHandle) -> None:
    for name in (*NAMES, "ONE"):
        post(loop, name)
    one, two = (replace(loop, domain=name) for name in NAMES)
    until(lambda: loop.totals()["entries"], lambda found: found == 3)
    assert [entry["domain"] for entry in loop.ledger(FOLDER)] == ["ONE", "TWO", "ONE"]
    assert [len(one.ledger()), len(two.ledger(FOLDER))] == [2, 1]
    assert [one["domain"] for one in loop.imports(FOLDER)] == ["ONE", "TWO", "ONE"]
    assert [one["domain"] for one in two.imports()] == ["TWO"]
    assert [handle.requests()["total"] for handle in (loop, one, two)] == [3, 2, 1]
    assert [one.count("importJson"), loop.count("importJson", domain="TWO")] == [2, 1]
    assert loop.totals()["folders"][FOLDER]["lines"] == 6
    assert two.totals()["folders"][FOLDER]["lines"] == 2
    assert [one.totals()["origins_booked_more_than_once"],
            two.totals()["origins_booked_more_than_once"]] == [1, 0]  # fmt: skip
    two.patch_folder(FOLDER, journals=[])
    assert [len(journals(loop, name)) for name in NAMES] == [1, 0]


@pytest.mark.parametrize("fault", ["http_500", "access_refused", "reset"])
def test_a_fault_may_act_on_one_domain_alone(loop: SimulatorHandle, fault: str) -> None:
    replace(loop, domain="ONE").set_faults({"fault": fault, "route": "importJson"})
    assert "accountingImportRequestId" in post(loop, "TWO")
    assert [(rule["domain"], rule["seen"]) for rule in loop.faults()] == [("ONE", 0)]
    with pytest.raises((KeyError, OSError)):
        post(loop, "ONE")["accountingImportRequestId"]
    assert loop.faults()[0]["fired"] == 1


def test_without_keys_the_domain_stands_before_a_slash() -> None:
    with running_simulator({"import_ms": 0}) as loop:
        for name in ("A", "A/KEY", "B/KEY"):
            post(loop, name)
        until(lambda: loop.totals()["entries"], lambda found: found == 3)
        assert [entry["domain"] for entry in loop.ledger()] == ["", "A", "B"]
        assert len(replace(loop, domain="").ledger()) == 1


def codes(loop: SimulatorHandle, name: str, **query: Any) -> list[str]:
    return [row["codeDossier"] for row in get(loop, name, "dossier", **query)]


def test_the_folders_that_a_key_reaches_are_listed(loop: SimulatorHandle) -> None:
    assert codes(loop, "ONE") == [FOLDER, "ONLY1"]
    assert codes(loop, "TWO") == codes(loop, "FEW") == [FOLDER]
    row = get(loop, "ONE", "dossier")[0]
    assert row.keys() == {"objectId", "revisionId", "codeDossier", "libelle"}
    assert row["libelle"] == "Papeterie"
    assert row["objectId"] != get(loop, "TWO", "dossier")[0]["objectId"]
    replace(loop, domain="ONE").patch_folder("SHUT", access="granted")
    assert codes(loop, "FEW") == [FOLDER, "SHUT"]


def test_the_list_of_folders_is_read_as_other_lists_are(loop: SimulatorHandle) -> None:
    assert codes(loop, "ONE", skip=1, take=5) == ["ONLY1"]
    assert codes(loop, "ONE", sort="codeDossier:desc", take=1) == ["ONLY1"]
    assert codes(loop, "ONE", filter='libelle=="Papeterie"') == [FOLDER]
    loop.set_faults({"fault": "row_cap", "route": "dossier", "rows": 1})
    assert codes(loop, "ONE") == [FOLDER]


def test_a_change_of_one_record_is_seen_in_no_other(loop: SimulatorHandle) -> None:
    one = replace(loop, domain="ONE")

    def seen(*parties: dict[str, Any]) -> dict[str, tuple[str, str]]:
        one.patch_folder(FOLDER, third_parties=list(parties))
        rows = get(loop, "ONE", "tiersFournisseur", codeDossier=FOLDER)
        return {row["code"]: (row["objectId"], row["revisionId"]) for row in rows}

    first, second, third = (
        {"code": code, "kind": "supplier", "name": "Dupont"} for code in ("A", "B", "C")
    )
    before = seen(first, second, third)
    after = seen(second, third | {"closed": True})
    assert after["B"] == before["B"]
    assert after["C"][0] == before["C"][0]
    assert after["C"][1] != before["C"][1]
    rows = get(loop, "ONE", "tiersFournisseur", codeDossier=FOLDER)
    assert [row["actif"] for row in rows] == [True, False]
    # A third party of another kind is on another list.
    assert seen(second, third | {"kind": "customer"}).keys() == {"B"}
