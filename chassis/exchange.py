"""The calling end of exchanges: a channel whose unary calls travel together.

Calls that are made while the last message is on its way go with the next one, so that nothing waits while there is little to do and
messages grow with the load. A call behaves as if it were made alone: its own deadline, error, cancellation and retries. What does not
fit goes alone: streams, health checks, calls without signature or deadline, and very large ones.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import grpc
from grpc.aio import AioRpcError, Metadata
from kodama.rpc.v1 import exchange_service_pb2 as pb

from chassis import caller, neighbours
from chassis.exchange_service import MAX_CALLS, METHOD

MAX_CALL_BYTES = 256 * 1024
"""What is larger goes alone, so that it delays nobody."""
MAX_REQUEST_BYTES = 1024 * 1024
"""About where a message with calls is full."""
MAX_IN_FLIGHT = 512
"""Calls on their way at once; the next wait in line."""
MAX_WAITING = 4096
"""Calls in line; the next fails at once."""
MAX_ATTEMPTS = 3
FIRST_PAUSE_SECONDS = 0.05
MAX_PAUSE_SECONDS = 0.5
ALONE_SECONDS = 30.0
"""How long calls are made alone after a server has said that it knows no exchanges: an older one, in a rolling update."""

CODES = {code.value[0]: code for code in grpc.StatusCode}


class NotStarted(Exception):
    """The call has not reached a handler, so that it can be made again whatever it does."""


class NoExchange(Exception):
    """The other end knows no exchanges."""


@dataclass(eq=False)
class Waiting:
    """A call whose answer is waited for."""

    call: pb.Call
    deadline: float
    answer: asyncio.Future[bytes]
    stream: "Stream | None" = None


@dataclass(eq=False)
class Stream:
    """A stream and what is on its way on it."""

    rpc: Any
    in_flight: dict[int, Waiting] = field(default_factory=dict)
    is_open: bool = True
    """New calls may be written to it."""
    reading: "asyncio.Task[None]" = field(init=False)


class Exchange:
    """All calls of one process to one server, over one stream at a time, opened when it is needed.

    Calls to a server of this very process take none.
    """

    def __init__(self, open_stream: Callable[[Metadata], Any], address: str = "") -> None:
        self._open_stream = open_stream
        self._address = address
        self._neighbours = neighbours.here()
        self._line: deque[Waiting] = deque()
        self._cancelled: list[tuple[Stream, int]] = []
        self._closing: list[Stream] = []
        self._in_flight = 0
        self._news = asyncio.Event()
        self._ids = count(1)
        self._streams: set[Stream] = set()
        self._stream: Stream | None = None
        self._pump: asyncio.Task[None] | None = None
        self._alone_until = 0.0

    async def ask(self, method: str, request: bytes, signature: str, deadline: float) -> bytes:
        """Make one call and return the serialized response; `deadline` is of time.monotonic().

        Raises AioRpcError as a call that is made alone does, NotStarted where it can be made again, NoExchange where it has to be made
        alone.
        """
        near = self._neighbours.find(self._address)
        if near is not None:
            answer_here = await neighbours.ask(near, method, request, signature, deadline)
            if answer_here.code:
                raise _error_of(answer_here)
            return answer_here.response
        if self._alone_until and time.monotonic() < self._alone_until:
            raise NoExchange
        if len(self._line) >= MAX_WAITING:
            raise _error(grpc.StatusCode.RESOURCE_EXHAUSTED, "Too many calls are waiting.")
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        waiting = Waiting(
            pb.Call(id=next(self._ids), method=method, request=request, signature=signature), deadline, answer
        )
        self._line.append(waiting)
        self._wake()
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await answer
        except TimeoutError:
            raise _error(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded") from None
        finally:
            if answer.cancelled():
                self._forget(waiting)

    async def close(self) -> None:
        """End all streams; calls that are open fail."""
        tasks = [stream.reading for stream in self._streams] + ([self._pump] if self._pump else [])
        for task in tasks:
            task.cancel()
        for stream in self._streams:
            stream.rpc.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        left = [*(waiting for stream in self._streams for waiting in stream.in_flight.values()), *self._line]
        self._streams.clear()
        self._line.clear()
        for waiting in left:
            _fail(waiting, _error(grpc.StatusCode.CANCELLED, "The channel was closed."))

    def _wake(self) -> None:
        self._news.set()
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._run())

    def _forget(self, waiting: Waiting) -> None:
        """Nobody waits for this answer any more; the other end is told where it may have begun."""
        stream = waiting.stream
        if stream is not None and stream.in_flight.pop(waiting.call.id, None) is not None:
            self._in_flight -= 1
            self._cancelled.append((stream, waiting.call.id))
            self._wake()

    async def _run(self) -> None:
        """Send what has come together, again and again, until there is nothing more to send."""
        while self._news.is_set():
            self._news.clear()
            while message := self._take():
                stream, request = message
                try:
                    await stream.rpc.write(request)
                except (AioRpcError, asyncio.InvalidStateError):
                    stream.is_open = False
                    if stream.reading.done():  # the reader has settled what was sent before; this was not sent
                        self._settle(stream, NotStarted)
            while self._closing:
                with suppress(AioRpcError, asyncio.InvalidStateError):
                    await self._closing.pop().rpc.done_writing()

    def _take(self) -> tuple[Stream, pb.ExchangeCallsRequest] | None:
        """Return what is to be sent next and on which stream; None where there is nothing, or too much is on its way."""
        if self._cancelled:
            stream = self._cancelled[0][0]
            ids = [call_id for where, call_id in self._cancelled if where is stream]
            self._cancelled = [each for each in self._cancelled if each[0] is not stream]
            if not stream.reading.done():
                return stream, pb.ExchangeCallsRequest(cancelled_ids=ids)
        taken: list[Waiting] = []
        size, now = 0, time.monotonic()
        while self._line and len(taken) < MAX_CALLS and size < MAX_REQUEST_BYTES and self._in_flight < MAX_IN_FLIGHT:
            waiting = self._line.popleft()
            if waiting.answer.done():
                continue
            waiting.call.timeout_ms = max(1, min(int((waiting.deadline - now) * 1000), 2**31 - 1))
            taken.append(waiting)
            size += len(waiting.call.request)
            self._in_flight += 1
        if not taken:
            return None
        stream = self._writable(taken[0].call.signature)
        for waiting in taken:
            waiting.stream = stream
            stream.in_flight[waiting.call.id] = waiting
        return stream, pb.ExchangeCallsRequest(calls=[waiting.call for waiting in taken])

    def _writable(self, signature: str) -> Stream:
        if self._stream is None or not self._stream.is_open:
            self._stream = Stream(self._open_stream(Metadata((caller.METADATA_KEY, signature))))
            self._stream.reading = asyncio.create_task(self._read(self._stream))
            self._streams.add(self._stream)
        return self._stream

    async def _read(self, stream: Stream) -> None:
        """Hand out answers until the stream ends; then nothing on it is left without an answer."""
        try:
            while (response := await stream.rpc.read()) is not grpc.aio.EOF:
                for answer in response.answers:
                    waiting = stream.in_flight.pop(answer.id, None)
                    if waiting is not None:
                        self._in_flight -= 1
                        _hand_over(waiting, answer)
                if response.is_closing and stream.is_open:
                    stream.is_open = False
                    self._closing.append(stream)
                if self._line or self._closing:
                    self._wake()  # there may be room again
        except AioRpcError as error:
            self._settle(stream, self._judge(error))
        else:
            self._settle(stream, NotStarted)

    def _judge(self, error: AioRpcError) -> Callable[[], Exception]:
        """Return what the calls end with that a broken stream has left open."""
        code, details = error.code(), error.details() or "The stream broke."
        if code is grpc.StatusCode.UNIMPLEMENTED:
            self._alone_until = time.monotonic() + ALONE_SECONDS
            return NoExchange
        if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
            return lambda: _error(code, details)
        return lambda: _error(grpc.StatusCode.UNAVAILABLE, details)

    def _settle(self, stream: Stream, outcome: Callable[[], Exception]) -> None:
        """End every call that a stream has left open."""
        stream.is_open = False
        self._streams.discard(stream)
        self._in_flight -= len(stream.in_flight)
        for waiting in stream.in_flight.values():
            _fail(waiting, outcome())
        stream.in_flight.clear()
        if self._line:
            self._wake()


def _hand_over(waiting: Waiting, answer: pb.Answer) -> None:
    if waiting.answer.done():
        return
    if answer.code == 0:
        waiting.answer.set_result(answer.response)
    else:
        waiting.answer.set_exception(_error_of(answer))


def _error_of(answer: pb.Answer) -> AioRpcError:
    details = Metadata(("grpc-status-details-bin", answer.status)) if answer.status else Metadata()
    return AioRpcError(CODES.get(answer.code, grpc.StatusCode.UNKNOWN), Metadata(), details, answer.message)


def _fail(waiting: Waiting, outcome: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(outcome)


def _error(code: grpc.StatusCode, message: str) -> AioRpcError:
    return AioRpcError(code, Metadata(), Metadata(), message)


class ExchangedMethod:
    """One unary RPC of a channel, called through its exchange. Awaiting a call gives the response; it is nothing but a coroutine."""

    def __init__(
        self, exchange: Exchange, method: str, alone: Any, serialize: Any, deserialize: Any, *, is_retryable: bool
    ) -> None:
        self._exchange = exchange
        self._method = method
        self._alone = alone
        self._serialize = serialize or bytes
        self._deserialize = deserialize or bytes
        self._is_retryable = is_retryable

    async def __call__(
        self, request: Any, *, timeout: float | None = None, metadata: Any = None, **options: Any
    ) -> Any:
        """Make one call. Raises AioRpcError."""
        signature = _only_signature(metadata)
        payload = (
            self._serialize(request) if signature and timeout is not None and timeout > 0 and not options else None
        )
        if payload is None or len(payload) > MAX_CALL_BYTES:
            return await self._alone(request, timeout=timeout, metadata=metadata, **options)
        assert timeout is not None
        deadline = time.monotonic() + timeout
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                return self._deserialize(await self._exchange.ask(self._method, payload, signature, deadline))
            except NoExchange:
                left = max(0.001, deadline - time.monotonic())
                return await self._alone(request, timeout=left, metadata=metadata)
            except NotStarted:
                if attempt == MAX_ATTEMPTS:
                    raise _error(grpc.StatusCode.UNAVAILABLE, "The server is going away.") from None
            except AioRpcError as error:
                if attempt == MAX_ATTEMPTS or not self._is_retryable or error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
            pause = min(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1), MAX_PAUSE_SECONDS) * random.uniform(0.8, 1.2)  # noqa: S311 - not a secret
            await asyncio.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        raise AssertionError("unreachable")


def _only_signature(metadata: Any) -> str:
    """Return the signature where a call has no other metadata, else the empty string."""
    pairs = tuple(metadata or ())
    if len(pairs) == 1 and pairs[0][0] == caller.METADATA_KEY and isinstance(pairs[0][1], str):
        return str(pairs[0][1])
    return ""


class ExchangeChannel:
    """A gRPC channel whose unary calls to services of this network travel in an exchange; for the rest it is the channel itself."""

    def __init__(self, channel: grpc.aio.Channel, retryable: Collection[str], address: str = "") -> None:
        self._channel = channel
        self._retryable = retryable
        self._exchange = Exchange(
            lambda metadata: channel.stream_stream(
                METHOD, pb.ExchangeCallsRequest.SerializeToString, pb.ExchangeCallsResponse.FromString
            )(metadata=metadata),
            address,
        )

    def unary_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, **options: Any
    ) -> Any:
        """Return a callable for one unary RPC."""
        alone = self._channel.unary_unary(method, request_serializer, response_deserializer, **options)
        if not method.startswith("/kodama."):
            return alone
        return ExchangedMethod(
            self._exchange,
            method,
            alone,
            request_serializer,
            response_deserializer,
            is_retryable=method in self._retryable,
        )

    async def close(self, grace: float | None = None) -> None:
        """Close the channel; calls that are open fail."""
        await self._exchange.close()
        await self._channel.close(grace)

    async def __aenter__(self) -> "ExchangeChannel":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)
