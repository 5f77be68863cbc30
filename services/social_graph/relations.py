"""Use case: tell who stands how to whom, from committed state and never from a cache."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from chassis.coalescing import Loader
from chassis.database import Pool, connection
from services.social_graph import store
from services.social_graph.domain import (
    Friend,
    FriendRequest,
    Relationship,
    check_id,
    page_size_of,
    read_page_token,
    write_page_token,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MAX_PAIRS = 5000
"""Of viewer and account, in one query."""
LAST_MICROSECOND = (datetime(9999, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND


class Relations:
    """Reads friendships, requests and blocks."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._pairs = Loader(self._relate_pairs, max_ids=MAX_PAIRS)

    async def relate(
        self, viewer_id: int, account_ids: Sequence[int], *, with_friends_of_friends: bool
    ) -> list[Relationship]:
        """Return how a viewer stands to each distinct account, in no order, as of a moment after this call.

        What several viewers ask at the same time is one query, without friends of friends, which cost far more.
        """
        if not account_ids:
            return []
        if with_friends_of_friends:
            async with connection(self._pool) as conn:
                return await store.relate(conn, viewer_id, account_ids, with_friends_of_friends=True)
        return list((await self._pairs.get((viewer_id, account_id) for account_id in account_ids)).values())

    async def _relate_pairs(self, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Relationship]:
        async with connection(self._pool) as conn:
            related = await store.relate_pairs(conn, pairs)
        return {(viewer_id, relationship.account_id): relationship for viewer_id, relationship in related}

    async def friends(self, account_id: int, page_size: int, page_token: str) -> tuple[list[Friend], str]:
        """Return a page of an account's friends by ascending id, and the next page's token, empty at the end.

        Raises InvalidField for bad page sizes and tokens.
        """
        check_id(account_id, "account_id")
        size = page_size_of(page_size)
        [after_id] = read_page_token(page_token, parts=1) or (0,)
        async with connection(self._pool) as conn:
            friends = await store.list_friends(conn, account_id, after_id, size + 1)
        page = friends[:size]
        return page, write_page_token(page[-1].account_id) if len(friends) > size else ""

    async def requests(
        self, account_id: int, page_size: int, page_token: str, *, outgoing: bool
    ) -> tuple[list[FriendRequest], str]:
        """Return a page of what an account was asked, or has asked others, newest first, and the next page's token.

        Raises InvalidField for bad page sizes and tokens.
        """
        check_id(account_id, "account_id")
        size = page_size_of(page_size)
        key = read_page_token(page_token, parts=2)
        before = (EPOCH + min(key[0], LAST_MICROSECOND) * MICROSECOND, key[1]) if key else None
        async with connection(self._pool) as conn:
            if outgoing:
                requests = await store.list_outgoing_requests(conn, account_id, before, size + 1)
            else:
                requests = await store.list_incoming_requests(conn, account_id, before, size + 1)
        page = requests[:size]
        if len(requests) <= size:
            return page, ""
        last = page[-1]
        other_id = last.target_id if outgoing else last.requester_id
        return page, write_page_token((last.created_at - EPOCH) // MICROSECOND, other_id)

    async def counts(self, account_ids: Sequence[int]) -> dict[int, int]:
        """Return how many friends each account has that has any."""
        if not account_ids:
            return {}
        async with connection(self._pool) as conn:
            return await store.count_friends(conn, account_ids)

    async def friend_ids(self, account_ids: Sequence[int]) -> list[tuple[int, list[int]]]:
        """Return (account, all its friends, ascending) for each distinct account, as of one moment."""
        if not account_ids:
            return []
        async with connection(self._pool) as conn:
            return await store.list_friend_ids(conn, account_ids)
