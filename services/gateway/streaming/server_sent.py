"""The answer of an HTTP request that is a stream: server-sent events until the client goes or the stream ends."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.gateway.streaming.events import THUMP, Event, beginning, reconnect_time, server_sent
from services.gateway.streaming.hub import Hub
from services.gateway.streaming.resumption import Resumption
from services.gateway.streaming.stream import Stream, StreamEnded

HEARTBEAT_SECONDS = 15.0
SEND_SECONDS = 30.0
"""A client that takes nothing for so long is cut off."""

MEDIA_TYPE = "text/event-stream"


class EventStream(Response):
    """Sends the events of an open stream, and closes it when either side ends."""

    media_type = MEDIA_TYPE

    def __init__(
        self, hub: Hub, stream: Stream, *, write: Callable[[Event, Resumption | None], bytes] = server_sent
    ) -> None:
        """`write` says what an event is on the wire."""
        super().__init__(headers={"x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._hub = hub
        self._stream = stream
        self._write = write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer until the end."""
        sending = asyncio.create_task(self._send_all(send, with_events=scope["method"] != "HEAD"))
        leaving = asyncio.create_task(_wait_for_leaving(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.close(self._stream, "The client has gone.")
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send_all(self, send: Send, *, with_events: bool) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        with suppress(TimeoutError):  # to a client that takes nothing, no proper end can be sent either
            if with_events:
                await _send_bytes(send, reconnect_time() + THUMP)  # proxies and clients see that it has begun
                if self._write is server_sent:
                    await _send_bytes(send, beginning(self._stream.begins_at))
                await self._send_events(send)
            await _send_bytes(send, b"", is_last=True)

    async def _send_events(self, send: Send) -> None:
        with suppress(StreamEnded):
            while True:
                event = await self._hub.next(self._stream, HEARTBEAT_SECONDS)
                if event is None:
                    await _send_bytes(send, THUMP)
                else:
                    await _send_bytes(send, self._write(event, self._stream.passed(event)))
                    self._hub.note_sent(event)


async def _send_bytes(send: Send, body: bytes, *, is_last: bool = False) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await send({"type": "http.response.body", "body": body, "more_body": not is_last})


async def _wait_for_leaving(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
