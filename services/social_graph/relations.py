"""Use case: tell who stands how to whom, from committed state and never from a cache."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar

from chassis.coalescing import Loader
from chassis.database import Connection, Pool, connection
from services.social_graph import mute_store, store
from services.social_graph.clients import Accounts
from services.social_graph.domain import (
    MAX_MUTUAL_FRIENDS,
    BlockedAccount,
    Friend,
    FriendRequest,
    MutedAccount,
    Relationship,
    check_id,
    limit_of,
    page_size_of,
    read_latest_token,
    read_page_token,
    write_latest_token,
    write_page_token,
)

MAX_PAIRS = 5000
"""Of viewer and account, in one query."""

Row = TypeVar("Row", FriendRequest, BlockedAccount, MutedAccount)
ReadLatest = Callable[[Connection, int, tuple[datetime, int] | None, int], Awaitable[list[Row]]]
"""Reads rows of an account that come after a (created_at, the other's id), the latest first."""


class Relations:
    """Reads friendships, requests, blocks and mutes."""

    def __init__(self, pool: Pool, accounts: Accounts) -> None:
        self._pool = pool
        self._accounts = accounts
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

    async def relate_briefly(self, pairs: Sequence[tuple[int, int]]) -> list[int]:
        """Return for each pair of viewer and account what decides what stands on home timelines, as BatchRelate says it."""
        async with connection(self._pool) as conn:
            return await store.relate_briefly(conn, pairs)

    async def _relate_pairs(self, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Relationship]:
        async with connection(self._pool) as conn:
            related = await store.relate_pairs(conn, pairs)
        return {(viewer_id, relationship.account_id): relationship for viewer_id, relationship in related}

    async def friends(
        self, viewer_id: int, account_id: int, page_size: int, page_token: str
    ) -> tuple[list[Friend], str]:
        """Return a page of an account's friends by ascending id, and the next page's token, empty at the end.

        Whoever looks sees them, but not where either blocks the other, or the member hides them. Raises InvalidField for bad page
        sizes and tokens.
        """
        check_id(account_id, "account_id")
        size = page_size_of(page_size)
        [after_id] = read_page_token(page_token, parts=1) or (0,)
        if viewer_id != account_id and not await self._accounts.find_open([account_id]):
            return [], ""
        async with connection(self._pool) as conn:
            [relationship] = await store.relate(conn, viewer_id, [account_id])
            if relationship.is_blocked_either_way:
                return [], ""
            friends = await store.list_friends(conn, account_id, after_id, size + 1)
        page = friends[:size]
        return page, write_page_token(page[-1].account_id) if len(friends) > size else ""

    async def mutual_friends(
        self, viewer_id: int, account_ids: Sequence[int], limit: int
    ) -> list[tuple[int, list[int]]]:
        """Return (account, the friends that it shares with the viewer) for each distinct account, in no order.

        None of those who hide their friends. Raises InvalidField for a negative limit.
        """
        check_id(viewer_id, "viewer_id")
        at_most = limit_of(limit, MAX_MUTUAL_FRIENDS)
        if not account_ids:
            return []
        shown = await self._accounts.find_open(account_ids)
        async with connection(self._pool) as conn:
            found = await store.list_mutual_friends(conn, viewer_id, sorted(shown), at_most)
        return found + [(account_id, []) for account_id in sorted(set(account_ids) - shown)]

    async def requests(
        self, account_id: int, page_size: int, page_token: str, *, outgoing: bool
    ) -> tuple[list[FriendRequest], str]:
        """Return a page of what an account was asked, or has asked others, newest first, and the next page's token.

        Raises InvalidField for bad page sizes and tokens.
        """
        read = store.list_outgoing_requests if outgoing else store.list_incoming_requests
        return await self._latest(
            read, account_id, page_size, page_token, lambda one: one.target_id if outgoing else one.requester_id
        )

    async def blocks(self, account_id: int, page_size: int, page_token: str) -> tuple[list[BlockedAccount], str]:
        """Return a page of whom an account blocks, the latest first, and the next page's token. Raises as `requests`."""
        return await self._latest(
            store.list_blocks, account_id, page_size, page_token, lambda blocked: blocked.account_id
        )

    async def mutes(self, account_id: int, page_size: int, page_token: str) -> tuple[list[MutedAccount], str]:
        """Return a page of whom an account mutes, the latest first, and the next page's token. Raises as `requests`."""
        return await self._latest(
            mute_store.list_mutes, account_id, page_size, page_token, lambda muted: muted.account_id
        )

    async def _latest(
        self, read: ReadLatest[Row], account_id: int, page_size: int, page_token: str, other_id: Callable[[Row], int]
    ) -> tuple[list[Row], str]:
        """Return a page of what is read in the order of (created_at, the other's id), descending, and the next page's token."""
        check_id(account_id, "account_id")
        size = page_size_of(page_size)
        before = read_latest_token(page_token)
        async with connection(self._pool) as conn:
            rows = await read(conn, account_id, before, size + 1)
        page = rows[:size]
        if len(rows) <= size:
            return page, ""
        return page, write_latest_token(page[-1].created_at, other_id(page[-1]))

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
