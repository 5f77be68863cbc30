"""Use case: begin to push to a member who reads, or who reads again after a long time."""

from collections.abc import Sequence

from chassis import ledger
from chassis.database import Connection, Pool, connection, transaction
from chassis.ledger import Bell
from services.timeline import store

FILL_DELAY_SECONDS = store.PUSH_MARGIN_MS / 1000 + 2
"""When a home timeline is filled with older posts: when all posts are committed that are older than where pushing begins."""


class Activation:
    """Keeps note of who reads, since only readers are pushed to."""

    def __init__(self, pool: Pool, bell: Bell) -> None:
        self._pool = pool
        self._bell = bell

    async def activate(self, account_id: int) -> None:
        """Push to a member from now on, and have the last pages of their home timeline filled. Until then they are pulled."""
        async with transaction(self._pool) as conn:
            await store.show_to_fan_outs(conn, [account_id])
            await have_filled(conn, [account_id])
        async with connection(self._pool) as conn:
            await store.begin_pushing(conn, [account_id])
        self._bell.ring()

    async def note_read(self, account_id: int) -> None:
        """Keep a member active."""
        async with connection(self._pool) as conn:
            await store.note_read(conn, account_id)


async def have_filled(conn: Connection, account_ids: Sequence[int]) -> None:
    """Queue the filling of home timelines that are pushed to from now on, in the caller's transaction."""
    payloads = [{"account_id": account_id} for account_id in account_ids]
    await ledger.append(conn, "home.activated", payloads, delay_seconds=FILL_DELAY_SECONDS)
