"""Use case: read what a member is told, and take it from the list."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from chassis.database import Pool, connection
from chassis.errors import NotFound
from chassis.idempotency import Write
from chassis.ids import MAX_ID
from chassis.paging import Page
from services.timeline import notification_store as store
from services.timeline.clients import Readers
from services.timeline.domain import MARKED_NOTIFICATIONS, Notification, NotificationType, may_be_told

ALL_TYPES = tuple(type_.value for type_ in NotificationType)
MAX_SCANS = 10
MAX_SCAN_SIZE = 200


class Notifications:
    """Reads notifications and leaves out, at every read, what their reader may not see now."""

    def __init__(self, pool: Pool, readers: Readers) -> None:
        self._pool = pool
        self._readers = readers

    async def page(
        self, account_id: int, page: Page, types: Sequence[int] = (), from_id: int = 0
    ) -> list[Notification]:
        """Return a page, newest first, short of its limit only where the list ends.

        Raises Unavailable where anybody who has to be asked does not answer.
        """
        shown: list[Notification] = []
        scan = page
        for _ in range(MAX_SCANS):
            async with connection(self._pool) as conn:
                found = await store.list_notifications(conn, account_id, scan, types or ALL_TYPES, from_id)
            visible = await self._visible(account_id, found)
            shown = visible + shown if page.upwards else shown + visible
            if len(shown) >= page.limit or len(found) < scan.limit:
                break
            limit = min(scan.limit * 2, MAX_SCAN_SIZE)
            scan = (
                replace(scan, above=found[0].id, limit=limit)
                if page.upwards
                else replace(scan, below=found[-1].id, limit=limit)
            )
        return shown[-page.limit :] if page.upwards else shown[: page.limit]

    async def get(self, account_id: int, notification_id: int) -> Notification:
        """Return one. Raises NotFound."""
        exactly = Page(below=min(notification_id + 1, MAX_ID), above=notification_id - 1, limit=1, upwards=False)
        found = await self.page(account_id, exactly)
        if not found:
            raise _no_such_notification()
        return found[0]

    async def count_unread(self, account_id: int, limit: int, types: Sequence[int], from_id: int) -> int:
        """Return how many are above the member's marker, at most `limit`."""
        async with connection(self._pool) as conn:
            markers = await store.list_markers(conn, account_id)
        above = next((marker.last_read_id for marker in markers if marker.timeline == MARKED_NOTIFICATIONS), 0)
        unread = Page(below=MAX_ID, above=above, limit=limit, upwards=False)
        return len(await self.page(account_id, unread, types, from_id))

    async def dismiss(self, write: Write, account_id: int, notification_id: int) -> None:
        """Take one from the list. Raises NotFound where it does not stand there."""
        if not await store.dismiss_notification(await write.begin(), account_id, notification_id):
            raise _no_such_notification()

    async def clear(self, write: Write, account_id: int) -> None:
        """Take all from the list."""
        await store.clear_notifications(await write.begin(), account_id)

    async def _visible(self, account_id: int, notifications: Sequence[Notification]) -> list[Notification]:
        """Return those that the reader may see now; one question per owner, whatever their number."""
        relations, statuses, comments = await asyncio.gather(
            self._readers.relations(account_id, {one.from_id for one in notifications}),
            self._readers.status_authors(account_id, {one.status_id for one in notifications if one.status_id}),
            self._readers.comments(account_id, {one.comment_id for one in notifications if one.comment_id}),
        )
        visible = statuses.keys() | comments.keys()
        return [one for one in notifications if may_be_told(one, relations.get(one.from_id), visible)]


def _no_such_notification() -> NotFound:
    return NotFound("There is no such notification.", resource="notification")
