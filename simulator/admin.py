"""The test's own door, under /_simulator: what was booked and asked, and what is to go wrong.

A query's `domain` is one firm's: without it all are read, and a folder is changed of the domain "".
No key is asked for; the program listens on loopback unless told otherwise.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from marshmallow import ValidationError

from simulator.answers import Answer, encoded
from simulator.loop import Loop
from simulator.scenario import FolderSchema, RuleSchema, SettingsSchema, problems

PREFIX = "/_simulator/"
_PAGE = 1_000


class _WrongRequestError(Exception):
    def __init__(self, *faults: str) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


def answer(loop: Loop, method: str, target: str, body: bytes) -> Answer:
    """Work off a request whose path begins with `PREFIX`; what is wrong in it is a 400."""
    path, _, text = target.removeprefix(PREFIX).partition("?")
    query = dict(parse_qsl(text, keep_blank_values=True))
    try:
        if path.startswith("folders/"):
            if method != "PATCH":
                return _json(405, {"errors": ["PATCH alone"]})
            code = unquote(path.removeprefix("folders/"))
            return _patch_folder(loop, query.get("domain", ""), code, body)
        reads: Mapping[str, Callable[[Loop, Mapping[str, str]], Answer]] = {
            "health": lambda *_: _json(200, {"status": "ok"}),
            "ledger": _ledger,
            "ledger/totals": lambda loop, of: _json(200, loop.ledger.totals(of.get("domain"))),
            "requests": lambda loop, of: _json(200, loop.traffic.as_json(of.get("domain"))),
            "imports": _imports,
            "faults": lambda loop, _: _json(200, {"faults": loop.faults.as_json()}),
            "settings": lambda loop, _: _settings(loop),
        }
        writes: Mapping[tuple[str, str], Callable[[Loop, bytes], Answer]] = {
            ("PUT", "faults"): _put_faults,
            ("PATCH", "settings"): _patch_settings,
            ("POST", "reset"): _reset,
        }
        if method == "GET" and path in reads:
            return reads[path](loop, query)
        if (method, path) in writes:
            return writes[method, path](loop, body)
    except _WrongRequestError as error:
        return _json(400, {"errors": error.faults})
    return _json(404, {"errors": [f"no {method} {path} here"]})


def _json(status: int, value: object) -> Answer:
    return Answer(status, encoded(value), "admin")


def _page(query: Mapping[str, str]) -> slice:
    try:
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", _PAGE))
    except ValueError as error:
        raise _WrongRequestError("limit and offset are numbers") from error
    if offset < 0 or limit < 0:
        raise _WrongRequestError("limit and offset are not negative")
    return slice(offset, offset + limit)


def _ledger(loop: Loop, query: Mapping[str, str]) -> Answer:
    """Entries in the order of booking. They are JSON text already, and only joined here."""
    entries = loop.ledger.entries(query.get("folder"), query.get("domain"))
    page = b",".join(entry.as_json() for entry in entries[_page(query)])
    return Answer(200, b'{"entries":[%b],"total":%d}' % (page, len(entries)), "admin")


def _imports(loop: Loop, query: Mapping[str, str]) -> Answer:
    domain, folder = query.get("domain"), query.get("folder")
    found = [
        imported
        for imported in loop.imports.values()
        if domain in {None, imported.folder.domain} and folder in {None, imported.folder.code}
    ]
    now = loop.clock()
    page = [imported.as_json(now) for imported in found[_page(query)]]
    return _json(200, {"imports": page, "total": len(found)})


def _settings(loop: Loop) -> Answer:
    settings = loop.settings
    limit = settings.rate_limit
    return _json(
        200,
        {
            "latency_ms": settings.latency_ms,
            "import_ms": settings.import_ms,
            "strict_folders": settings.strict_folders,
            "fetch_attachments": settings.fetch_attachments,
            "rate_limit": None
            if limit is None
            else {"calls": limit.calls, "seconds": limit.seconds},
        },
    )


def _put_faults(loop: Loop, body: bytes) -> Answer:
    """A list of rules, or an object that holds it as `faults`, as a scenario does."""
    document = _read(body)
    rules = document.get("faults") if isinstance(document, dict) else document
    loop.set_faults(tuple(_loaded(RuleSchema(many=True), rules)))
    return _json(200, {"faults": loop.faults.as_json()})


def _patch_folder(loop: Loop, domain: str, code: str, body: bytes) -> Answer:
    fields = _loaded(FolderSchema(exclude=("code", "domain")), _read(body))
    loop.folders.change(domain, code, fields)
    return _json(200, {"code": code})


def _patch_settings(loop: Loop, body: bytes) -> Answer:
    loop.change_settings(_loaded(SettingsSchema(), _read(body)))
    return _settings(loop)


def _reset(loop: Loop, _body: bytes) -> Answer:
    loop.reset()
    return _json(200, {"status": "ok"})


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _WrongRequestError("the body is no JSON") from error


def _loaded(schema: Any, document: object) -> Any:
    try:
        return schema.load(document)
    except ValidationError as error:
        raise _WrongRequestError(*problems(error.messages)) from error
