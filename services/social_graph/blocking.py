"""Use case: block and unblock."""

from chassis import ledger
from chassis.database import Connection
from chassis.idempotency import Write
from chassis.ledger import Bell
from services.social_graph import store
from services.social_graph.clients import Accounts
from services.social_graph.domain import Pair, Relationship, check_pair, no_such_member
from services.social_graph.friendships import end_friendship


class Blocking:
    """Hides two members from each other, whatever else happens between them at the same time."""

    def __init__(self, bell: Bell, accounts: Accounts) -> None:
        self._bell = bell
        self._accounts = accounts

    async def block(self, write: Write, account_id: int, target_id: int) -> Relationship:
        """Block a member, ending friendship and requests both ways; return how they stand then.

        Raises NotFound for unknown members.
        """
        pair = check_pair(account_id, target_id, "target_id")
        if await self._accounts.find_unknown([account_id, target_id]):
            raise no_such_member()
        conn = await write.begin()
        await store.lock_members(conn, [account_id, target_id])
        await store.insert_block(conn, account_id, target_id)
        await store.delete_requests_between(conn, pair)
        await end_friendship(conn, pair)
        await self._outdate(write, conn, pair)
        [relationship] = await store.relate(conn, account_id, [target_id])
        return relationship

    async def unblock(self, write: Write, account_id: int, target_id: int) -> Relationship:
        """End a block; return how they stand then. What it ended does not come back."""
        pair = check_pair(account_id, target_id, "target_id")
        conn = await write.begin()
        await store.lock_members(conn, [account_id, target_id])
        await store.delete_block(conn, account_id, target_id)
        await self._outdate(write, conn, pair)
        [relationship] = await store.relate(conn, account_id, [target_id])
        return relationship

    async def _outdate(self, write: Write, conn: Connection, pair: Pair) -> None:
        """Have the suggestions of both computed again: one who may not be shown leaves room for another."""
        await ledger.append(
            conn, "suggestions.outdated", [{"account_id": account_id} for account_id in (pair.low, pair.high)]
        )
        write.ring(self._bell)
