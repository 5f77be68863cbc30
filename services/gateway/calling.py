"""How the gateway calls a service: reads, and writes with the client's Idempotency-Key."""

import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from google.protobuf.message import Message

from chassis import caller
from chassis.rpc import call, call_stream, call_with_stream

READ_SECONDS = 3
WRITE_SECONDS = 5
UPLOAD_SECONDS = 45
DOWNLOAD_SECONDS = 60

Answer = TypeVar("Answer", bound=Message)

idempotency_key: ContextVar[str] = ContextVar("idempotency_key", default="")
"""The Idempotency-Key of the request that is being answered. Every write carries it, without any route having to think of it."""


@contextmanager
def part_of_write(name: str) -> Iterator[None]:
    """Let the writes of a block be a part of what the request's key stands for: several of one kind do not take each other for the same."""
    key = idempotency_key.get()
    before = idempotency_key.set(hashlib.sha256(f"{key}/{name}".encode()).hexdigest() if key else "")
    try:
        yield
    finally:
        idempotency_key.reset(before)


class Calling:
    """What every client of a service is made on. Its methods raise the KodamaError that the service ended with, or Unavailable."""

    def __init__(self, signer: caller.Signer) -> None:
        self._signer = signer

    async def _read(self, method: Callable[..., Awaitable[Answer]], request: Message) -> Answer:
        return await call(method, request, self._signer, timeout_seconds=READ_SECONDS)

    async def _write(self, method: Callable[..., Awaitable[Answer]], request: Message) -> Answer:
        put_key(request)
        return await call(method, request, self._signer, timeout_seconds=WRITE_SECONDS)

    def _read_stream(self, method: Callable[..., AsyncIterable[Answer]], request: Message) -> AsyncIterator[Answer]:
        return call_stream(method, request, self._signer, timeout_seconds=DOWNLOAD_SECONDS)

    async def _write_stream(
        self, method: Callable[..., Awaitable[Answer]], first: Message, following: AsyncIterable[Message]
    ) -> Answer:
        put_key(first)

        async def requests() -> AsyncIterator[Message]:
            yield first
            async for request in following:
                yield request

        return await call_with_stream(method, requests(), self._signer, timeout_seconds=UPLOAD_SECONDS)


def put_key(request: Message) -> None:
    """Give a request the Idempotency-Key of what is being answered, where it takes one. `_write` does so by itself."""
    if idempotency_key.get() and "request_id" in request.DESCRIPTOR.fields_by_name:
        request.request_id = idempotency_key.get()  # type: ignore[attr-defined]  # has just been looked for
