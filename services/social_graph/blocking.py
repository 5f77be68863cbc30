"""Use case: block and unblock."""

from chassis.idempotency import Write
from chassis.ledger import Bell
from services.social_graph import store
from services.social_graph.clients import Accounts
from services.social_graph.domain import Relationship, check_pair, no_such_member
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
        ended = await end_friendship(conn, pair)
        [relationship] = await store.relate(conn, account_id, [target_id])
        if ended:
            write.ring(self._bell)
        return relationship

    async def unblock(self, write: Write, account_id: int, target_id: int) -> Relationship:
        """End a block; return how they stand then. What it ended does not come back."""
        check_pair(account_id, target_id, "target_id")
        conn = await write.begin()
        await store.lock_members(conn, [account_id, target_id])
        await store.delete_block(conn, account_id, target_id)
        [relationship] = await store.relate(conn, account_id, [target_id])
        return relationship
