"""Use case: keep room for what comes, and let go of what is old. What is not stored any more is pulled."""

from chassis.database import Connection, Pool, connection, transaction
from services.timeline import store


class Retention:
    """Makes partitions ahead of time and drops old ones."""

    def __init__(self, pool: Pool, keep_days: int) -> None:
        self._pool = pool
        self._keep_days = keep_days

    async def prepare(self) -> None:
        """Make the partitions of the coming weeks where they are missing."""
        async with connection(self._pool) as conn:
            await self.prepare_step(conn)

    async def trim(self, keep_days: int) -> tuple[int, int]:
        """Drop what is older than so many days, by whole partitions; return how many, and the floor below which all is pulled.

        The floor is raised and committed first: from then on readers rely on nothing below it.
        """
        async with connection(self._pool) as conn:
            floor_id = await store.raise_floor(conn, keep_days)
        async with transaction(self._pool) as conn:
            dropped = await store.drop_partitions(conn, floor_id)
            await store.delete_deliveries(conn, floor_id)  # where there are more, the chore goes on with it
        return dropped, floor_id

    async def prepare_step(self, conn: Connection) -> int:
        """Do the chore `entries.prepare`: what `prepare` does."""
        async with conn.transaction():
            return await store.ensure_partitions(conn)

    async def trim_step(self, conn: Connection) -> int:
        """Do a step of the chore `entries.trim`: let go of what is older than the days that are kept."""
        floor_id = await store.raise_floor(conn, self._keep_days)
        async with conn.transaction():
            dropped = await store.drop_partitions(conn, floor_id)
        return dropped + await store.delete_deliveries(conn, floor_id)
