"""Streams over one WebSocket: the client subscribes and unsubscribes with messages of JSON."""

import asyncio
from contextlib import suppress

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from chassis.errors import KodamaError
from services.gateway.auth import Caller, require_scope
from services.gateway.streaming.events import StreamName, web_socket_text
from services.gateway.streaming.hub import NEEDED_SCOPE, Hub
from services.gateway.streaming.server_sent import SEND_SECONDS
from services.gateway.streaming.stream import Stream, StreamEnded

WAIT_SECONDS = 60.0
POLICY_VIOLATION = 1008
MAX_MESSAGE_CHARACTERS = 1000


class Wish(msgspec.Struct):
    """What a client says."""

    type: str = ""
    stream: str = ""


class Refusal(msgspec.Struct):
    """What a client is told where its wish cannot be fulfilled."""

    error: str
    status: int


class SocketStreams:
    """The streams of one WebSocket, which has been accepted."""

    def __init__(self, socket: WebSocket, hub: Hub, caller: Caller, token_hash: bytes) -> None:
        self._socket = socket
        self._hub = hub
        self._caller = caller
        self._token_hash = token_hash
        self._open: dict[StreamName, tuple[Stream, asyncio.Task[None]]] = {}

    async def serve(self, first: str) -> None:
        """Serve until the client goes or a stream is cut, beginning with a stream, if one is named."""
        reading = asyncio.create_task(self._read(first))
        try:
            while not reading.done():
                tasks = {task for _, task in self._open.values()}
                await asyncio.wait({reading, *tasks}, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
                if any(task.done() for task in tasks & {task for _, task in self._open.values()}):
                    break  # cut by us
        finally:
            reading.cancel()
            open_streams = list(self._open)
            for name in open_streams:
                self._unsubscribe(name)
            await asyncio.gather(reading, return_exceptions=True)
            with suppress(RuntimeError, WebSocketDisconnect):
                await self._socket.close(POLICY_VIOLATION)

    async def _read(self, first: str) -> None:
        if first:
            await self._subscribe(first)
        with suppress(WebSocketDisconnect):
            while True:
                await self._obey(await self._socket.receive_text())

    async def _obey(self, text: str) -> None:
        try:
            wish = msgspec.json.decode(text[: MAX_MESSAGE_CHARACTERS + 1], type=Wish)
        except msgspec.MsgspecError:
            await self._refuse("A message is a JSON object with type and stream.", 400)
            return
        if wish.type == "subscribe":
            await self._subscribe(wish.stream)
        elif wish.type == "unsubscribe":
            name = _stream_name(wish.stream)
            if name is not None:
                self._unsubscribe(name)
        else:
            await self._refuse("The type of a message is subscribe or unsubscribe.", 400)

    async def _subscribe(self, wanted: str) -> None:
        name = _stream_name(wanted)
        if name is None:
            await self._refuse("There is no such stream; there are user and user:notification.", 400)
            return
        if name in self._open:
            return
        try:
            require_scope(self._caller, NEEDED_SCOPE[name])
            stream = await self._hub.open(self._caller.account_id, self._token_hash, self._caller.scopes, name)
        except KodamaError as error:
            await self._refuse(error.message, 400)
            return
        self._open[name] = stream, asyncio.create_task(self._send_all(stream))

    def _unsubscribe(self, name: StreamName) -> None:
        if name in self._open:
            stream, task = self._open.pop(name)
            self._hub.close(stream, "The client does not want it any more.")
            task.cancel()

    async def _send_all(self, stream: Stream) -> None:
        with suppress(StreamEnded, TimeoutError):
            while True:
                event = await self._hub.next(stream, WAIT_SECONDS)
                if event is not None:
                    await self._send(web_socket_text(event, stream.name))
                    self._hub.note_sent(event)

    async def _refuse(self, sentence: str, status: int) -> None:
        await self._send(msgspec.json.encode(Refusal(sentence, status)).decode())

    async def _send(self, text: str) -> None:
        async with asyncio.timeout(SEND_SECONDS):
            await self._socket.send_text(text)


def _stream_name(text: str) -> StreamName | None:
    match text:
        case "user":
            return "user"
        case "user:notification":
            return "user:notification"
        case _:
            return None
