"""Use case: let go of pictures that no status and no blog entry or draft of their owner shows.

A picture goes in two steps. It is discarded: nobody sees it any more and no status can be posted with it. Ten minutes later it is
deleted, if nothing shows it then either: what was being posted while the picture was discarded has been posted by now, and gets it
back. So neither step has to be in the transaction of another service.
"""

from collections.abc import Sequence

from chassis.database import Connection, Pool, connection
from services.media import store
from services.media.clients import Showing, Shown

STEP = 100


class Discarding:
    """Discards, and deletes what is discarded."""

    def __init__(self, pool: Pool, showing: Showing) -> None:
        self._pool = pool
        self._showing = showing

    async def discard(self, media_ids: Sequence[int]) -> None:
        """Discard those of these pictures that nothing shows. Raises Unavailable where status or blog does not answer."""
        shown = await self._showing.find(media_ids)
        async with connection(self._pool) as conn:
            await store.discard_media(conn, sorted(set(media_ids) - await _kept(conn, shown)))

    async def expire(self, conn: Connection) -> int:
        """Discard some of the pictures that nothing has shown within a day; return how many were looked at."""
        loose = await store.list_loose(conn, STEP)
        kept = await _kept(conn, await self._showing.find(loose))
        await store.keep_media(conn, sorted(kept))
        await store.discard_media(conn, sorted(set(loose) - kept))
        return len(loose)

    async def delete(self, conn: Connection) -> int:
        """Delete some of the pictures that were discarded ten minutes ago; return how many were looked at."""
        discarded = await store.list_discarded(conn, STEP)
        kept = await _kept(conn, await self._showing.find(discarded))
        await store.keep_media(conn, sorted(kept))
        await store.delete_media(conn, sorted(set(discarded) - kept))
        return len(discarded)


async def _kept(conn: Connection, shown: Shown) -> set[int]:
    """Return those that are shown by whose they are: others' texts hold nobody's picture."""
    return {*shown.on_statuses, *await store.list_own(conn, sorted(shown.in_texts))}
