"""A member who is looking on: what there is to look for, and the streams that are told of it."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence

import structlog

from chassis.errors import KodamaError
from chassis.ids import first_id_at
from services.gateway.streaming.events import Event
from services.gateway.streaming.source import Source
from services.gateway.streaming.stream import Stream
from services.gateway.streaming.turns import Turns

log = structlog.get_logger(__name__)

MAX_HINTED = 200
MAX_REMEMBERED = 2000
PAUSE_SECONDS = 1.0
OVERLAP_MS = 10_000
"""A look goes back so far behind the newest that was found: what has a smaller id can have been committed later."""


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
        self._home_floor = self._notification_floor = 0
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin where both lists end now. Raises Unavailable where they cannot be read."""
        if self._task is not None:
            return
        home, notification = await asyncio.gather(
            self._source.newest_home_id(self.account_id), self._source.newest_notification_id(self.account_id)
        )
        if self._task is None:  # nobody else has started it meanwhile
            self._home_floor, self._notification_floor = home, notification
            self._told["update", home] = self._told["notification", notification] = None
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
            try:
                async with asyncio.timeout(self._look_seconds()):
                    await self._woken.wait()
            except TimeoutError:
                self.look()
            self._woken.clear()
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
        found = await self._source.home_since(self.account_id, self._home_floor, known=known)
        self.tell(found.events)
        self._home_floor = max(self._home_floor, found.newest_id - first_id_at(OVERLAP_MS))

    async def _look_at_notifications(self) -> None:
        known = {an_id for name, an_id in self._told if name == "notification"}
        found = await self._source.notifications_since(self.account_id, self._notification_floor, known=known)
        self.tell(found.events)
        self._notification_floor = max(self._notification_floor, found.newest_id - first_id_at(OVERLAP_MS))
