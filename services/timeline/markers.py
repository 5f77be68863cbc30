"""Use case: remember how far a member has read, the same on all devices."""

from collections.abc import Mapping

from chassis.database import Pool, connection
from chassis.errors import Conflict
from chassis.idempotency import Write
from services.timeline import notification_store as store
from services.timeline.domain import Marker


class Markers:
    """Reads and saves markers."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def of(self, account_id: int) -> list[Marker]:
        """Return all markers of a member."""
        async with connection(self._pool) as conn:
            return await store.list_markers(conn, account_id)

    async def save(self, write: Write, account_id: int, positions: Mapping[int, int]) -> list[Marker]:
        """Note the last read id of each list, all or nothing, and return the markers as they are then.

        Raises Conflict where another device saves one of them at the same time: which of both is further is for the client to see.
        """
        known = {marker.timeline: marker.version for marker in await self.of(account_id)}
        conn = await write.begin()
        saved = []
        for timeline, last_read_id in sorted(positions.items()):
            marker = await store.save_marker(conn, account_id, timeline, last_read_id, known.get(timeline, 0))
            if marker is None:
                raise Conflict("Another device saved its reading position at the same time; please try again.")
            saved.append(marker)
        return saved
