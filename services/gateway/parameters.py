"""Parameters: what a client sent, as the struct that a route declares, or a 422 that names the field."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec
from kodama.page.v1.window_pb2 import Window

from chassis.errors import InvalidField, NotFound
from chassis.ids import MAX_ID
from services.gateway.bodies import Repeated

Id = Annotated[int, msgspec.Meta(ge=1, le=MAX_ID, description="An id: 1 to 19 decimal digits.")]
IdOrZero = Annotated[int, msgspec.Meta(ge=0, le=MAX_ID)]
Limit = Annotated[int, msgspec.Meta(ge=1, description="At most so many; more than the list's maximum is cut to it.")]
IdList = Annotated[list[Id], msgspec.Meta(max_length=200)]
MediaIds = Annotated[list[Id], msgspec.Meta(max_length=4, description="Own pictures that were uploaded before.")]
ShortText = Annotated[str, msgspec.Meta(max_length=2000)]
LongText = Annotated[str, msgspec.Meta(max_length=100_000)]

FLAGS = {"1": True, "true": True, "on": True, "t": True, "0": False, "false": False, "off": False, "f": False}

_DIGITS = re.compile(r"-?[0-9]{1,19}")
_PATH_ID = re.compile(r"[0-9]{1,19}")
_HANDLE = re.compile(r"[A-Za-z0-9_]{1,30}")
_FAULT = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<where>[^`]*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_WORDS = {
    "`int`": "a whole number",
    "`str`": "text",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "an object",
    " | null`": "`",
}

Params = TypeVar("Params", bound=msgspec.Struct)


class NoParameters(msgspec.Struct, frozen=True):
    """Nothing is asked for."""


class WindowParameters(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a list ordered by descending id, as clients of the Mastodon API ask for it."""

    max_id: Id | None = None
    since_id: IdOrZero | None = None
    min_id: IdOrZero | None = None
    limit: Limit | None = None

    def window(self, *, default: int, maximum: int) -> Window:
        """Return the window to ask a service for; its limit is always set."""
        return Window(
            max_id=self.max_id or 0,
            since_id=self.since_id or 0,
            # 0 is the start of time for clients, and "not asked" in the contract.
            min_id=0 if self.min_id is None else max(self.min_id, 1),
            limit=min(self.limit or default, maximum),
        )


def has_older(window: Window, count: int) -> bool:
    """Tell whether there can be something below a page with so many results: it is full, or was read upwards."""
    return window.min_id > 0 or count >= window.limit


@dataclass(frozen=True)
class _Field:
    name: str
    is_list: bool
    is_text: bool
    is_flag: bool
    is_number: bool


class Reader:
    """Turns values as clients send them into one struct type; made once per route."""

    def __init__(self, struct: type[msgspec.Struct]) -> None:
        self._struct = struct
        self._fields = [_field(field.encode_name, field.type) for field in msgspec.structs.fields(struct)]

    def read(self, values: Mapping[str, object]) -> msgspec.Struct:
        """Return the struct. Unknown names are ignored, null and "" are as good as absent where "" is no value.

        Raises InvalidField, which names the field.
        """
        shaped: dict[str, object] = {}
        for field in self._fields:
            value = _shape(field, values.get(field.name))
            if value is not None:
                shaped[field.name] = value
        try:
            return msgspec.convert(shaped, self._struct, strict=False)
        except msgspec.ValidationError as error:
            raise _invalid(str(error)) from error


def parse_id(text: str) -> int:
    """Return the id in a path. Raises NotFound for what cannot be one: nothing has that address."""
    if not _PATH_ID.fullmatch(text) or not 1 <= int(text) <= MAX_ID:
        raise NotFound("There is nothing with this id.")
    return int(text)


def parse_handle(text: str) -> str:
    """Return the handle in a path as it is stored. Raises NotFound for what cannot be one."""
    if not _HANDLE.fullmatch(text):
        raise NotFound("There is no member with this name.")
    return text.lower()


def _alternatives(annotation: Any) -> list[Any]:
    """Return the plain types of an annotation, without Annotated, unions and None."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [plain for part in get_args(annotation) for plain in _alternatives(part)]
    return [] if annotation is NoneType else [annotation]


def _field(name: str, annotation: Any) -> _Field:
    plain = _alternatives(annotation)
    lists = [kind for kind in plain if get_origin(kind) is list]
    elements = [inner for kind in lists for inner in _alternatives(get_args(kind)[0])]
    return _Field(
        name,
        is_list=bool(lists),
        is_text=str in plain,
        is_flag=bool in plain,
        is_number=int in plain or int in elements,
    )


def _shape(field: _Field, value: object) -> object:
    """Return a value closer to the type that is asked for, as far as the spellings of clients differ; None for absent."""
    if isinstance(value, Repeated) and not field.is_list:
        value = value[-1]
    if value == "" and not field.is_text:
        return None
    if isinstance(value, str) and value.lower() == "null" and not field.is_text:
        # The word, from a form; msgspec would take it for None, and what was asked for would silently not be done.
        raise InvalidField(field.name, f"{field.name} cannot be the word null; leave it out.")
    if field.is_flag and isinstance(value, str):
        return FLAGS.get(value.lower(), value)
    if value is not None and field.is_list and not field.is_text and not isinstance(value, list):
        value = [value]
    if field.is_number:
        # msgspec would also take "1e9" and "1.0".
        for element in value if isinstance(value, list) else [value]:
            if isinstance(element, str) and not _DIGITS.fullmatch(element):
                raise InvalidField(field.name, f"{field.name} must be a whole number of at most 19 digits.")
    return value


def _invalid(fault: str) -> InvalidField:
    """Return msgspec's words as an error that names the field, in words for people."""
    missing = _MISSING.search(fault)
    if missing:
        return InvalidField(missing[1], f"{missing[1]} is missing.")
    match = _FAULT.fullmatch(fault)
    field = (match["where"] if match else "") or "body"
    what = match["what"] if match else fault
    for code, words in _WORDS.items():
        what = what.replace(code, words)
    return InvalidField(field.partition("[")[0], f"{field}: {what.replace('`', '')}.")
