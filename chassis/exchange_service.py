"""The serving end of exchanges: many unary calls over one stream, each admitted, bounded and answered as if it were made alone."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn, cast

import grpc
from google.rpc import status_pb2 as rpc_status_pb2
from kodama.rpc.v1 import exchange_service_pb2 as pb

from chassis import caller
from chassis.admission import Aborted, Policies, status_of

NAME = "kodama.rpc.v1.ExchangeService"
METHOD = f"/{NAME}/ExchangeCalls"
MAX_CALLS = 256
"""Calls in one message."""
MAX_RUNNING = 1000
"""Calls that run at once, over all streams; the next is told that the network is busy."""
MAX_ANSWERS_BYTES = 1024 * 1024
"""About where a message with answers is full; a single answer may be as large as a message may be."""
MAX_SIGNATURES = 64
"""That are kept; a process uses a new one every second."""
STREAM_SECONDS = 45.0
"""After which the caller is asked for a new stream: before connections are closed under it, and before signatures expire."""


class Recorder:
    """Stands in for a server where a service is added, and keeps its handlers."""

    def __init__(self) -> None:
        self._generic: list[grpc.GenericRpcHandler] = []
        self._known: dict[str, Any] = {}

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Sequence["grpc.GenericRpcHandler"]) -> None:
        """Keep handlers."""
        self._generic.extend(generic_rpc_handlers)

    def add_registered_method_handlers(self, service_name: str, method_handlers: object) -> None:
        """Leave out what the generic handlers have too."""

    def find(self, method: str) -> Any:
        """Return the handler of a unary RPC, None where there is none."""
        if method not in self._known:
            found = next(filter(None, (generic.service(_Details(method)) for generic in self._generic)), None)
            if found is None:  # not remembered: strangers could ask for any number of names
                return None
            self._known[method] = None if found.request_streaming or found.response_streaming else found
        return self._known[method]


class _Details(grpc.HandlerCallDetails):
    invocation_metadata = ()

    def __init__(self, method: str) -> None:
        self.method = method


class CallContext:
    """What handlers find of a call's context. Those of this network use no more of it than this."""

    def __init__(self, deadline: float, signature: str) -> None:
        self._deadline = deadline
        self._signature = signature

    def time_remaining(self) -> float:
        """Return the seconds that the caller still waits."""
        return max(0.0, self._deadline - time.monotonic())

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """Return what a call that is made alone has as metadata."""
        return ((caller.METADATA_KEY, self._signature),)

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: object = ()) -> NoReturn:
        """End the call. Raises AbortError."""
        raise Aborted(rpc_status_pb2.Status(code=code.value[0], message=details))


class Stream:
    """One stream: runs its calls side by side and answers each as soon as it has ended, together with what else has."""

    def __init__(self, exchange: "ExchangeServicer", context: Any) -> None:
        self._exchange = exchange
        self._context = context
        self._running: dict[int, asyncio.Task[None]] = {}
        self._answers: list[pb.Answer] = []
        self._news = asyncio.Event()
        self._is_closing = self._is_closed = False

    async def run(self) -> None:
        """Serve until the caller half-closes the stream and everything that it asked is answered."""
        timer = asyncio.get_running_loop().call_later(STREAM_SECONDS, self.close)
        writing = asyncio.create_task(self._write())
        try:
            while (request := await self._context.read()) is not grpc.aio.EOF:
                for call in request.calls:
                    self._start(call)
                for call_id in request.cancelled_ids:
                    if call_id in self._running:
                        self._running[call_id].cancel()
            while self._running:
                await asyncio.wait(self._running.values())
            self._is_closed = True
            self._news.set()
            await writing
        finally:
            timer.cancel()
            writing.cancel()
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    def close(self) -> None:
        """Ask the caller to go on with another stream."""
        self._is_closing = True
        self._news.set()

    def _start(self, call: pb.Call) -> None:
        if call.id in self._running:
            return  # the answer to the first is its answer
        task = asyncio.create_task(self._serve(call))
        self._running[call.id] = task
        task.add_done_callback(lambda _: self._running.pop(call.id, None))

    async def _serve(self, call: pb.Call) -> None:
        answer = await self._exchange.answer(call)
        answer.id = call.id
        self._answers.append(answer)
        self._news.set()

    async def _write(self) -> None:
        told = False
        while True:
            await self._news.wait()
            self._news.clear()
            while self._answers or self._is_closing > told:
                message = pb.ExchangeCallsResponse(answers=self._take(), is_closing=self._is_closing)
                told = self._is_closing
                await self._context.write(message)
            if self._is_closed:
                return

    def _take(self) -> list[pb.Answer]:
        size = count = 0
        for answer in self._answers:
            size += len(answer.response) + len(answer.status)
            if count and size > MAX_ANSWERS_BYTES:
                break
            count += 1
        taken, self._answers = self._answers[:count], self._answers[count:]
        return taken


class ExchangeServicer:
    """Serves ExchangeService with the handlers of a server's other services."""

    def __init__(self, key: str, policies: Policies, handlers: Recorder, *, max_answer_bytes: int) -> None:
        self._key = key
        self._policies = policies
        self._handlers = handlers
        self._max_answer_bytes = max_answer_bytes
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._streams: set[Stream] = set()
        self._is_closing = False
        self._verified: dict[str, caller.Verified] = {}

    def add_to(self, server: grpc.aio.Server) -> None:
        """Add the service to a server."""
        exchange = grpc.stream_stream_rpc_method_handler(
            cast(Any, self._exchange), pb.ExchangeCallsRequest.FromString, pb.ExchangeCallsResponse.SerializeToString
        )
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(NAME, {"ExchangeCalls": exchange})])

    async def finish(self, seconds: float) -> None:
        """Wait for what runs to end, for so long at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    def close(self) -> None:
        """Ask everybody to go elsewhere; what runs is answered."""
        self._is_closing = True
        for stream in self._streams:
            stream.close()

    async def _exchange(self, requests: object, context: Any) -> None:
        stream = Stream(self, context)
        self._streams.add(stream)
        if self._is_closing:
            stream.close()
        try:
            await stream.run()
        finally:
            self._streams.discard(stream)

    async def answer(self, call: pb.Call) -> pb.Answer:
        """Run one call to its end, in a context of its own."""
        try:
            return pb.Answer(response=await self._respond(call))
        except Exception as error:
            status = status_of(call.method, error)
            return pb.Answer(
                code=status.code,
                message=status.message,
                status=status.SerializeToString() if status.details else b"",
            )

    async def _respond(self, call: pb.Call) -> bytes:
        handler = self._handlers.find(call.method)
        if handler is None:
            raise _aborted(grpc.StatusCode.UNIMPLEMENTED, "There is no such unary RPC here.")
        seconds = call.timeout_ms / 1000
        self._policies.admit(call.method, self._role_of(call.signature), seconds if seconds > 0 else None)
        if self._running >= MAX_RUNNING:
            raise _aborted(grpc.StatusCode.RESOURCE_EXHAUSTED, "Too many calls run at once.")
        self._running += 1
        self._idle.clear()
        try:
            async with asyncio.timeout(seconds) as deadline:
                context = CallContext(time.monotonic() + seconds, call.signature)
                message = await handler.unary_unary(handler.request_deserializer(call.request), context)
                response = cast(bytes, handler.response_serializer(message))
        except TimeoutError:
            if deadline.expired():
                raise _aborted(grpc.StatusCode.DEADLINE_EXCEEDED, "The deadline is over.") from None
            raise
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()
        if len(response) > self._max_answer_bytes:
            raise _aborted(grpc.StatusCode.RESOURCE_EXHAUSTED, "The answer is larger than a message may be.")
        return response

    def _role_of(self, signature: str) -> str:
        """Return who signed, empty for nobody. A process signs all calls of one second alike, so genuine signatures are kept a while."""
        verified = self._verified.get(signature)
        if verified is None:
            verified = caller.verify_signature(signature, self._key)
            if verified.role:
                if len(self._verified) >= MAX_SIGNATURES:
                    self._verified.clear()
                self._verified[signature] = verified
        return verified.role if verified.expires >= time.time() else ""


def _aborted(code: grpc.StatusCode, message: str) -> Aborted:
    return Aborted(rpc_status_pb2.Status(code=code.value[0], message=message))
