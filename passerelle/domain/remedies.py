"""What a person can do about a case: titles and steps from a catalogue, filled with its facts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LANGUAGES = ("en", "fr")

# As Qonto's help page renders it, and as it may read in French (reference: Loop API 5).
_PARTIES = re.compile(
    r"collaborat(?:eur|or)\s+(?P<collaborator>.+?)\s+"
    r"(?:n['\u2019\u02bc]a\s+pas\s+acc[eè]s\s+au\s+dossier|does\s+not\s+have\s+access\s+to\s+the\s+folder)"
    r"\s+(?P<folder>.+?)\s*\.?\s*\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a case is about. `connector`: its name in Loop, None where it is the usual one."""

    reason: str
    firm: str
    folder: str | None
    message: str
    connector: str | None = None


@dataclass(frozen=True, slots=True)
class Remedy:
    title: str
    steps: tuple[str, ...]

    @property
    def text(self) -> str:
        """All of it in one line."""
        numbered = (f"{number}. {step}" for number, step in enumerate(self.steps, 1))
        return " ".join([self.title, *numbered])


def parties(message: str) -> tuple[str, str] | None:
    """The collaborator and the folder that a refusal of access names; None where it names none."""
    found = _PARTIES.search(message)
    return None if found is None else (found["collaborator"], found["folder"])


def remedy(catalogue: Mapping[str, Any], language: str, facts: Facts) -> Remedy:
    """`catalogue` has, by reason and language, `title` and `steps`; by `words` and language, what
    is said where a fact is not known.
    """
    words = catalogue["words"][language]
    named = parties(facts.message)
    folder = facts.folder or words["folder"]
    # Loop may tell its name instead of its code.
    if named is not None and named[1] != folder:
        folder = f"{folder} ({named[1]})"
    values = {
        "firm": facts.firm,
        "folder": folder,
        "collaborator": words["collaborator"] if named is None else named[0],
        "connector": facts.connector or words["connector"],
    }
    found = catalogue[facts.reason][language]
    return Remedy(
        found["title"].format_map(values), tuple(step.format_map(values) for step in found["steps"])
    )


def remedies(catalogue: Mapping[str, Any], facts: Facts) -> dict[str, Remedy]:
    """In each language."""
    return {language: remedy(catalogue, language, facts) for language in LANGUAGES}


def texts(catalogue: Mapping[str, Any], facts: Facts) -> dict[str, str]:
    """In each language, in one line."""
    return {language: found.text for language, found in remedies(catalogue, facts).items()}


def facts_of(case: Mapping[str, Any]) -> Facts:
    """Of a case as it is listed."""
    names = ("reason", "firm", "folder", "message", "connector")
    return Facts(**{name: case[name] for name in names})


def with_remedy(case: Mapping[str, Any], catalogue: Mapping[str, Any]) -> dict[str, Any]:
    """A case as it is listed, with what to do about it in each language."""
    shown = {key: value for key, value in case.items() if key != "connector"}
    return {**shown, "remedy": texts(catalogue, facts_of(case))}
