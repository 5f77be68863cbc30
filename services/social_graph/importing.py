"""Use case: take over friendships from elsewhere."""

from collections.abc import Sequence

from chassis import ledger
from chassis.database import Pool, transaction
from chassis.errors import NotFound
from chassis.ledger import Bell
from services.social_graph import store
from services.social_graph.clients import Accounts
from services.social_graph.domain import check_friendships, too_many_friends

MERGING_SECONDS = 3
"""How long what an import causes for a member waits for what its next batches cause for the same one."""


class Importing:
    """Forms many friendships at once, without requests: all of a batch or none, and as often as one likes."""

    def __init__(self, pool: Pool, bell: Bell, accounts: Accounts, max_friends: int) -> None:
        self._pool = pool
        self._bell = bell
        self._accounts = accounts
        self._max_friends = max_friends

    async def form(self, friendships: Sequence[tuple[int, int]]) -> int:
        """Form those that do not exist, in either order of the ids, and return how many those were.

        What the members had asked each other is answered by it; pairs of whom one blocks the other are passed over. Raises
        InvalidField for impossible pairs, NotFound with the first unknown member, LimitReached with the first who would have too
        many friends; then nothing has changed.
        """
        pairs = check_friendships(friendships)
        members = sorted({account_id for pair in pairs for account_id in (pair.low, pair.high)})
        unknown = await self._accounts.find_unknown(members)
        if unknown:
            raise NotFound(f"There is no member {unknown[0]}.", resource="account", accountId=str(unknown[0]))
        async with transaction(self._pool) as conn:
            await store.lock_members(conn, members)
            gains = await store.form_friendships(conn, pairs)
            for gain in gains:
                if gain.friends_count > self._max_friends:
                    raise too_many_friends(gain.account_id, self._max_friends)
            payloads = [{"account_id": gain.account_id} for gain in gains]
            await ledger.append(conn, "friendships.imported", payloads, delay_seconds=MERGING_SECONDS, merges=True)
        if gains:
            self._bell.ring()
        return sum(gain.gained for gain in gains) // 2
