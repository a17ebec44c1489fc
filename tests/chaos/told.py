"""Whether the hub was told what is true: all of it, each once by its number."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from support.receiver import Receiver


def untrue(hub: Receiver, rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What is wrong of what was told; `rows` are the entries by the hub's id."""
    firms: defaultdict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for message in hub.taken:
        numbers = firms[message.body["firm"]]
        for outcome in message.body.get("outcomes", ()):
            told = numbers.setdefault(outcome["sequence"], outcome)
            if told != outcome:
                yield f"number {outcome['sequence']} was told twice, as {told} and as {outcome}"
    latest = {}
    for firm, numbers in firms.items():
        if sorted(numbers) != [*range(1, len(numbers) + 1)]:
            yield f"the numbers of {firm} have gaps: {sorted(numbers)[:20]} …"
        for _, outcome in sorted(numbers.items()):
            latest[outcome["entry_id"]] = (firm, outcome["state"], outcome["reason"])
    for entry_id, row in rows.items():
        now = (row["firm"], row["state"], row["reason"])
        if latest.get(entry_id) != now:
            yield f"{entry_id} is {now}, and the hub was told {latest.get(entry_id)}"
