"""Requests to Loop as the product would make them, for those who do without it."""

from collections.abc import Iterator, Sequence

from benchmarks.load import SECRET, SUBSCRIPTION, Json, api_key
from passerelle.domain.limits import Limits
from passerelle.domain.mapping import Destination, map_entry
from schemas.event import build
from schemas.loop import dump_line, encode, encode_import

LIMITS = Limits(
    description=35, auxiliary_code=17, reference=35, batch_lines=500, batch_bytes=1_000_000
)


def headers(firm: str) -> dict[str, str]:
    return {
        "x-apikey": f"{api_key(firm)}:{SECRET}",
        "Ocp-Apim-Subscription-Key": SUBSCRIPTION,
        "Content-Type": "application/json",
        "Accept": "application/json",
    }


def encoded(raw: Json) -> bytes:
    """An event's lines as they go to Loop, a JSON array."""
    event = build(raw)
    mapped = map_entry(
        event.entry,
        Destination(
            firm=event.firm,
            folder=event.folder,
            limits=LIMITS,
            send_origin=True,
            loop_codes={},
            accounts={},
        ),
    )
    return encode([dump_line(line) for line in mapped.lines])


def body(raw: Json) -> bytes:
    """A request for one entry."""
    return encode_import(raw["folder"], [encoded(raw)], create_accounts=False)


def bodies(events: Sequence[Json]) -> list[tuple[str, bytes]]:
    """Requests for many, each as full as Loop takes them; with the firm's code."""
    by_folder: dict[tuple[str, str], list[Json]] = {}
    for event in events:
        by_folder.setdefault((event["firm"], event["folder"]), []).append(event)
    return [
        (firm, encode_import(folder, map(encoded, some), create_accounts=False))
        for (firm, folder), of_folder in by_folder.items()
        for some in _batches(of_folder)
    ]


def _batches(events: Sequence[Json]) -> Iterator[list[Json]]:
    some: list[Json] = []
    lines = 0
    for event in events:
        lines += len(event["entry"]["lines"])
        if lines > LIMITS.batch_lines:
            yield some
            some, lines = [], len(event["entry"]["lines"])
        some.append(event)
    yield some
