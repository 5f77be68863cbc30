"""Use case: keep room for what comes, and let go of what is old. What is not stored any more is pulled."""

from chassis.database import Pool, connection, transaction
from services.timeline import store


class Retention:
    """Makes partitions ahead of time and drops old ones."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def prepare(self) -> None:
        """Make the partitions of the coming weeks where they are missing."""
        async with connection(self._pool) as conn:
            await store.ensure_partitions(conn)

    async def trim(self, keep_days: int) -> tuple[int, int]:
        """Drop what is older than so many days, by whole partitions; return how many, and the floor below which all is pulled.

        The floor is raised and committed first: from then on readers rely on nothing below it.
        """
        async with transaction(self._pool) as conn:
            floor_id = await store.raise_floor(conn, keep_days)
        async with transaction(self._pool) as conn:
            return await store.drop_partitions(conn, floor_id), floor_id
