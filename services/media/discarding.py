"""Use case: let go of pictures that no status shows.

A picture goes in two steps. It is discarded: nobody sees it any more and no status can be posted with it. Ten minutes later it is
deleted, if no status shows it then either: one that was being posted while the picture was discarded has been posted by now, and
gets it back. So neither step has to be in the transaction of another service.
"""

from collections.abc import Sequence

from chassis.database import Connection, Pool, connection
from services.media import store
from services.media.clients import Statuses

STEP = 100


class Discarding:
    """Discards, and deletes what is discarded."""

    def __init__(self, pool: Pool, statuses: Statuses) -> None:
        self._pool = pool
        self._statuses = statuses

    async def discard(self, media_ids: Sequence[int]) -> None:
        """Discard those of these pictures that no status shows. Raises Unavailable where status does not answer."""
        attached = await self._statuses.find_attached(media_ids)
        async with connection(self._pool) as conn:
            await store.discard_media(conn, sorted(set(media_ids) - attached))

    async def expire(self, conn: Connection) -> int:
        """Discard some of the pictures that nobody has posted within a day; return how many were looked at."""
        loose = await store.list_loose(conn, STEP)
        attached = await self._statuses.find_attached(loose)
        await store.keep_media(conn, sorted(attached))
        await store.discard_media(conn, sorted(set(loose) - attached))
        return len(loose)

    async def delete(self, conn: Connection) -> int:
        """Delete some of the pictures that were discarded ten minutes ago; return how many were looked at."""
        discarded = await store.list_discarded(conn, STEP)
        attached = await self._statuses.find_attached(discarded)
        await store.keep_media(conn, sorted(attached))
        await store.delete_media(conn, sorted(set(discarded) - attached))
        return len(discarded)
