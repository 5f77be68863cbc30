"""A member who is looking on: what there is to look for, and the streams that are told of it."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog

from chassis.errors import KodamaError
from services.gateway.streaming.events import Event, Name
from services.gateway.streaming.resumption import settled_below
from services.gateway.streaming.source import Found, Source
from services.gateway.streaming.stream import Stream
from services.gateway.streaming.turns import Turns

log = structlog.get_logger(__name__)

MAX_HINTED = 200
MAX_REMEMBERED = 2000
PAUSE_SECONDS = 1.0


class Watch:
    """Looks for what concerns one member, at hints and every so often without one, and tells all streams of the member."""

    def __init__(self, account_id: int, source: Source, turns: Turns, look_seconds: Callable[[], float]) -> None:
        self.account_id = account_id
        self.streams: set[Stream] = set()
        self._source = source
        self._turns = turns
        self._look_seconds = look_seconds
        self._hinted: OrderedDict[int, None] = OrderedDict()
        self._changed: OrderedDict[int, None] = OrderedDict()
        self._must_look = self._must_look_at_notifications = False
        self._told: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._floors: dict[Name, int] = {"update": 0, "notification": 0}
        """Everything up to these ids has been told."""
        self._looked_at = time.monotonic()
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin where both lists end now. Raises Unavailable where they cannot be read."""
        if self._task is not None:
            return
        home, notification = await asyncio.gather(
            self._source.end_of_home(self.account_id), self._source.end_of_notifications(self.account_id)
        )
        if self._task is None:  # nobody else has started it meanwhile
            self._floors = {"update": home.floor, "notification": notification.floor}
            self._told.update(dict.fromkeys(("update", an_id) for an_id in home.above))
            self._told.update(dict.fromkeys(("notification", an_id) for an_id in notification.above))
            self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()

    def hint_post(self, post_id: int) -> None:
        """There may be this post on the home timeline."""
        self._hinted[post_id] = None
        if len(self._hinted) > MAX_HINTED:  # a look finds them all, with a gap where they are too many
            self._hinted.clear()
            self._must_look = True
        self._woken.set()

    def hint_change(self, post_id: int) -> None:
        """This post has changed, or is gone."""
        self._changed[post_id] = None
        if len(self._changed) > MAX_HINTED:
            self._changed.popitem(last=False)
        self._woken.set()

    def hint_notification(self) -> None:
        """There may be new notifications."""
        self._must_look_at_notifications = True
        self._woken.set()

    def look(self) -> None:
        """Hints may have been lost: look at everything."""
        self._must_look = self._must_look_at_notifications = True
        self._woken.set()

    def tell(self, events: Sequence[Event]) -> None:
        """Lay events into the member's streams."""
        for event in events:
            self._told[event.name, event.id] = None
            if len(self._told) > MAX_REMEMBERED:
                self._told.popitem(last=False)
            for stream in self.streams:
                stream.offer(event)

    async def _run(self) -> None:
        while True:
            await self._wait()
            try:
                async with self._turns.take():
                    await self._work()
            except KodamaError as error:
                log.info("a stream waits", account_id=self.account_id, error=error.message)
                await asyncio.sleep(PAUSE_SECONDS)
                self.look()
            except Exception as error:  # the streams of a member must outlive any single event
                log.error("a stream failed", account_id=self.account_id, exc_info=error)
                await asyncio.sleep(PAUSE_SECONDS)
                self.look()

    async def _wait(self) -> None:
        """Wait for a hint, or until a look is due: from look to look, however much is hinted at between them, since not everything is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._looked_at + self._look_seconds() - time.monotonic()):
                await self._woken.wait()
        if time.monotonic() - self._looked_at >= self._look_seconds():
            self.look()
        self._woken.clear()

    async def _work(self) -> None:
        hinted = [an_id for an_id in self._hinted if ("update", an_id) not in self._told]
        self._hinted.clear()
        must_look, self._must_look = self._must_look, False
        at_notifications, self._must_look_at_notifications = self._must_look_at_notifications, False
        if hinted and not must_look:
            self.tell(await self._source.posts(self.account_id, hinted))
        if self._changed:
            await self._tell_of_changes()
        if must_look:
            self._looked_at = time.monotonic()
            await self._look_at_home()
        if at_notifications:
            await self._look_at_notifications()

    async def _tell_of_changes(self) -> None:
        changed, self._changed = self._changed, OrderedDict()
        try:
            self.tell(await self._source.changes(self.account_id, list(changed)))
        except BaseException:
            self._changed = OrderedDict([*changed.items(), *self._changed.items()])  # no look would find them
            raise

    async def _look_at_home(self) -> None:
        known = {an_id for name, an_id in self._told if name == "update"}
        found = await self._source.home_since(self.account_id, self._floors["update"], known=known)
        self._have_told(found, "update")

    async def _look_at_notifications(self) -> None:
        known = {an_id for name, an_id in self._told if name == "notification"}
        found = await self._source.notifications_since(self.account_id, self._floors["notification"], known=known)
        self._have_told(found, "notification")

    def _have_told(self, found: Found, name: Name) -> None:
        self.tell(found.events)
        self._floors[name] = max(self._floors[name], settled_below(found.newest_id))
        for stream in self.streams:
            stream.settle(name, self._floors[name])
