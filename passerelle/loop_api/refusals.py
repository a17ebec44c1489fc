"""Loop's refusals, known by fragments of their French or English words.

Reference: Loop API 3.7 (refusals under HTTP 200), 4 (the gateway), 5 (access denied).
"""

import re
import unicodedata
from dataclasses import dataclass

from passerelle.domain.states import Reason

_DEFINITE = (
    "pas de payload",
    "contexte est obligatoire",
    "pas d'ecritures",
    "de tableau",
    "au moins deux lignes",
    "format iso",
    "renseignees ensemble",
    "siret est invalide",
    "siren identique",
    "n'est pas reconnu",
    "codeibs n'est pas",
    "chemin d'acces uri",
    "ambiguite",
)
_ACCESS = ("n'a pas acces au dossier", "does not have access to the folder")
_UNKNOWN_FOLDER = ("n'existe pas sur le domaine",)


def _folded(text: str) -> str:
    """Without accents, case and typographic apostrophes."""
    plain = unicodedata.normalize("NFD", text.replace("\u2019", "'").replace("\u02bc", "'"))
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()


@dataclass(frozen=True, slots=True)
class Refusal:
    """`definite`: Loop did not take the request. `reason`: a cause outside the entries."""

    definite: bool
    reason: Reason | None = None


def recognise(message: str) -> Refusal:
    """What a refusal's words say; words that are not known say nothing definite."""
    folded = _folded(message)
    if any(fragment in folded for fragment in _ACCESS):
        return Refusal(definite=True, reason=Reason.ACCESS_DENIED)
    if any(fragment in folded for fragment in _UNKNOWN_FOLDER):
        return Refusal(definite=True, reason=Reason.UNKNOWN_FOLDER)
    return Refusal(definite=any(fragment in folded for fragment in _DEFINITE))


def is_subscription_refusal(message: str, challenge: str) -> bool:
    """The gateway's own 401, which never reached Loop."""
    return "azureapimanagementkey" in challenge.casefold() or "subscription key" in _folded(message)


_QUOTA = re.compile(r"quota", re.IGNORECASE)
# Few digits: more than a number of the machine holds would raise.
_CLOCK = re.compile(r"(?:(\d{1,6})\.)?(\d{1,2}):(\d{2}):(\d{2})")
_DAYS = re.compile(r"(\d+(?:\.\d+)?)\s*days?", re.IGNORECASE)
_SECONDS = re.compile(r"(\d+)\s*seconds?", re.IGNORECASE)


def is_quota(message: str) -> bool:
    return _QUOTA.search(message) is not None


def wait_in_words(message: str) -> float | None:
    """The seconds in `07:01:20`, `20.09:58:55` (days first), `2.12 days` or `57 seconds`."""
    if found := _CLOCK.search(message):
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    if found := _DAYS.search(message):
        return float(found[1]) * 86_400
    if found := _SECONDS.search(message):
        return float(found[1])
    return None
