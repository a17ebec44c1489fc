"""`passerelle folder discover`: the folders that a key reaches become known."""

import json
from pathlib import Path

import pytest

from support.command import Cli, deployment_environ
from support.simulator import SimulatorHandle

FIRM = "CABINET42"


@pytest.fixture
def environ(database_url: str, tmp_path: Path, loop: SimulatorHandle) -> dict[str, str]:
    environ = deployment_environ(database_url, tmp_path)
    route = {"PASSERELLE_DISCOVER_ROUTE": "/dossier/"}
    return environ | {"PASSERELLE_LOOP_URL": loop.base_url} | route


@pytest.fixture(autouse=True)
def _registered(cli: Cli) -> None:
    keys = ("--api-key", "KEY", "--subscription-key", "SUB")
    assert cli("firm", "add", FIRM, *keys, PASSERELLE_API_SECRET="s").exit_code == 0


def discover(cli: Cli, code: int = 0) -> dict[str, tuple[str | None, bool, str | None]]:
    """By code of each folder its name, whether it is new, and why it was refused."""
    done = cli("folder", "discover", FIRM, "--json")
    assert done.exit_code == code, done.stderr
    rows = map(json.loads, done.stdout.splitlines())
    return {row["code"]: (row["name"], row["new"], row["refused"]) for row in rows}


def test_what_the_key_reaches_is_registered_once(cli: Cli, loop: SimulatorHandle) -> None:
    loop.patch_folder("ONE", name="Papeterie du Sud")
    loop.patch_folder("TWO")
    loop.patch_folder("SHUT", access="refused_at_post")
    assert cli("folder", "add", FIRM, "TWO").exit_code == 0
    found = discover(cli)
    assert found == {"ONE": ("Papeterie du Sud", True, None), "TWO": ("", False, None)}
    assert {code: new for code, (_, new, _) in discover(cli).items()} == {
        "ONE": False,
        "TWO": False,
    }
    listed = [json.loads(line) for line in cli("folder", "list", "--json").stdout.splitlines()]
    assert {one["code"]: one["name"] for one in listed} == {"ONE": "Papeterie du Sud", "TWO": None}


def test_pages_are_read_to_the_end(cli: Cli, loop: SimulatorHandle) -> None:
    for number in range(130):
        loop.patch_folder(f"F{number:03}")
    assert len(discover(cli)) == 130
    assert loop.count("dossier") == 2


def test_one_that_cannot_be_registered_harms_no_other(cli: Cli, loop: SimulatorHandle) -> None:
    assert cli("folder", "add", FIRM, "Demo").exit_code == 0
    loop.patch_folder("DEMO")
    loop.patch_folder("ELSE")
    found = discover(cli, code=1)
    assert found["ELSE"] == ("", True, None)
    assert found["DEMO"][2] is not None
    assert "registered as Demo" in found["DEMO"][2]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("api_key_refused", "la clé d'API est invalide"),
        ("html", "cannot be read"),
        ("neither_key", "cannot be read"),
        ("http_503", "HTTP 503"),
    ],
)
def test_where_loop_lists_nothing_its_words_are_told(
    cli: Cli, loop: SimulatorHandle, fault: str, words: str
) -> None:
    loop.set_faults({"fault": fault})
    done = cli("folder", "discover", FIRM)
    assert done.exit_code == 1
    assert "Loop did not list the folders" in done.stderr
    assert words in done.stderr


def test_without_a_route_it_is_said_what_to_do(cli: Cli) -> None:
    done = cli("folder", "discover", FIRM, PASSERELLE_DISCOVER_ROUTE="")
    assert done.exit_code == 1
    assert "passerelle folder add" in done.stderr
    assert "No firm NOBODY" in cli("folder", "discover", "NOBODY").stderr


@pytest.mark.parametrize("route", ["https://elsewhere/x", "dossier?x=1", "../admin", "a b"])
def test_a_route_is_a_plain_path(cli: Cli, route: str) -> None:
    done = cli("folder", "discover", FIRM, PASSERELLE_DISCOVER_ROUTE=route)
    assert done.exit_code == 1
    assert "PASSERELLE_DISCOVER_ROUTE" in done.stderr
