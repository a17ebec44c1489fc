"""The Dockerfile and what it is given."""

import json
import re
import tomllib
from importlib import metadata

from packaging.requirements import Requirement

from support.image import Instruction, instructions
from support.simulator import ROOT


def last_stage() -> list[Instruction]:
    everything = instructions()
    start = max(index for index, (word, _) in enumerate(everything) if word == "FROM")
    return everything[start:]


def test_all_stages_stand_on_one_pinned_release_of_python() -> None:
    first, *others = [rest for word, rest in instructions() if word == "FROM"]
    assert re.fullmatch(r"python:3\.11\.\d+-slim-[a-z]+ AS base", first)
    assert {other.split()[0] for other in others} == {"base"}


def test_it_runs_as_an_unprivileged_user() -> None:
    users = [rest for word, rest in last_stage() if word == "USER"]
    assert len(users) == 1
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[0])


def test_its_command_is_run_without_a_shell() -> None:
    [command] = [json.loads(rest) for word, rest in last_stage() if word == "CMD"]
    assert command[0] == "passerelle"
    assert not any(word == "ENTRYPOINT" for word, _ in last_stage())


def test_only_wheels_whose_hashes_are_locked_are_installed() -> None:
    steps = [step for word, rest in instructions() if word == "RUN" for step in rest.split("&&")]
    installs = [step for step in steps if "pip install" in step]
    ours = [step for step in installs if "--no-deps --no-index" in step]
    assert [step.split()[-1] for step in ours] == ["/wheel/*.whl"]
    for step in installs:
        assert step in ours or "--only-binary :all: --require-hashes" in step
    assert not any(" -e " in step or "--editable" in step for step in installs)


def test_no_source_is_in_the_last_stage() -> None:
    copies = [rest for word, rest in last_stage() if word in {"COPY", "ADD"}]
    assert copies == ["--from=build /opt/passerelle /opt/passerelle"]


def _needed(name: str) -> set[str]:
    """A distribution and all that it needs."""
    found = {name}
    for text in metadata.requires(name) or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            found |= _needed(requirement.name)
    return found


def test_the_tool_that_makes_the_wheel_is_locked_with_all_it_needs() -> None:
    [chosen] = re.findall(r"wanted = /\^\(([^)]*)\)==/", (ROOT / "Dockerfile").read_text("utf-8"))
    assert set(chosen.split("|")) == _needed("hatchling")


def test_the_build_is_given_what_the_wheel_is_made_of_and_nothing_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    files = [project["project"]["readme"], *project["project"]["license-files"]]
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    first, *rules = [line for line in lines if not line.startswith("#")]
    assert first == "*"
    let_through = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    locks = {"requirements.lock", "requirements-dev.lock"}
    assert let_through == {"pyproject.toml", *locks, *files, *packages}
