"""Use case: show members whom they might know, and have that computed for all."""

from collections.abc import Sequence

from chassis import ledger
from chassis.database import Pool, connection, transaction
from chassis.idempotency import Write
from chassis.ledger import Bell
from services.social_graph import suggestion_store as store
from services.social_graph.domain import MAX_WEDGES, Progress, Suggestion, check_id, check_pair, limit_of

MAX_BLOCK_MEMBERS = 1000
TASKS = ("suggestions.refresh", "suggestions.compute")


class Suggesting:
    """Reads suggestions through what may be shown now, and queues their computation."""

    def __init__(self, pool: Pool, bell: Bell) -> None:
        self._pool = pool
        self._bell = bell

    async def best(self, account_id: int, limit: int) -> Sequence[Suggestion]:
        """Return the best suggestions that may be shown to an account now. Raises InvalidField for a negative limit."""
        check_id(account_id, "account_id")
        async with connection(self._pool) as conn:
            return await store.list_suggestions(conn, account_id, limit_of(limit))

    async def dismiss(self, write: Write, account_id: int, target_id: int) -> None:
        """Never suggest the target to the account again."""
        check_pair(account_id, target_id, "target_id")
        await store.insert_dismissal(await write.begin(), account_id, target_id)

    async def queue_all(self) -> tuple[int, int]:
        """Queue the computation for all members with friends, in blocks; return how many members and blocks wait then.

        Where a computation of all is not done yet, that is what is returned, and nothing is queued.
        """
        async with transaction(self._pool) as conn:
            await store.lock_run(conn)
            blocks_open, members_open = await store.count_open(conn)
            if blocks_open:
                return members_open, blocks_open
            blocks = await store.cut_blocks(conn, MAX_WEDGES, MAX_BLOCK_MEMBERS)
            await ledger.append(conn, "suggestions.requested", [block.payload() for block in blocks])
        if blocks:
            self._bell.ring()
        return sum(block.members for block in blocks), len(blocks)

    async def progress(self) -> tuple[int, Progress]:
        """Return how many blocks and single refreshes wait, and how many members have suggestions computed."""
        async with connection(self._pool) as conn:
            lags = await ledger.lag(conn)
            progress = await store.count_members(conn)
        return sum(lag.open_rows for lag in lags if lag.task in TASKS), progress
