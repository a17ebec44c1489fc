"""An entry that is due as the lines that go to Loop."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict

from passerelle.domain.batching import Size
from passerelle.domain.event import Entry
from passerelle.domain.limits import Cut
from passerelle.domain.mapping import Destination, auxiliary_code, chart_account, map_entry
from passerelle.domain.preflight import Uses, root
from passerelle.domain.text import normalise
from passerelle.domain.verdict import twin_key
from passerelle.store.claims import Due, Ready
from schemas.event import build_entry
from schemas.loop import dump_line, encode, sent_moves, sent_place


def auxiliaries(dues: Sequence[Due]) -> list[str]:
    """The normalised auxiliary codes of these entries."""
    return [
        auxiliary_code(line["auxiliary"]["code"])
        for due in dues
        for line in due.entry["lines"]
        if "auxiliary" in line
    ]


def chart_writings(used: Collection[str], chart: Collection[str]) -> dict[str, str]:
    """How the folder's chart writes those of the accounts that it writes otherwise."""
    alike: dict[str, set[str]] = defaultdict(set)
    for code in chart:
        alike[root(code)].add(code)
    written = {account: chart_account(account, alike[root(account)]) for account in used}
    return {account: other for account, other in written.items() if other != account}


def entry_of(due: Due) -> Entry | None:
    """None where it is not as events are: mapping tells."""
    try:
        return build_entry(due.entry)
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None


def uses_of(due: Due, entry: Entry) -> Uses:
    """What an entry uses of its folder."""
    accounts = frozenset(line.account for line in entry.lines)
    return Uses(entry.date, normalise(entry.journal.code), accounts, entry.attachment, due.came_at)


def ready_of(due: Due, destination: Destination, entry: Entry | None = None) -> tuple[Ready, Size]:
    """`entry`: what it was read as, if it was. Whatever is raised is a bug in mapping, and this
    entry's alone.
    """
    entry = entry or build_entry(due.entry)
    result = map_entry(entry, destination)
    lines = [dump_line(line) for line in result.lines]
    cuts = [_told(cut) for cut in result.cuts]
    key = twin_key(sent_place(lines), sent_moves(lines))
    encoded = encode(lines)
    size = Size(len(lines), len(encoded), entry.siret)
    return Ready(due.id, due.entry_id, encoded, cuts, key), size


def _told(cut: Cut) -> dict[str, object]:
    """A cut as the contract tells it."""
    told = asdict(cut)
    told["from"] = told.pop("from_")
    return told
