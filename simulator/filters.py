"""The filter language of the GET lists. Reference: Loop API 2 and 3.6.

`name==value`, `===`, `!=` and `>=`, joined with `&&`; strings in double quotes, `null` bare.
Escapes inside a string are JSON's (assumption). Anything else is refused, so that a query that
Loop might read in another way does not pass here.
"""

import datetime as dt
import enum
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.answers import RefusedError

Row = Mapping[str, Any]


class Operator(enum.StrEnum):
    STRICT = "==="
    EQUAL = "=="
    UNEQUAL = "!="
    SINCE = ">="


_CONDITION = re.compile(
    r'\s*([A-Za-z_]\w*)\s*(===|==|!=|>=)\s*(null\b|"(?:[^"\\]|\\.)*")\s*', re.ASCII | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Condition:
    """`value` is None for `null`."""

    name: str
    operator: Operator
    value: str | None

    def holds(self, row: Row) -> bool:
        """Whether the row meets it.

        Raises:
            RefusedError: the row has no such field.
        """
        if self.name not in row:
            raise RefusedError(f"le champ {self.name} est inconnu")
        found = row[self.name]
        if self.operator is Operator.SINCE:
            return found is not None and self.value is not None and str(found) >= self.value
        if self.operator is Operator.STRICT:
            return bool(found == self.value)
        return self._equal(found) is (self.operator is Operator.EQUAL)

    def _equal(self, found: object) -> bool:
        """JavaScript's loose equality, as far as numbers and strings go."""
        if isinstance(found, int | float) and not isinstance(found, bool):
            return str(found) == self.value
        return found == self.value


def parsed(text: str) -> tuple[Condition, ...]:
    """The conditions of a filter; none for a blank one.

    Raises:
        RefusedError: the text is not of the language.
    """
    conditions = []
    position = 0
    while text.strip():
        match = _CONDITION.match(text, position)
        if match is None:
            raise RefusedError(f"le filtre {text} est illisible")
        name, operator, value = match.groups()
        conditions.append(Condition(name, Operator(operator), _literal(value)))
        position = match.end()
        if position == len(text):
            break
        if not text.startswith("&&", position):
            raise RefusedError(f"le filtre {text} est illisible")
        position += 2
    return tuple(conditions)


def _literal(text: str) -> str | None:
    if text == "null":
        return None
    try:
        return str(json.loads(text, strict=False))
    except ValueError as error:
        raise RefusedError(f"la chaîne {text} du filtre est illisible") from error


def of_list(text: str) -> tuple[Condition, ...]:
    """The filter of a list: `>=` is shown for `datePiece` alone. Raises RefusedError."""
    conditions = parsed(text)
    if any(condition.operator is Operator.SINCE for condition in conditions):
        raise RefusedError("l'opérateur >= est réservé à datePiece")
    return conditions


_EQUAL = frozenset({Operator.EQUAL, Operator.STRICT})
_ENTRY_OPERATORS = {
    "codeLettrage": _EQUAL | {Operator.UNEQUAL},
    "ecritureOrigine": _EQUAL,
    "journalCode": _EQUAL,
    "refPiece": _EQUAL,
    "compteNumero": _EQUAL,
    "datePiece": _EQUAL | {Operator.SINCE},
}


def of_entries(text: str) -> tuple[Condition, ...]:
    """The filter of EcritureComptable. Reference: Loop API 3.6. Raises RefusedError."""
    conditions = parsed(text)
    if not any(condition.name in {"codeLettrage", "ecritureOrigine"} for condition in conditions):
        raise RefusedError("le filtre doit porter sur codeLettrage ou ecritureOrigine")
    for condition in conditions:
        _check_entry_criterion(condition)
    return conditions


def _check_entry_criterion(condition: Condition) -> None:
    operators = _ENTRY_OPERATORS.get(condition.name)
    if operators is None:
        raise RefusedError(f"le critère {condition.name} n'est pas admis")
    if condition.operator not in operators:
        raise RefusedError(f"l'opérateur {condition.operator} n'est pas admis")
    if condition.operator is Operator.UNEQUAL and condition.value is not None:
        raise RefusedError("codeLettrage != n'admet que null")
    if condition.name == "ecritureOrigine" and condition.value is None:
        raise RefusedError("ecritureOrigine n'admet qu'un identifiant")
    if condition.name == "datePiece":
        _check_date(condition.value)


def _check_date(value: str | None) -> None:
    try:
        plain = dt.date.fromisoformat(value or "").isoformat() == value
    except ValueError:
        plain = False
    if not plain:
        raise RefusedError("datePiece attend une date AAAA-MM-JJ")


def named(conditions: Sequence[Condition]) -> list[str]:
    """The codes of records that are asked for by name."""
    equal = {Operator.EQUAL, Operator.STRICT}
    return [
        condition.value
        for condition in conditions
        if condition.name in {"numero", "code"} and condition.operator in equal and condition.value
    ]


def all_hold(conditions: Sequence[Condition], row: Row) -> bool:
    return all(condition.holds(row) for condition in conditions)
