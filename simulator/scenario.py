"""What the simulator is to play: one document, TOML or JSON, all of it optional.

    seed = 1                       # of the faults' chance
    latency_ms = 50                # every answer of Loop comes that much later
    import_ms = 200                # from an import's acceptance to its end
    strict_folders = true          # only the folders below exist; else any does
    fetch_attachments = true       # of what is booked; the ledger tells what came
    rate_limit = { calls = 50, seconds = 1.0 }   # per subscription key

    [[keys]]                       # without any, whatever is not blank passes
    key = "KEY"
    secret = "may:hold:colons"
    subscription_key = "SUB"
    folders = ["CEGID003"]         # without it, all of its domain
    domain = "FIRM1"               # without it, the one that has no name

    [[folders]]
    code = "CEGID003"
    domain = "FIRM1"               # another domain may have a folder of the same code
    name = "Papeterie du Sud-Ouest"
    open_from = 2026-01-01         # inclusive, as open_to
    access = "granted"             # refused_at_post, refused_at_end
    language = "fr"                # en, fr_curly, fr_plain, fr_curly_plain
    collaborator = "LOOPAPI"
    accounts = [{ code = "60100000", label = "Achats", closed = false }]
    journals = [{ code = "ACH", label = "Achats", type = 1 }]
    third_parties = [{ code = "DUPONT", name = "Dupont", kind = "supplier", closed = false }]
    sections = [{ code = "SECA@AXE", axis = "AXE" }]
    establishments = [{ code = "73282932000074", name = "Siège" }]

    [[faults]]                     # the names: python -m simulator --help
    fault = "dropped_stored"
    route = "importJson"           # without it, any it can act on
    domain = "FIRM1"               # without it, any
    folder = "CEGID003"            # without it, any
    after = 3                      # lets so many pass first
    count = 1                      # then acts so often; without it, for ever
    chance = 0.5

A list of accounts, journals, third parties or establishments that is not given accepts any code.
A fault of time takes `seconds`; with stuck_waiting and stuck_running 0, their default, is for ever.
row_cap takes `rows`. attachment_refused and attachment_refused_after act on imports with a
`fichier.uri` alone: nothing of them lands, or all of it. A key sees the folders, books and imports
of its own domain alone; without keys `FIRM2/KEY` is one of the domain FIRM2, and one without a
slash of the domain without a name.
"""

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from simulator import routes
from simulator.faults import FAULTS, Act, Rule, WireFault
from simulator.folders import Access, Account, Establishment, Journal, Kind, Section, ThirdParty
from simulator.gateway import Key, RateLimit
from simulator.wordings import Language


class ScenarioError(Exception):
    """The document cannot be played; the text names every fault in it."""


@dataclass(frozen=True, slots=True)
class Settings:
    latency_ms: int = 0
    import_ms: int = 200
    strict_folders: bool = False
    fetch_attachments: bool = False
    rate_limit: RateLimit | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """`folders` are the fields that each folder is made of."""

    settings: Settings = field(default_factory=Settings)
    seed: int = 0
    keys: tuple[Key, ...] = ()
    folders: tuple[Mapping[str, Any], ...] = ()
    faults: tuple[Rule, ...] = ()


_FILLED = validate.Regexp(r"\S", error="must not be blank")
_COUNT = validate.Range(min=0)


def _text(**options: Any) -> fields.String:
    return fields.String(validate=_FILLED, **options)


def _flag(**options: Any) -> fields.Boolean:
    return fields.Boolean(truthy={True}, falsy={False}, **options)


class _RecordSchema(Schema):
    record: ClassVar[type[Any]]

    code = _text(required=True)

    @post_load
    def made(self, loaded: dict[str, Any], **_: Any) -> Any:
        return self.record(**loaded)


class _AccountSchema(_RecordSchema):
    record: ClassVar[type[Any]] = Account
    label = fields.String()
    closed = _flag()


class _JournalSchema(_AccountSchema):
    record: ClassVar[type[Any]] = Journal
    type = fields.Integer(strict=True, validate=validate.Range(1, 8))


class _ThirdPartySchema(_RecordSchema):
    record: ClassVar[type[Any]] = ThirdParty
    name = fields.String()
    kind = fields.String(validate=validate.OneOf([kind.name.lower() for kind in Kind]))
    closed = _flag()

    @post_load
    def made(self, loaded: dict[str, Any], **_: Any) -> Any:
        if "kind" in loaded:
            loaded["kind"] = Kind[loaded["kind"].upper()]
        return ThirdParty(**loaded)


class _SectionSchema(_AccountSchema):
    record: ClassVar[type[Any]] = Section
    axis = fields.String()


class _EstablishmentSchema(_RecordSchema):
    record: ClassVar[type[Any]] = Establishment
    name = fields.String()


def _records(schema: type[_RecordSchema]) -> fields.List[Any]:
    return fields.List(fields.Nested(schema), allow_none=True)


class FolderSchema(Schema):
    """Gives the fields of a folder; a list of records may be null again: anything is accepted."""

    code = _text(required=True)
    domain = fields.String()
    name = fields.String()
    open_from = fields.Date(allow_none=True)
    open_to = fields.Date(allow_none=True)
    access = fields.Enum(Access, by_value=True)
    language = fields.Enum(Language, by_value=True)
    collaborator = _text()
    accounts = _records(_AccountSchema)
    journals = _records(_JournalSchema)
    third_parties = _records(_ThirdPartySchema)
    sections = _records(_SectionSchema)
    establishments = _records(_EstablishmentSchema)

    @validates_schema
    def in_order(self, loaded: dict[str, Any], **_: Any) -> None:
        first, last = loaded.get("open_from"), loaded.get("open_to")
        if first is not None and last is not None and first > last:
            raise ValidationError("must not be before open_from", "open_to")


class _KeySchema(Schema):
    key = fields.String(
        required=True, validate=validate.Regexp(r"^[^:]*[^:\s][^:]*\Z", error="blank, or a colon")
    )
    secret = _text(required=True)
    subscription_key = _text(required=True)
    folders = fields.List(_text(), allow_none=True)
    domain = fields.String()

    @post_load
    def made(self, loaded: dict[str, Any], **_: Any) -> Key:
        folders = loaded.pop("folders", None)
        return Key(**loaded, folders=None if folders is None else frozenset(folders))


class _RateLimitSchema(Schema):
    calls = fields.Integer(required=True, strict=True, validate=validate.Range(min=1))
    seconds = fields.Float(required=True, validate=validate.Range(min=0, min_inclusive=False))

    @post_load
    def made(self, loaded: dict[str, Any], **_: Any) -> RateLimit:
        return RateLimit(**loaded)


class SettingsSchema(Schema):
    latency_ms = fields.Integer(strict=True, validate=_COUNT)
    import_ms = fields.Integer(strict=True, validate=_COUNT)
    strict_folders = _flag()
    fetch_attachments = _flag()
    rate_limit = fields.Nested(_RateLimitSchema, allow_none=True)


class RuleSchema(Schema):
    fault = fields.String(required=True, validate=validate.OneOf(FAULTS))
    route = fields.String(allow_none=True)
    domain = fields.String(allow_none=True)
    folder = _text(allow_none=True)
    after = fields.Integer(strict=True, validate=_COUNT)
    count = fields.Integer(strict=True, validate=_COUNT, allow_none=True)
    chance = fields.Float(validate=validate.Range(0, 1))
    seconds = fields.Float(validate=_COUNT)
    rows = fields.Integer(strict=True, validate=_COUNT)
    language = fields.Enum(Language, by_value=True)

    @validates_schema
    def fits(self, loaded: dict[str, Any], **_: Any) -> None:
        fault = FAULTS[loaded["fault"]]
        name = loaded.get("route")
        route = None if name is None else routes.named(name)
        if name is not None and (route is None or route not in fault.routes):
            possible = ", ".join(sorted(fault.routes))
            raise ValidationError(f"{loaded['fault']} acts on {possible}", "route")
        takes = {
            "seconds": fault.seconds is not None,
            "rows": fault.rows is not None,
            "language": fault.worded,
            # The folder stands in the body, which is not read then.
            "folder": not (isinstance(fault, WireFault) and fault.act is Act.RESET),
        }
        for key, taken in takes.items():
            if loaded.get(key) is not None and not taken:
                raise ValidationError(f"has no meaning for {loaded['fault']}", key)

    @post_load
    def made(self, loaded: dict[str, Any], **_: Any) -> Rule:
        fault = FAULTS[loaded["fault"]]
        name = loaded.pop("route", None)
        route = None if name is None else routes.named(name)
        loaded.setdefault("seconds", fault.seconds or 0)
        loaded.setdefault("rows", fault.rows or 0)
        return Rule(**loaded, route=route)


class ScenarioSchema(SettingsSchema):
    seed = fields.Integer(strict=True)
    keys = fields.List(fields.Nested(_KeySchema))
    folders = fields.List(fields.Nested(FolderSchema))
    faults = fields.List(fields.Nested(RuleSchema))

    @validates_schema
    def once(self, loaded: dict[str, Any], **_: Any) -> None:
        codes = [(one.get("domain", ""), one["code"]) for one in loaded.get("folders", ())]
        pairs = [(key.key, key.secret) for key in loaded.get("keys", ())]
        if len(set(codes)) < len(codes):
            raise ValidationError("a code stands twice", "folders")
        if len(set(pairs)) < len(pairs):
            raise ValidationError("a key and secret stand twice", "keys")

    @post_load
    def made(self, loaded: dict[str, Any], **_: Any) -> Scenario:
        names = {spec.name for spec in dataclasses.fields(Settings)}
        return Scenario(
            settings=Settings(**{name: loaded[name] for name in names & loaded.keys()}),
            seed=loaded.get("seed", 0),
            keys=tuple(loaded.get("keys", ())),
            folders=tuple(loaded.get("folders", ())),
            faults=tuple(loaded.get("faults", ())),
        )


def problems(messages: Any, path: str = "") -> list[str]:
    """Marshmallow's tree of messages as flat sentences: `folders[0].access: …`."""
    if isinstance(messages, str):
        return [f"{path}: {messages}" if path else messages]
    found = []
    if isinstance(messages, list):
        for message in messages:
            found += problems(message, path)
        return found
    for key, below in messages.items():
        step = f"[{key}]" if isinstance(key, int) else f".{key}"
        found += problems(below, path if key == "_schema" else (path + step).removeprefix("."))
    return found


def load(path: Path) -> Scenario:
    """The scenario of a file; `.toml` is TOML, anything else JSON.

    Raises:
        ScenarioError: the file cannot be read or is wrong; the text is one line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise ScenarioError(f"The scenario {path} cannot be read: {error}.") from error
    try:
        loaded: Scenario = ScenarioSchema().load(document)
    except ValidationError as error:
        faults = "; ".join(problems(error.messages))
        raise ScenarioError(f"The scenario {path} is wrong: {faults}") from error
    return loaded
