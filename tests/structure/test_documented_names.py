"""What the documents name exists, and what exists for their readers is named."""

import re
from collections.abc import Iterator
from pathlib import Path

from config.settings import SETTINGS
from support.simulator import ROOT

VARIABLES = {setting.variable for setting in SETTINGS}
ROOMS = ("config", "migrations", "passerelle", "schemas", "simulator", "tasks", "workers")


def documents() -> Iterator[Path]:
    yield from ROOT.glob("*.md")
    yield from (ROOT / "docs").rglob("*.md")


def test_every_setting_stands_in_the_readme_with_its_default() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(PASSERELLE_\w+)` \| (.+) \| (.+) \|$", text, re.MULTILINE)
    assert {variable: default for variable, _, default in rows} == {
        setting.variable: f"`{setting.default}`" if setting.default else "none"
        for setting in SETTINGS
    }
    assert len(rows) == len(SETTINGS)


def test_every_variable_that_is_named_is_a_setting() -> None:
    paths = [
        ROOT / "docker-compose.yml",
        ROOT / "Dockerfile",
        *documents(),
        *(path for room in ROOMS for path in (ROOT / room).rglob("*.py")),
    ]
    unknown = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in paths
        for name in re.findall(r"PASSERELLE(?:_[A-Z0-9]+)+", path.read_text(encoding="utf-8"))
        if name.removesuffix("_FILE") not in VARIABLES
    ]
    assert unknown == []


def test_links_between_documents_lead_somewhere() -> None:
    dead = [
        f"{path.relative_to(ROOT)}: {link}"
        for path in documents()
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
        if "://" not in link and not (path.parent / link).exists()
    ]
    assert dead == []
