"""What the documents name exists, and what exists for their readers is named."""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from config.settings import SETTINGS
from passerelle.cli.main import main
from support.simulator import ROOT
from workers.queues import CONSUMERS, Consumer, worker_arguments

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


def test_workers_are_installed_by_hand_as_the_code_starts_them() -> None:
    page = (ROOT / "docs/install.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (prefork|threads) \| (\d+) \|$", page, re.MULTILINE)
    assert [Consumer(queue, pool, int(number)) for queue, pool, number in rows] == [*CONSUMERS]
    [delivery] = [one for one in CONSUMERS if one.queue == "delivery"]
    words = " ".join(worker_arguments(delivery)).replace("%h", "%%h")
    assert f"celery -A workers.main {words}\n" in page


def test_links_between_documents_lead_somewhere() -> None:
    dead = [
        f"{path.relative_to(ROOT)}: {link}"
        for path in documents()
        for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
        if "://" not in link and not _leads_somewhere(path, *link.partition("#")[::2])
    ]
    assert dead == []


def _leads_somewhere(page: Path, to: str, heading: str) -> bool:
    target = page.parent / to if to else page
    if not heading or not target.exists():
        return target.exists()
    headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
    # As GitHub names them.
    return heading in {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}


def _commands() -> Iterator[tuple[str, str]]:
    """Commands of ours in code of the documents, with the page that each is on."""
    for path in documents():
        text = path.read_text(encoding="utf-8")
        code = re.findall(r"```\w*\n(.*?)```|`([^`\n]+)`", text, re.DOTALL)
        for line in "\n".join(map("".join, code)).splitlines():
            # Users and databases have the name, too.
            ours = r"(?<!user )(?<!username )(?<!-u )(?<!dbname )\bpasserelle ([a-z][^#|>&;]*)"
            for found in re.findall(ours, line):
                yield str(path.relative_to(ROOT)), found


def test_commands_in_documents_exist_with_their_options() -> None:
    wrong = [f"{page}: {told}" for page, told in _commands() if not _exists(told.split())]
    assert wrong == []
    assert len({told for _, told in _commands()}) > 50


def _exists(words: list[str]) -> bool:
    command: click.Command = main
    context = click.Context(main)
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words[0])
        if found is None:
            break
        command = found
        words.pop(0)
    # `passerelle firm …` speaks of all that are under it.
    if isinstance(command, click.Group):
        return not words or words[0] == "…"
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    return given <= known
