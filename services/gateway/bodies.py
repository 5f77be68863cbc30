"""What clients send, whatever its form: query string, JSON, form and multipart bodies, all read into one dictionary.

Clients of the Mastodon API mix them freely, even JSON on a GET; here they all mean the same. Every size has a bound.
"""

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.datastructures import FormData, Headers, UploadFile
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
# A file of a route that takes one: 8 MiB, and what a multipart body has around it.
MAX_FILE_BODY_BYTES = 8 * MAX_BODY_BYTES + 64 * 1024
MAX_DISCARDED_FILE_BYTES = 32 * MAX_BODY_BYTES

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])+)")


class Repeated(list[object]):
    """The values of a name that came more than once: a list where one is expected, else the last one counts."""


async def read_values(request: Request) -> dict[str, object]:
    """Return what the query string and the body say; the body wins.

    Raises BadRequest, TooLarge or UnsupportedMedia for what cannot be read, InvalidField for text that cannot be stored.
    """
    values = nest(_pairs(request.scope["query_string"], "query string"))
    body = await _read_body(request) if _has_body(request) else b""
    if body:
        values |= await _parse_body(request.headers, body)
    _check(values)
    return values


def _has_body(request: Request) -> bool:
    """Tell whether a request says that a body follows; without one of these headers none does (RFC 9112, 6.3)."""
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in request.scope["headers"])


@asynccontextmanager
async def read_upload(request: Request) -> AsyncIterator[tuple[dict[str, object], dict[str, UploadFile]]]:
    """Yield what `read_values` returns, and the files of a multipart body by their names. Raises as it does.

    Files are parsed while they arrive and are kept in memory, once: at most 8 MiB and 64 KiB are taken, and nothing is left behind
    by a process that dies.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        yield await read_values(request), {}
        return
    values = nest(_pairs(request.scope["query_string"], "query string"))
    _require_plain(request.headers, MAX_FILE_BODY_BYTES)
    form = await _form(request.headers, _bounded(request, MAX_FILE_BODY_BYTES, MAX_DISCARDED_FILE_BYTES))
    try:
        items = form.multi_items()
        values |= nest((name, value) for name, value in items if isinstance(value, str))
        _check(values)
        yield values, {name: value for name, value in items if isinstance(value, UploadFile)}
    finally:
        await form.close()


async def _read_body(request: Request) -> bytes:
    _require_plain(request.headers, MAX_BODY_BYTES)
    body = bytearray()
    async for chunk in _bounded(request, MAX_BODY_BYTES, MAX_DISCARDED_BYTES):
        body += chunk
    return bytes(body)


def _require_plain(headers: Headers, max_bytes: int) -> None:
    if headers.get("content-encoding", "identity") != "identity":
        # A small compressed body can unfold without bound.
        raise UnsupportedMedia("Compressed bodies are not accepted; please send it as it is.")
    if "expect" in headers and int(headers.get("content-length", "0")) > max_bytes:
        raise _too_large(max_bytes)  # the client waits to be told


async def _bounded(request: Request, max_bytes: int, max_discarded_bytes: int) -> AsyncIterator[bytes]:
    """Yield a body as it arrives. Raises TooLarge at its end where it is too large; then not all of it has been yielded."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_discarded_bytes:
            break
        if size <= max_bytes:
            yield chunk
    if size > max_bytes:
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"The body is larger than {max_bytes} bytes.")


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
    spool_max_size = MAX_FILE_BODY_BYTES  # in memory: a process that dies leaves no file behind

    def on_end(self) -> None:
        self.is_whole = True

    def close_files(self) -> None:
        """Close the files that have begun; a form knows only those that are complete."""
        for file in self._files_to_close_on_error:
            file.close()


async def _parts(headers: Headers, body: bytes) -> list[tuple[str, str]]:
    async def stream() -> AsyncIterator[bytes]:
        yield body

    form = await _form(headers, stream())
    items = form.multi_items()
    await form.close()
    return [(name, value) for name, value in items if isinstance(value, str)]


async def _form(headers: Headers, stream: AsyncIterator[bytes]) -> FormData:
    parser = _WholeMultipart(
        headers,
        stream,  # type: ignore[arg-type]  # an async generator function, which mypy sees as an iterator
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
    if not parser.is_whole:
        parser.close_files()
        raise BadRequest("The multipart body ends before its closing boundary.")
    if len(form.multi_items()) > MAX_PARTS:
        parser.close_files()
        raise BadRequest(f"The multipart body has more than {MAX_PARTS} parts.")
    return form


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
