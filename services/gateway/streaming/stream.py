"""One stream: a bounded queue between what happens and a client that reads as fast as it can."""

import asyncio
import time
from collections import OrderedDict, deque
from dataclasses import dataclass

from services.gateway.streaming.events import Event, Name, StreamName, resumable
from services.gateway.streaming.resumption import Resumption

MAX_QUEUED = 1000
MAX_REMEMBERED = 2000
TRUST_SECONDS = 5.0
"""For so long a token that was found good is taken to be so; then the stream is silent until it has been verified again."""


@dataclass(frozen=True)
class _Offered:
    """An event that waits for its client."""

    event: Event
    floor: int
    """Everything up to this id comes before it."""


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
        self.begins_at = Resumption()
        """What the client has when the stream begins."""
        self.trusted_until = time.monotonic() + TRUST_SECONDS
        self._events: deque[_Offered] = deque()
        self._held: list[_Offered] | None = []
        self._settled = self._floor = 0
        self._passed: set[int] = set()
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
        if event.is_replayed:
            self._queue(_Offered(event, 0))
        elif self._held is not None:
            self._held.append(_Offered(event, self._settled))
        else:
            self._queue(_Offered(event, self._settled))

    def resume(self, resumption: Resumption) -> None:
        """The client has this; nothing of it is sent."""
        self.begins_at, self._floor, self._passed = resumption, resumption.floor, set(resumption.above)
        for an_id in (resumption.floor, *resumption.above):
            self._seen[resumable(self.name), an_id] = None

    def begin(self) -> None:
        """What was replayed is queued; let what has happened since follow it."""
        held, self._held = self._held or [], None
        for offered in held:
            self._queue(offered)

    def settle(self, name: Name, floor: int) -> None:
        """All events of a name up to an id have been offered."""
        if name == resumable(self.name):
            self._settled = max(self._settled, floor)

    def passed(self, event: Event) -> Resumption | None:
        """Return what the client has with this event, which is sent now; None for one that streams do not go on from."""
        if event.name != resumable(self.name):
            return None
        self._passed.add(event.id)
        self._passed = {an_id for an_id in self._passed if an_id > self._floor}
        return Resumption(self._floor, frozenset(self._passed))

    def _queue(self, offered: _Offered) -> None:
        event = offered.event
        key = (event.name, event.id)
        if key in self._seen and event.name != "status.update":  # a status can be edited many times
            return
        self._seen[key] = None
        if len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)
        self._events.append(offered)
        self._changed.set()

    async def next(self, timeout_seconds: float) -> Event | None:
        """Return the next event, or None after the timeout. Raises StreamEnded."""
        deadline = time.monotonic() + timeout_seconds
        while not self._end:
            left = deadline - time.monotonic()
            if self._events and time.monotonic() < self.trusted_until:
                offered = self._events.popleft()
                self._floor = max(self._floor, offered.floor)
                return offered.event
            if left <= 0:
                return None
            self._changed.clear()
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                return None
        raise StreamEnded(self._end)

    def put_back(self, event: Event) -> None:
        """Let an event be the next once more: whether its reader may see it cannot be told now."""
        if not self._end:
            self._events.appendleft(_Offered(event, 0))

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
