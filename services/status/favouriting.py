"""Use case: favour statuses, and list who favours what."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from chassis.database import Connection, Pool, connection
from chassis.errors import NotFound
from chassis.idempotency import Write
from chassis.ledger import Bell
from chassis.paging import Page
from services.status import favourite_store, store
from services.status.clients import SocialGraph
from services.status.domain import Favourite, Status, may_see
from services.status.reading import Reading

MAX_SCANS = 10


@dataclass(frozen=True)
class FavouritePage:
    """A page of favourites, the latest first, and what of the list was looked at for it."""

    favourites: Sequence[Favourite]
    newest_id: int
    oldest_id: int
    is_end: bool
    """There is nothing further in the direction in which was looked."""


class Favouriting:
    """Favours what a member may see; the count changes with the row, in one statement."""

    def __init__(self, pool: Pool, bell: Bell, social_graph: SocialGraph, reading: Reading) -> None:
        self._pool = pool
        self._bell = bell
        self._social_graph = social_graph
        self._reading = reading

    async def favourite(self, write: Write, account_id: int, status_id: int) -> Status:
        """Favour a status; return it. Raises NotFound where the member may not see it."""
        return await self._change(write, account_id, status_id, favourite_store.insert_favourite)

    async def unfavourite(self, write: Write, account_id: int, status_id: int) -> Status:
        """Take it back; return the status. Raises NotFound where the member may not see it."""
        return await self._change(write, account_id, status_id, favourite_store.delete_favourite)

    async def _change(
        self,
        write: Write,
        account_id: int,
        status_id: int,
        change: Callable[[Connection, int, Status], Awaitable[bool]],
    ) -> Status:
        """Change a status that can be seen, looked at again under its lock: it may have been narrowed or deleted meanwhile."""
        author_id = (await self._reading.shown(account_id, status_id)).account_id
        relation = (await self._social_graph.relate(account_id, [author_id])).get(author_id)
        conn = await write.begin()
        status = await store.lock_shown(conn, account_id, author_id, status_id)
        if status is None or not may_see(account_id, status, relation):
            raise NotFound("There is no such status.", resource="status")
        if not await change(conn, account_id, status):
            return status
        write.ring(self._bell)
        step = -1 if status.is_favourited else 1
        return msgspec.structs.replace(
            status, is_favourited=not status.is_favourited, favourites_count=status.favourites_count + step
        )

    async def of_account(self, account_id: int, page: Page) -> tuple[list[Status], FavouritePage]:
        """Return a page of the statuses that a member favours and may still see, in the order of their favourites."""
        shown: dict[int, Status] = {}

        async def visible(favourites: Sequence[Favourite]) -> set[int]:
            statuses = await self._reading.visible(account_id, [favourite.status_id for favourite in favourites])
            shown.update((status.id, status) for status in statuses)
            return {favourite.id for favourite in favourites if favourite.status_id in shown}

        async def scan(conn: Connection, part: Page) -> list[Favourite]:
            return await favourite_store.list_account_favourites(conn, account_id, part)

        found = await self._page(page, scan, visible)
        return [shown[favourite.status_id] for favourite in found.favourites], found

    async def of_status(self, viewer_id: int, status_id: int, page: Page) -> FavouritePage:
        """Return a page of who favours a status, without those whom a block stands between. Raises NotFound."""
        await self._reading.shown(viewer_id, status_id)

        async def visible(favourites: Sequence[Favourite]) -> set[int]:
            account_ids = [favourite.account_id for favourite in favourites]
            relations = await self._social_graph.relate(viewer_id, account_ids)
            return {
                favourite.id
                for favourite in favourites
                if viewer_id in (0, favourite.account_id)
                or (favourite.account_id in relations and not relations[favourite.account_id].is_blocked_either_way)
            }

        async def scan(conn: Connection, part: Page) -> list[Favourite]:
            return await favourite_store.list_status_favourites(conn, status_id, part)

        return await self._page(page, scan, visible)

    async def _page(
        self,
        page: Page,
        scan: Callable[[Connection, Page], Awaitable[list[Favourite]]],
        visible: Callable[[Sequence[Favourite]], Awaitable[set[int]]],
    ) -> FavouritePage:
        """Look on for what is still missing from the page until it is full or the list ends."""
        kept: list[Favourite] = []
        scanned: list[int] = []
        part, is_end = page, False
        for _ in range(MAX_SCANS):
            async with connection(self._pool) as conn:
                found = await scan(conn, part)
            seen = await visible(found) if found else set()
            kept += [favourite for favourite in found if favourite.id in seen]
            scanned += [favourite.id for favourite in found]
            is_end = len(found) < part.limit
            if is_end or len(kept) == page.limit:
                break
            missing = page.limit - len(kept)
            part = (
                replace(part, limit=missing, above=max(scanned))
                if part.upwards
                else replace(part, limit=missing, below=min(scanned))
            )
        kept.sort(key=lambda favourite: favourite.id, reverse=True)
        return FavouritePage(kept, max(scanned, default=0), min(scanned, default=0), is_end)
