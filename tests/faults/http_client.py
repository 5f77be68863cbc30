"""A small HTTP client for thousands of requests a minute from one process: connections that are kept, and no opinion on what failed."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec

LOOPBACK = "127.0.0.1"
LINE_BYTES = 1 << 20
MAX_KEPT = 64
"""So many idle connections are kept per gateway."""


class Unanswered(Exception):
    """There was no whole answer: nobody knows what became of the request."""


class Ref(msgspec.Struct, frozen=True):
    """Somebody or something by id."""

    id: str


class Shown(msgspec.Struct, frozen=True):
    """What the harness looks at of a status or blog entry as clients are shown it."""

    id: str
    account: Ref
    content: str = ""
    title: str | None = None
    favourites_count: int = 0
    favourited: bool = False


_POSTS = msgspec.json.Decoder(list[Shown])


@dataclass(frozen=True)
class Answer:
    """What was answered."""

    code: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body, decoded."""
        return json.loads(self.body)

    def posts(self) -> list[Shown]:
        """Return the body, where it is a list of statuses or blog entries."""
        return _POSTS.decode(self.body)

    @property
    def next_path(self) -> str:
        """Where the page after this one is; empty without one."""
        for link in self.headers.get("link", "").split(", "):
            address, _, relation = link.partition("; ")
            if 'rel="next"' in relation:
                return "/" + address.strip("<>").split("/", 3)[3]
        return ""

    @property
    def lowest(self) -> int:
        """The id down to which a page shows everything: where the next page begins; 0 where there is none."""
        found = parse_qs(urlsplit(self.next_path).query).get("max_id")
        return int(found[0]) if found else 0


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Http:
    """Sends requests to any of several gateways on this machine."""

    def __init__(self, ports: Sequence[int], *, chance: random.Random | None = None) -> None:
        self._ports = list(ports)
        self._chance = chance or random.Random(0)
        self._idle: dict[int, list[Stream]] = {port: [] for port in ports}

    async def send(
        self,
        method: str,
        path: str,
        token: str = "",
        fields: Mapping[str, str] | None = None,
        *,
        key: str = "",
        port: int = 0,
        seconds: float = 15.0,
    ) -> Answer:
        """Send a request, with a form and an Idempotency-Key where there are any; to one gateway, or to any. Raises Unanswered."""
        port = port or self._chance.choice(self._ports)
        stream: Stream | None = None
        try:
            async with asyncio.timeout(seconds):
                kept = self._idle[port]
                stream = kept.pop() if kept else await asyncio.open_connection(LOOPBACK, port, limit=LINE_BYTES)
                stream[1].write(_request(method, path, token, fields, key))
                answer, is_kept = await _answer(stream[0])
        except (OSError, TimeoutError, EOFError, ValueError) as error:
            if stream is not None:
                stream[1].transport.abort()
            raise Unanswered(f"{method} {path}: {type(error).__name__}: {error}") from error
        except BaseException:
            if stream is not None:
                stream[1].transport.abort()
            raise
        if is_kept and len(self._idle[port]) < MAX_KEPT:
            self._idle[port].append(stream)
        else:
            stream[1].close()
        return answer

    def close(self) -> None:
        """Give all connections back."""
        for kept in self._idle.values():
            for _, writer in kept:
                writer.close()
            kept.clear()


def _request(method: str, path: str, token: str, fields: Mapping[str, str] | None, key: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {LOOPBACK}"]
    body = urlencode(fields).encode() if fields else b""
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if key:
        lines.append(f"Idempotency-Key: {key}")
    if fields:
        lines.append("Content-Type: application/x-www-form-urlencoded")
    if method != "GET":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _answer(reader: asyncio.StreamReader) -> tuple[Answer, bool]:
    """Read an answer; tell whether its connection can be used again."""
    code, headers = await read_head(reader)
    if headers.get("transfer-encoding") == "chunked":
        body = b"".join([chunk async for chunk in _chunks(reader)])
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(code, headers, body), headers.get("connection", "").lower() != "close"


async def read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Read the first line and the headers of an answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {}
    for line in head[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return int(head[0].split(" ", 2)[1]), headers


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int((await reader.readline()).split(b";")[0], 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readline()


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    name: str
    id: str
    data: str


async def events(port: int, path: str, token: str, last_id: str, silence_seconds: float) -> AsyncIterator[Event]:
    """Open a stream and return its events until it ends; an Event without a name says that it is open. Raises Unanswered."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {LOOPBACK}", f"Authorization: Bearer {token}", "Accept: text/event-stream"]
    if last_id:
        lines.append(f"Last-Event-ID: {last_id}")
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(silence_seconds):
            reader, writer = await asyncio.open_connection(LOOPBACK, port, limit=LINE_BYTES)
            writer.write("\r\n".join([*lines, "", ""]).encode())
            code, headers = await read_head(reader)
        if code != 200:
            raise Unanswered(f"{path}: {code}")
        yield Event("", "", "")
        async for event in _parse(_pieces(reader, headers, silence_seconds)):
            yield event
    except (OSError, TimeoutError, EOFError, ValueError) as error:
        raise Unanswered(f"{path}: {type(error).__name__}: {error}") from error
    finally:
        if writer is not None:
            with suppress(OSError):
                writer.transport.abort()


async def _pieces(
    reader: asyncio.StreamReader, headers: Mapping[str, str], silence_seconds: float
) -> AsyncIterator[bytes]:
    """Return what comes, as it comes. Raises TimeoutError after a silence: heartbeats are due every 15 s."""
    is_chunked = headers.get("transfer-encoding") == "chunked"
    chunks = _chunks(reader)
    while True:
        async with asyncio.timeout(silence_seconds):
            piece = await anext(chunks, b"") if is_chunked else await reader.read(65_536)
        if not piece:
            return
        yield piece


async def _parse(pieces: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    rest = b""
    async for piece in pieces:
        *blocks, rest = (rest + piece).split(b"\n\n")
        for block in blocks:
            fields = dict(
                line.split(": ", 1) for line in block.decode().split("\n") if ": " in line and not line.startswith(":")
            )
            if "event" in fields or "id" in fields:
                yield Event(fields.get("event", ""), fields.get("id", ""), fields.get("data", ""))
