"""Use case: let go of pictures that no status, no profile and no blog entry or draft of their owner shows.

A picture goes in two steps. It is discarded: nobody sees it any more and no status can be posted with it. Ten minutes later it is
deleted, if nothing shows it then either: what was being posted while the picture was discarded has been posted by now, and gets it
back. So neither step has to be in the transaction of another service.

Whoever deletes a status or a text says so. A member shows another avatar without telling anybody; what profiles show is therefore asked
again every day.
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
        """Discard those of these pictures that nothing shows. Raises Unavailable where somebody who has to be asked does not answer."""
        shown = await self._showing.find(media_ids)
        async with connection(self._pool) as conn:
            kept = await _kept(conn, shown)
            await store.discard_media(conn, sorted(set(media_ids) - kept - shown.on_profiles))

    async def expire(self, conn: Connection) -> int:
        """Discard some of the pictures that nothing has shown within a day; return how many were looked at."""
        loose = await store.list_loose(conn, STEP)
        await store.discard_media(conn, await self._find_unused(conn, loose))
        return len(loose)

    async def delete(self, conn: Connection) -> int:
        """Delete some of the pictures that were discarded ten minutes ago; return how many were looked at."""
        discarded = await store.list_discarded(conn, STEP)
        await store.delete_media(conn, await self._find_unused(conn, discarded))
        return len(discarded)

    async def _find_unused(self, conn: Connection, media_ids: Sequence[int]) -> list[int]:
        """Note which of these pictures are shown, and return the others."""
        shown = await self._showing.find(media_ids)
        kept = await _kept(conn, shown)
        await store.keep_media(conn, sorted(kept))
        await store.note_shown(conn, sorted(shown.on_profiles - kept))
        return sorted(set(media_ids) - kept - shown.on_profiles)


async def _kept(conn: Connection, shown: Shown) -> set[int]:
    """Return those that are shown for good by whose they are: others' texts hold nobody's picture."""
    return {*shown.on_statuses, *await store.list_own(conn, sorted(shown.in_texts))}
