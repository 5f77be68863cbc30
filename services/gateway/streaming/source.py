"""What streams are filled from: the same reads as those of pages, so that a stream shows what a page would, at that moment."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

import msgspec
from kodama.page.v1.window_pb2 import Window

from services.gateway.clients import Clients
from services.gateway.hydration import Hydration
from services.gateway.streaming.events import Event, Gap
from services.gateway.streaming.resumption import Resumption, at_the_end_of

PAGE = 40
MAX_PAGES = 10
MAX_MISSED = 200
"""So many missed posts are replayed; with more there is a gap."""


@dataclass(frozen=True)
class Found:
    """What a look has found."""

    events: list[Event]
    newest_id: int
    """The newest of all, known or not; where the look began if there is none."""


class Source:
    """Reads posts and notifications for one reader, as events, oldest first."""

    def __init__(self, clients: Clients, hydration: Hydration) -> None:
        self._clients = clients
        self._hydration = hydration

    async def end_of_home(self, account_id: int) -> Resumption:
        """Return what somebody has who has read a member's home timeline now. To fan-outs the member is a reader then."""
        home = await self._clients.home(account_id, Window(limit=PAGE))
        return at_the_end_of([entry.entry_id for entry in home.entries], is_whole=not home.older)

    async def end_of_notifications(self, account_id: int) -> Resumption:
        """Return what somebody has who has read a member's notifications now."""
        found = await self._clients.notifications.page(account_id, Window(limit=PAGE))
        return at_the_end_of([one.id for one in found], is_whole=len(found) < PAGE)

    async def posts(self, account_id: int, post_ids: Collection[int]) -> list[Event]:
        """Return those of these posts that may stand on the member's home timeline now."""
        allowed = await self._clients.filter_home(account_id, post_ids)
        posts = await self._hydration.posts(account_id, sorted(allowed))
        return [Event("update", an_id, _json(posts[an_id])) for an_id in sorted(posts)]

    async def changes(self, account_id: int, post_ids: Collection[int]) -> list[Event]:
        """Return what these posts are now, and that they are gone where they may not stand on the member's home timeline any more.

        One's own are always shown: a direct one is on no home timeline, and its author has narrowed it themselves.
        """
        allowed, posts = await asyncio.gather(
            self._clients.filter_home(account_id, post_ids), self._hydration.posts(account_id, sorted(post_ids))
        )
        shown = {an_id for an_id, post in posts.items() if an_id in allowed or post.account.id == str(account_id)}
        return [
            Event("status.update", an_id, _json(posts[an_id])) if an_id in shown else Event("delete", an_id, str(an_id))
            for an_id in sorted(post_ids)
        ]

    async def home_since(
        self, account_id: int, since_id: int, *, known: Collection[int] = (), is_replayed: bool = False
    ) -> Found:
        """Return what is on the member's home timeline above an id, without what is known; where that is more than MAX_MISSED, the
        newest so many, after a gap."""
        ids: list[int] = []
        older = 0
        for _ in range(MAX_PAGES):
            home = await self._clients.home(account_id, Window(since_id=since_id, max_id=older, limit=PAGE))
            ids += [entry.entry_id for entry in home.entries]
            older = home.older
            if not older or len(ids) >= MAX_MISSED:
                break
        wanted = [an_id for an_id in ids if an_id not in known]
        posts = await self._hydration.posts(account_id, wanted) if wanted else {}
        events = [Event("update", an_id, _json(posts[an_id]), is_replayed) for an_id in sorted(posts)]
        if older and older not in known:
            gap = Gap(since_id=str(since_id), max_id=str(older))
            events.insert(0, Event("gap", older, _json(gap), is_replayed))
        return Found(events, max(ids, default=since_id))

    async def notifications_since(
        self, account_id: int, since_id: int, *, known: Collection[int] = (), is_replayed: bool = False
    ) -> Found:
        """Return the newest notifications above an id, without what is known; where that is more than a page, after a gap."""
        found = await self._clients.notifications.page(account_id, Window(since_id=since_id, limit=PAGE))
        wanted = [one for one in found if one.id not in known]
        rendered = await self._hydration.notifications(account_id, wanted) if wanted else []
        events = [Event("notification", int(one.id), _json(one), is_replayed) for one in reversed(rendered)]
        if len(found) >= PAGE and found[-1].id not in known:
            gap = Gap(since_id=str(since_id), max_id=str(found[-1].id))
            events.insert(0, Event("gap", found[-1].id, _json(gap), is_replayed))
        return Found(events, max((one.id for one in found), default=since_id))


def _json(entity: object) -> str:
    return msgspec.json.encode(entity).decode()
