"""What clients send, whatever its form: query string, JSON, form and multipart bodies, all read into one dictionary.

Clients of the Mastodon API mix them freely, even JSON on a GET; here they all mean the same. Every size has a bound.
"""

import re
from collections.abc import AsyncIterator, Iterable
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from chassis.errors import InvalidField
from services.gateway.errors import BadRequest, TooLarge, UnsupportedMedia

MAX_BODY_BYTES = 1024 * 1024
# Clients read an answer when they have sent everything; so much of what is too large is read and dropped for that.
MAX_DISCARDED_BYTES = 8 * MAX_BODY_BYTES
MAX_JSON_DEPTH = 20
MAX_JSON_VALUES = 10_000
MAX_PARTS = 20
MAX_PAIRS = 1000
MAX_BRACKETS = 5

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])+)")


class Repeated(list[object]):
    """The values of a name that came more than once: a list where one is expected, else the last one counts."""


async def read_values(request: Request) -> dict[str, object]:
    """Return what the query string and the body say; the body wins.

    Raises BadRequest, TooLarge or UnsupportedMedia for what cannot be read, InvalidField for text that cannot be stored.
    """
    values = nest(_pairs(request.scope["query_string"], "query string"))
    body = await _read_body(request)
    if body:
        values |= await _parse_body(request.headers, body)
    _check(values)
    return values


async def _read_body(request: Request) -> bytes:
    if request.headers.get("content-encoding", "identity") != "identity":
        # A small compressed body can unfold without bound.
        raise UnsupportedMedia("Compressed bodies are not accepted; please send it as it is.")
    too_large = TooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes.")
    if "expect" in request.headers and int(request.headers.get("content-length", "0")) > MAX_BODY_BYTES:
        raise too_large  # the client waits to be told
    body, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_DISCARDED_BYTES:
            break
        if size <= MAX_BODY_BYTES:
            body += chunk
    if size > MAX_BODY_BYTES:
        raise too_large
    return bytes(body)


async def _parse_body(headers: Headers, body: bytes) -> dict[str, object]:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "application/json" or media_type.endswith("+json"):
        return parse_json(body)
    if media_type == "multipart/form-data":
        return nest(await _parts(headers, body))
    if media_type in ("application/x-www-form-urlencoded", ""):
        return nest(_pairs(body, "body"))
    raise UnsupportedMedia("A body is application/json, application/x-www-form-urlencoded or multipart/form-data.")


def parse_json(body: bytes) -> dict[str, object]:
    """Return the object that a JSON body holds. Raises BadRequest, with what is wrong and where, for anything else."""
    try:
        value = msgspec.json.decode(body)
    except RecursionError as error:
        raise BadRequest(f"The JSON body is nested deeper than {MAX_JSON_DEPTH} levels.") from error
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise BadRequest(f"The body is not valid JSON: {error}.") from error
    if not isinstance(value, dict):
        raise BadRequest("The JSON body must be an object.")
    return value


def _pairs(text: bytes, what: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_PAIRS)
    except UnicodeError as error:
        raise BadRequest(f"The {what} is not UTF-8 in URL encoding.") from error
    except ValueError as error:
        raise BadRequest(f"The {what} has more than {MAX_PAIRS} fields.") from error


class _WholeMultipart(MultiPartParser):
    """Knows whether the closing boundary has come: the parser itself is content with a body that was cut."""

    is_whole = False

    def on_end(self) -> None:
        self.is_whole = True


async def _parts(headers: Headers, body: bytes) -> list[tuple[str, str]]:
    async def stream() -> AsyncIterator[bytes]:
        yield body

    parser = _WholeMultipart(
        headers,
        stream(),  # type: ignore[arg-type]  # an async generator function, which mypy sees as an iterator
        max_files=MAX_PARTS,
        max_fields=MAX_PARTS,
        max_part_size=MAX_BODY_BYTES,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise BadRequest(f"The multipart body cannot be read: {error.message}") from error
    except UnicodeError as error:
        raise BadRequest("The multipart body is not in the encoding that it names.") from error
    items = form.multi_items()
    await form.close()
    if not parser.is_whole:
        raise BadRequest("The multipart body ends before its closing boundary.")
    if len(items) > MAX_PARTS:
        raise BadRequest(f"The multipart body has more than {MAX_PARTS} parts.")
    return [(name, value) for name, value in items if isinstance(value, str)]


def nest(pairs: Iterable[tuple[str, str]]) -> dict[str, object]:
    """Return pairs as a dictionary: `a[]` is a list, `a[b]` a dictionary, a name that comes twice a Repeated."""
    values: dict[str, object] = {}
    for name, value in pairs:
        match = _NAME.fullmatch(name)
        brackets = match[2][1:-1].split("][") if match else []
        if match is None or len(brackets) > MAX_BRACKETS:
            _put(values, name, value)
            continue
        is_list = brackets[-1] == ""
        path = [match[1], *(brackets[:-1] if is_list else brackets)]
        target = values
        for step in path[:-1]:
            inner = target.get(step)
            if not isinstance(inner, dict):
                inner = target[step] = {}
            target = inner
        if is_list:
            _append(target, path[-1], value)
        else:
            _put(target, path[-1], value)
    return values


def _put(target: dict[str, Any], name: str, value: str) -> None:
    if name in target:
        _append(target, name, value)
    else:
        target[name] = value


def _append(target: dict[str, Any], name: str, value: str) -> None:
    there = target.get(name)
    if isinstance(there, list):
        there.append(value)
    else:
        target[name] = Repeated([value] if there is None or isinstance(there, dict) else [there, value])


def _check(values: dict[str, object]) -> None:
    """Refuse nesting without end and text that no part of the network can store."""
    waiting: list[tuple[str, object, int]] = [(name, value, 2) for name, value in values.items()]
    for seen, (name, value, depth) in enumerate(waiting, 1):
        if depth > MAX_JSON_DEPTH:
            raise BadRequest(f"The body is nested deeper than {MAX_JSON_DEPTH} levels.")
        if seen > MAX_JSON_VALUES:
            raise BadRequest(f"The body has more than {MAX_JSON_VALUES} values.")
        if isinstance(value, str) and not is_storable(value):
            raise InvalidField(_printable(name), f"{_printable(name)} contains characters that cannot be stored.")
        if isinstance(value, dict):
            waiting.extend((name, inner, depth + 1) for inner in value.values())
        elif isinstance(value, list):
            waiting.extend((name, inner, depth + 1) for inner in value)


def is_storable(text: str) -> bool:
    """Tell whether text is free of NUL and of halves of surrogate pairs, which neither PostgreSQL nor protobuf takes."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _printable(name: str) -> str:
    return name[:100].encode("ascii", "backslashreplace").decode()
