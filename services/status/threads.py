"""Use case: read the thread around a status."""

from chassis.database import Pool, connection
from services.status import thread_store
from services.status.domain import (
    ANONYMOUS_THREAD,
    MEMBERS_THREAD,
    Status,
    visible_ancestors,
    visible_descendants,
)
from services.status.reading import Reading


class Threads:
    """Reads threads: two bounded queries for the ids, then one batch, filtered as everything else is."""

    def __init__(self, pool: Pool, reading: Reading) -> None:
        self._pool = pool
        self._reading = reading

    async def around(self, viewer_id: int, status_id: int) -> tuple[list[Status], list[Status]]:
        """Return what stands above a status, from the top, and below it, each reply followed by its own.

        Raises NotFound where the viewer may not see the status itself.
        """
        await self._reading.shown(viewer_id, status_id)
        bounds = MEMBERS_THREAD if viewer_id else ANONYMOUS_THREAD
        async with connection(self._pool) as conn:
            above = await thread_store.list_ancestor_ids(conn, status_id, bounds.ancestors)
            below = await thread_store.list_descendant_ids(
                conn, status_id, limit=bounds.descendants, depth=bounds.depth
            )
        visible = {status.id: status for status in await self._reading.visible(viewer_id, [*above, *below])}
        return visible_ancestors(above, visible), visible_descendants(status_id, below, visible)
