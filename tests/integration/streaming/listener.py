"""A client of streams that holds the server to the rules of the strictest one that is known: that of Mastodon.py."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

SECONDS = 10.0


@dataclass
class Listener:
    """An open stream, and what has come over it."""

    response: httpx.Response
    events: list[tuple[str, Any, str]] = field(default_factory=list)
    """Name, payload and id each."""
    thumps: int = 0
    comes_back_after_ms: int = 0
    begins_at: str = ""
    """From where the stream goes on if it is cut off before its first event."""
    has_ended: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> None:
        """Read to the end, line by line."""
        block: dict[str, str] = {}
        buffer = ""
        try:
            async for text in self.response.aiter_text():
                buffer += text
                *lines, buffer = buffer.split("\n")
                for line in lines:
                    block = self._take(line, block)
        except httpx.HTTPError:
            pass
        self.has_ended = True
        self._changed.set()

    def _take(self, line: str, block: dict[str, str]) -> dict[str, str]:
        assert "\r" not in line
        if line.startswith(":"):
            assert line == ":thump"
            self.thumps += 1
        elif line:
            key, value = line.split(": ", 1)
            if key == "retry":
                self.comes_back_after_ms = int(value)
                return block
            assert key not in block
            return {**block, key: value}
        elif block.get("event") == "begin":
            assert not self.begins_at
            assert not self.events
            self.begins_at = block["id"]
        elif block:
            self.events.append((block["event"], json.loads(block["data"]), block.get("id", "")))
        self._changed.set()
        return {}

    def updates(self) -> list[str]:
        """The ids of the posts that have come, in their order."""
        return [payload["id"] for name, payload, _ in self.events if name == "update"]

    async def until(self, condition: Any, seconds: float = SECONDS) -> None:
        """Wait until something is so of what has come."""
        async with asyncio.timeout(seconds):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    async def until_updates(self, *ids: str) -> None:
        """Wait until these posts have come."""
        await self.until(lambda self: set(ids) <= set(self.updates()))

    async def until_end(self, seconds: float = SECONDS) -> None:
        """Wait until the server has ended the stream."""
        await self.until(lambda self: self.has_ended, seconds)


@asynccontextmanager
async def listening(
    http: httpx.AsyncClient, path: str = "user", *, last_event_id: str = "", **params: str
) -> AsyncIterator[Listener]:
    """Open a stream until the block ends."""
    headers = {"last-event-id": last_event_id} if last_event_id else {}
    async with http.stream("GET", f"/api/v1/streaming/{path}", headers=headers, params=params, timeout=60) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        listener = Listener(response)
        reading = asyncio.create_task(listener.read())
        try:
            await listener.until(lambda self: self.begins_at)
            yield listener
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
