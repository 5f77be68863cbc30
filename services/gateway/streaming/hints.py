"""Hints from the workers, brought from the listener's thread into the gateway's event loop."""

import asyncio
import threading
from collections.abc import Callable

from chassis import live

MAX_IN_FLIGHT = 500


class Hints:
    """Listens to the shards of connected members, once there are any. Without RabbitMQ nothing is ever heard."""

    def __init__(
        self,
        broker_url: str,
        *,
        on_message: Callable[[live.Message], None],
        on_bound: Callable[[frozenset[int]], None],
        on_lost: Callable[[], None],
    ) -> None:
        """All three are called in the event loop: with each message, with the shards that are heard from now on and were not until now,
        and when some of any shard may have been missed."""
        self._url = broker_url if live.can_be_live(broker_url) else ""
        self._on_message = on_message
        self._on_bound = on_bound
        self._on_lost = on_lost
        self._listener: live.LiveListener | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listening: frozenset[int] = frozenset()
        self._changed = asyncio.Event()
        self._in_flight = threading.BoundedSemaphore(MAX_IN_FLIGHT)

    @property
    def are_heard(self) -> bool:
        """Whether the broker is there and listened to."""
        return bool(self._listening)

    async def listen(self, shards: frozenset[int], *, timeout_seconds: float) -> None:
        """Listen to these shards; return when that seems to be so, or after the timeout. Whenever it comes to be so, `on_bound` tells."""
        if not self._url:
            return
        if self._listener is None:
            self._loop = asyncio.get_running_loop()
            self._listener = live.LiveListener(
                self._url, on_message=self._receive, on_listening=self._listen_to, on_lost=self._lose
            )
        self._listener.want(shards)
        try:
            async with asyncio.timeout(timeout_seconds):
                while not shards <= self._listening:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return

    def want(self, shards: frozenset[int]) -> None:
        """Listen to these shards from some moment soon."""
        if self._listener is not None:
            self._listener.want(shards)

    async def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            await asyncio.to_thread(self._listener.close)

    def _receive(self, message: live.Message) -> None:
        """Hand a message to the loop, unless too many wait there; called in the listener's thread."""
        if self._in_flight.acquire(blocking=False):
            self._call(self._handle, message)
        else:
            self._call(self._on_lost)

    def _handle(self, message: live.Message) -> None:
        self._in_flight.release()
        self._on_message(message)

    def _listen_to(self, shards: frozenset[int]) -> None:
        self._call(self._note, shards)

    def _lose(self) -> None:
        self._call(self._note_loss)

    def _note(self, shards: frozenset[int]) -> None:
        added, self._listening = shards - self._listening, shards
        self._changed.set()
        if added:  # what happened until now has not been heard: before the connection, or while the shard was let go
            self._on_bound(added)

    def _note_loss(self) -> None:
        self._listening = frozenset()
        self._on_lost()

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        assert self._loop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)
