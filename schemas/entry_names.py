"""Names of entries, as the hub lists what it has sent: one alone, or many.

Other keys of a name are not looked at: a list with a key too many still shows what is missing.
"""

from collections.abc import Sequence

from marshmallow import EXCLUDE

from passerelle.domain.event import EntryName, Fault
from schemas.shapes import Shape, at_most, flat, free, revision, wrong_type


class _EntryName(Shape):
    class Meta:
        unknown = EXCLUDE

    firm = free(64, blank=False, required=True)
    folder = free(64, blank=False, required=True)
    entry_id = free(64, blank=False, required=True)
    revision = revision()


_ENTRY_NAME = _EntryName()


def entry_name(raw: object, path: str = "") -> EntryName | list[Fault]:
    """The name, or all that is wrong with it; `path` is where it stands, as a JSON Pointer."""
    if not isinstance(raw, dict):
        return [Fault(path, wrong_type("an object", raw))]
    errors = _ENTRY_NAME.validate(raw)
    if errors:
        return list(flat(errors, path))
    return EntryName(raw["firm"], raw["folder"], raw["entry_id"], int(raw["revision"]))


def entry_names(raws: Sequence[object]) -> tuple[list[EntryName], list[Fault]]:
    """The good names of a list, and what is wrong with the others."""
    names: list[EntryName] = []
    found: list[Fault] = []
    for index, raw in enumerate(raws):
        read = entry_name(raw, f"/{index}")
        if isinstance(read, EntryName):
            names.append(read)
        else:
            found.extend(read)
    return names, at_most(found)
