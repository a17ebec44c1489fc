"""What the shapes at the door share: fields, and faults as JSON Pointers.

A raw object is looked at twice at most. `Shape.read` goes through the declared fields and rules and
stops at the first fault; only what has one is given to marshmallow, which finds them all, and takes
five times as long over what has none. The declarations are the same ones.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, cast

from marshmallow import Schema, ValidationError, fields, validate
from marshmallow.decorators import VALIDATES_SCHEMA
from marshmallow.exceptions import SCHEMA

from passerelle.domain.event import Fault
from schemas import formats

# A refused event is kept with its faults and told to the hub; thousands of them help nobody.
MOST_FAULTS = 100
# Of one object: no good one has a fifth of them, and each unknown one would be a fault.
MOST_KEYS = 100

_UNKNOWN = "is not a key of the contract"
WORDS: dict[str, Any] = {
    "required": "is missing",
    "null": "must not be null",
    "unknown": _UNKNOWN,
}
_NAMES = {str: "a string", int: "an integer", float: "a float", list: "an array"}


class Readable(fields.Field[Any]):
    """A field that is never null."""

    default_error_messages = WORDS

    def read(self, value: Any) -> Any:
        """Raises: ValidationError, at the first fault."""
        found = self._deserialize(value, None, None)
        for check in self.validators:
            check(found)
        return found


class Text(Readable):
    wanted: ClassVar[str] = "a string"

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> Any:
        if not isinstance(value, str):
            raise ValidationError(wrong_type(self.wanted, value))
        return value


class Integer(Readable):
    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> int:
        # True is an int to Python, and 1.0 an integer to JSON Schema.
        if type(value) is int or (type(value) is float and value.is_integer()):
            return int(value)
        raise ValidationError(wrong_type("an integer", value))


class Object(Readable, fields.Nested):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        self._require_object(value)
        return super()._deserialize(value, *args, **kwargs)

    def read(self, value: Any) -> Any:
        self._require_object(value)
        return cast(Shape, self.schema).read(value)

    @staticmethod
    def _require_object(value: Any) -> None:
        if not isinstance(value, dict):
            raise ValidationError(wrong_type("an object", value))
        if len(value) > MOST_KEYS:
            raise ValidationError(too_many_keys(value))


class Shape(Schema):
    """Of `Readable` fields. Rules over several of them take the original, too."""

    error_messages = WORDS

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._read = {name: cast(Readable, field).read for name, field in self.load_fields.items()}
        self._required = {name for name, field in self.load_fields.items() if field.required}
        self._rules = [getattr(self, name) for name, *_ in self._hooks[VALIDATES_SCHEMA]]

    def read(self, raw: dict[str, Any]) -> dict[str, Any]:
        """What `load` gives.

        Raises:
            ValidationError: there is a fault; `validate` finds all of them.
        """
        good = {}
        for name, value in raw.items():
            read = self._read.get(name)
            if read is None:
                raise ValidationError(_UNKNOWN)
            good[name] = read(value)
        if not self._required <= good.keys():
            raise ValidationError(WORDS["required"])
        for rule in self._rules:
            rule(good, raw)
        return good


def free(most: int, *, least: int = 0, blank: bool = True, required: bool = False) -> Text:
    """A string for people to read, of `least` to `most` code points."""
    checks: list[Callable[[str], object]] = [
        formats.storable,
        validate.Length(least, most, error="must have {min} to {max} characters"),
    ]
    if not blank:
        checks.append(formats.not_blank)
    return Text(required=required, validate=checks)


def revision() -> Integer:
    between = validate.Range(1, 1_000_000, error="must be from 1 to 1000000")
    return Integer(required=True, validate=between)


def at_most(found: list[Fault]) -> list[Fault]:
    """Of many faults the first `MOST_FAULTS`, and one that counts the rest."""
    rest = len(found) - MOST_FAULTS
    if rest > 0:
        return [*found[:MOST_FAULTS], Fault("", f"has at least {rest} more faults")]
    return found


def flat(errors: Mapping[Any, Any], path: str = "") -> Iterator[Fault]:
    """Marshmallow's messages, which stand under keys and indexes, in an order that never varies."""
    for key, found in sorted(errors.items(), key=_rank):
        below = f"{path}/{_token(key)}"
        if isinstance(found, Mapping):
            yield from flat(found, below)
            continue
        for message in found:
            # Under SCHEMA stand the faults of the object or list as a whole, and among them what
            # is said of a key that somebody really called `_schema`.
            whole = key == SCHEMA and message != _UNKNOWN
            yield Fault(path if whole else below, message)


def _rank(item: tuple[object, object]) -> tuple[int, str]:
    key = item[0]
    return (key, "") if isinstance(key, int) else (-1, str(key))


def _token(key: object) -> str:
    """One step of a JSON Pointer (RFC 6901).

    Of a key that no database could store the offending characters are spelt out, and a key that
    nobody could read is cut.
    """
    text = str(key)
    if len(text) > formats.MOST_ECHOED:
        text = f"{text[: formats.MOST_ECHOED]}…"
    text = formats.UNSTORABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return text.replace("~", "~0").replace("/", "~1")


def too_many_keys(value: dict[str, Any]) -> str:
    return f"must not have {len(value)} keys"


def wrong_type(wanted: str, value: object) -> str:
    if value is None or isinstance(value, bool):
        return f"must be {wanted}, not {json.dumps(value)}"
    # What kombu makes of a `__type__` (a datetime, a UUID, bytes) was an object in the JSON.
    return f"must be {wanted}, not {_NAMES.get(type(value), 'an object')}"
