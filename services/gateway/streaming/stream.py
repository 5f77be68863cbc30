"""One stream: a bounded queue between what happens and a client that reads as fast as it can."""

import asyncio
import time
from collections import OrderedDict, deque

from services.gateway.streaming.events import Event, Name, StreamName

MAX_QUEUED = 1000
MAX_REMEMBERED = 2000
TRUST_SECONDS = 5.0
"""For so long a token that was found good is taken to be so; then the stream is silent until it has been verified again."""


class StreamEnded(Exception):
    """The stream is over; the message says why."""


class Stream:
    """The queue of one client."""

    def __init__(self, account_id: int, token_hash: bytes, name: StreamName, wants: frozenset[str]) -> None:
        self.account_id = account_id
        self.token_hash = token_hash
        self.name = name
        self.wants = wants
        """Names of events."""
        self.begins_at = 0
        """The id that a client has everything up to when the stream begins."""
        self.trusted_until = time.monotonic() + TRUST_SECONDS
        self._events: deque[Event] = deque()
        self._held: list[Event] | None = []
        self._seen: OrderedDict[tuple[Name, int], None] = OrderedDict()
        self._changed = asyncio.Event()
        self._end = ""

    @property
    def end(self) -> str:
        """Why the stream is over; empty while it is not."""
        return self._end

    def offer(self, event: Event) -> None:
        """Queue an event for the client, once. A client that is a thousand events behind is cut off."""
        if self._end or event.name not in self.wants:
            return
        waiting = self._events if self._held is None else self._held
        if len(waiting) >= MAX_QUEUED:
            self.close("The client does not read what it is sent.")
            return
        if self._held is not None and not event.is_replayed:
            self._held.append(event)
            return
        self._queue(event)

    def begin(self) -> None:
        """What was replayed is queued; let what has happened since follow it."""
        held, self._held = self._held or [], None
        for event in held:
            self._queue(event)

    def _queue(self, event: Event) -> None:
        key = (event.name, event.id)
        if key in self._seen and event.name != "status.update":  # a status can be edited many times
            return
        self._seen[key] = None
        if len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)
        self._events.append(event)
        self._changed.set()

    def skip(self, name: Name, an_id: int) -> None:
        """Take an event as sent: the client has it."""
        self._seen[name, an_id] = None

    async def next(self, timeout_seconds: float) -> Event | None:
        """Return the next event, or None after the timeout. Raises StreamEnded."""
        deadline = time.monotonic() + timeout_seconds
        while not self._end:
            left = deadline - time.monotonic()
            if self._events and time.monotonic() < self.trusted_until:
                return self._events.popleft()
            if left <= 0:
                return None
            self._changed.clear()
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                return None
        raise StreamEnded(self._end)

    def trust(self, since: float) -> None:
        """Take the token as good, as of a moment of the monotonic clock."""
        self.trusted_until = since + TRUST_SECONDS
        self._changed.set()

    def close(self, why: str) -> None:
        """End the stream; what is still queued is not sent."""
        if not self._end:
            self._end = why
            self._events.clear()
            self._held = None
            self._changed.set()
