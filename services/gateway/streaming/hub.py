"""All streams of a gateway process: opening and closing, hints, and tokens that are verified again and again."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace
from types import TracebackType

import structlog

from chassis import live
from chassis.errors import KodamaError
from chassis.ids import created_at_ms
from chassis.metrics import stream_delivered
from chassis.topology import TASKS
from services.gateway.clients import Clients
from services.gateway.errors import TooManyRequests
from services.gateway.hydration import Hydration
from services.gateway.scopes import covers
from services.gateway.shedding import Shedder
from services.gateway.streaming.events import Event, StreamName
from services.gateway.streaming.hints import Hints
from services.gateway.streaming.resumption import Resumption
from services.gateway.streaming.source import Source
from services.gateway.streaming.stream import Stream
from services.gateway.streaming.turns import Turns
from services.gateway.streaming.watch import PAUSE_SECONDS, Watch

log = structlog.get_logger(__name__)

MAX_STREAMS_PER_MEMBER = 5
VERIFY_SECONDS = 2.0
VERIFY_BATCH = 1000
FRESH_SECONDS = 3.0
"""An event that has waited longer in a client's queue is asked for again before it is sent."""
LISTEN_SECONDS = 1.0
LOOK_SECONDS_WITH_HINTS = 20.0
LOOK_SECONDS_WITHOUT_HINTS = 1.0
LOOKS_PER_SECOND = 40
"""Without hints, so many a second at most: with thousands of members looking on, each is looked for less often."""

FAN_OUT_QUEUE = TASKS["timeline.fan_out"].queue

NEEDED_SCOPE: dict[StreamName, str] = {"user": "read:statuses", "user:notification": "read:notifications"}


class Hub:
    """The streams. Use as a context, inside of that of the clients."""

    def __init__(self, clients: Clients, hydration: Hydration, shedder: Shedder, broker_url: str) -> None:
        self._clients = clients
        self._source = Source(clients, hydration)
        self._hints = Hints(
            broker_url, on_message=self._hear, on_bound=self._look_at_shards, on_lost=self._look_everywhere
        )
        self._watches: dict[int, Watch] = {}
        self._turns = Turns(shedder)
        self._verifying: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Hub":
        self._verifying = asyncio.create_task(self._verify_forever())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._verifying is not None
        self._verifying.cancel()
        self.close_all("The gateway stops.")
        await self._hints.close()

    @property
    def streams(self) -> list[Stream]:
        """All streams that are open."""
        return [stream for watch in self._watches.values() for stream in watch.streams]

    async def open(
        self,
        account_id: int,
        token_hash: bytes,
        scopes: Iterable[str],
        name: StreamName,
        begins_at: Resumption | None = None,
    ) -> Stream:
        """Open a stream for a member whose token has just been verified; `close` it in any case.

        With what the client has, what it has missed since comes first, or a gap. Raises TooManyRequests where the
        member has five streams already, Unavailable where the timelines cannot be read.
        """
        watch = self._watches.get(account_id)
        if watch is not None and len(watch.streams) >= MAX_STREAMS_PER_MEMBER:
            raise TooManyRequests(f"A member can have {MAX_STREAMS_PER_MEMBER} streams at once.", seconds="30")
        if watch is None:
            watch = self._watches[account_id] = Watch(account_id, self._source, self._turns, self._look_seconds)
        stream = Stream(account_id, token_hash, name, _wanted(name, scopes))
        watch.streams.add(stream)
        try:
            # In this order: what happens from here on is heard, or looked for as soon as it can be; what has happened is read.
            await self._hints.listen(self._shards(), timeout_seconds=LISTEN_SECONDS)
            async with self._turns.take():  # thousands can come back at once
                await watch.start()
                if begins_at is not None and begins_at.floor:
                    stream.resume(begins_at)
                    await self._replay(stream, begins_at)
                else:
                    stream.resume(await self._end_of(stream))
            stream.begin()
        except BaseException:
            self.close(stream, "It could not be opened.")
            raise
        return stream

    def close(self, stream: Stream, why: str) -> None:
        """End a stream and forget it."""
        stream.close(why)
        watch = self._watches.get(stream.account_id)
        if watch is None:
            return
        watch.streams.discard(stream)
        if not watch.streams:
            watch.stop()
            del self._watches[stream.account_id]
            self._hints.want(self._shards())

    def close_all(self, why: str) -> None:
        """End all streams."""
        for stream in self.streams:
            self.close(stream, why)

    async def next(self, stream: Stream, timeout_seconds: float) -> Event | None:
        """Return a stream's next event that its reader may still see; None after the timeout. Raises StreamEnded."""
        deadline = time.monotonic() + timeout_seconds
        while (event := await stream.next(deadline - time.monotonic())) is not None:
            if event.name not in ("update", "status.update") or time.monotonic() - event.made_at < FRESH_SECONDS:
                return event
            try:
                again = await self._source.posts(stream.account_id, [event.id])
            except KodamaError:
                stream.put_back(event)  # whether they may see it cannot be told now
                left = deadline - time.monotonic()
                if left < PAUSE_SECONDS:
                    await asyncio.sleep(max(0.0, left))
                    return None
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            if again:
                return replace(again[0], name=event.name)
        return None

    @staticmethod
    def note_sent(event: Event) -> None:
        """Measure how long it took until an event has been sent."""
        if event.name == "update" and not event.is_replayed:
            age_ms = time.time() * 1000 - created_at_ms(event.id)
            stream_delivered.labels(FAN_OUT_QUEUE).observe(max(0.0, age_ms / 1000))

    async def _end_of(self, stream: Stream) -> Resumption:
        """Return what a client has of which nothing is known: all that there is."""
        if stream.name == "user":
            return await self._source.end_of_home(stream.account_id)
        return await self._source.end_of_notifications(stream.account_id)

    async def _replay(self, stream: Stream, resumption: Resumption) -> None:
        """Queue what has happened since."""
        since = self._source.home_since if stream.name == "user" else self._source.notifications_since
        found = await since(stream.account_id, resumption.floor, known=resumption.above, is_replayed=True)
        for event in found.events:
            stream.offer(event)

    def _look_seconds(self) -> float:
        if self._hints.are_heard:
            return LOOK_SECONDS_WITH_HINTS
        return max(LOOK_SECONDS_WITHOUT_HINTS, len(self._watches) / LOOKS_PER_SECOND)

    def _shards(self) -> frozenset[int]:
        return frozenset(live.shard_of(account_id) for account_id in self._watches)

    def _look_everywhere(self) -> None:
        for watch in self._watches.values():
            watch.look()

    def _look_at_shards(self, shards: frozenset[int]) -> None:
        for account_id, watch in self._watches.items():
            if live.shard_of(account_id) in shards:
                watch.look()

    def _hear(self, message: live.Message) -> None:
        for item in message.items():
            for account_id in item.recipients:
                watch = self._watches.get(account_id)
                if watch is None:
                    continue
                if message.kind == "post":
                    watch.hint_post(item.id)
                elif message.kind == "notification":
                    watch.hint_notification()
                else:
                    watch.hint_change(item.id)

    async def _verify_forever(self) -> None:
        while True:
            await asyncio.sleep(VERIFY_SECONDS)
            try:
                await self._verify()
            except KodamaError as error:  # the streams fall silent until their tokens can be verified again
                log.warning("tokens of streams not verified", error=error.message)
            except Exception as error:  # nothing may end the verification
                log.error("tokens of streams not verified", exc_info=error)

    async def _verify(self) -> None:
        """End the streams whose tokens are revoked or no longer cover them."""
        by_hash: dict[bytes, list[Stream]] = {}
        for stream in self.streams:
            by_hash.setdefault(stream.token_hash, []).append(stream)
        hashes = list(by_hash)
        for begin in range(0, len(hashes), VERIFY_BATCH):
            asked, asked_at = hashes[begin : begin + VERIFY_BATCH], time.monotonic()
            verified = await self._clients.verify_tokens(asked)
            for token_hash in asked:
                info = verified.get(token_hash)
                for stream in by_hash[token_hash]:
                    if info is None or info.account_id != stream.account_id:
                        self.close(stream, "The access token is no longer valid.")
                    elif not covers(info.scopes, NEEDED_SCOPE[stream.name]):
                        self.close(stream, "The access token no longer covers this stream.")
                    else:
                        stream.trust(asked_at)


def _wanted(name: StreamName, scopes: Iterable[str]) -> frozenset[str]:
    """Return the names of the events that a token may get on a stream."""
    granted = list(scopes)
    if name == "user:notification":
        return frozenset({"notification", "gap"})
    with_notifications = {"notification"} if covers(granted, "read:notifications") else set()
    return frozenset({"update", "status.update", "delete", "gap"} | with_notifications)
