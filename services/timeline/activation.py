"""Use case: begin to push to a member who reads, or who reads again after a long time."""

from collections.abc import Sequence

from chassis import ledger
from chassis.database import Connection, Pool, connection, transaction
from chassis.ledger import Bell
from services.timeline import store

UNFILLED_STEP = 500


class Activation:
    """Keeps note of who reads, since only readers are pushed to."""

    def __init__(self, pool: Pool, bell: Bell, dormant_days: int) -> None:
        self._pool = pool
        self._bell = bell
        self._dormant_days = dormant_days

    async def activate(self, account_id: int) -> None:
        """Push to a member from now on, and have the last pages of their home timeline filled; until that is done they are pulled."""
        async with transaction(self._pool) as conn:
            await store.show_to_fan_outs(conn, [account_id])
            await have_filled(conn, [account_id])
        self._bell.ring()

    async def note_read(self, account_id: int) -> None:
        """Keep a member active."""
        async with connection(self._pool) as conn:
            await store.note_read(conn, account_id)

    async def resume_step(self, conn: Connection) -> int:
        """Do a step of the chore `homes.resume`: have those filled who read, and whose fill was lost or discarded; return how many."""
        async with conn.transaction():
            unfilled = await store.list_unfilled(conn, self._dormant_days, UNFILLED_STEP)
            if unfilled:
                await have_filled(conn, unfilled)
        return len(unfilled)


async def have_filled(conn: Connection, account_ids: Sequence[int]) -> None:
    """Queue the filling of home timelines that nothing is relied on of, in the caller's transaction."""
    await ledger.append(conn, "home.activated", [{"account_id": account_id} for account_id in account_ids])
