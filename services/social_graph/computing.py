"""Use case of the worker: compute suggestions of members from the friendships as committed now."""

import asyncio
from collections.abc import Collection, Sequence

from chassis.database import Pool, connection, transaction
from services.social_graph import suggestion_store as store
from services.social_graph.domain import MAX_SUGGESTIONS, MAX_WEDGES, Suggestion
from services.social_graph.suggestion_store import Neighbour
from services.social_graph.suggestions import CsrGraph, Model, suggest_around


class Computing:
    """Computes suggestions in groups of bounded size. Done twice or in another order, it leaves the newest."""

    def __init__(self, pool: Pool, max_wedges: int = MAX_WEDGES) -> None:
        self._pool = pool
        self._max_wedges = max_wedges

    async def refresh(self, account_ids: Collection[int]) -> None:
        """Compute the suggestions of these members anew; who has no friends has none."""
        members = sorted(set(account_ids))
        async with connection(self._pool) as conn:
            await store.delete_suggestions(conn, members)
            groups = await store.group_members(conn, members, self._max_wedges)
        for group in groups:
            await self._compute(group)

    async def compute(self, after_id: int, until_id: int) -> None:
        """Compute the suggestions of all members with ids above one and not above another."""
        async with connection(self._pool) as conn:
            members = await store.list_members_between(conn, after_id, until_id)
        await self.refresh(members)

    async def _compute(self, group: Sequence[int]) -> None:
        async with connection(self._pool) as conn:
            read_at, neighbours = await store.read_surroundings(conn, group, self._max_wedges)
        # In a thread, so that the process goes on to answer its heartbeats; the graph and the connection are not held together.
        suggestions = await asyncio.to_thread(suggest_to_group, group, neighbours)
        async with transaction(self._pool) as conn:
            await store.save_suggestions(conn, read_at, suggestions)


def suggest_to_group(group: Sequence[int], neighbours: Sequence[Neighbour]) -> dict[int, list[Suggestion]]:
    """Return the suggestions of a group's members that still have friends."""
    members = set(group)
    friends_of = {near.account_id: near.friend_ids for near in neighbours if near.account_id in members}
    ends = [(near.account_id, friend_id) for near in neighbours if near.is_mutual for friend_id in near.friend_ids]
    around = CsrGraph.from_edges(*zip(*ends, strict=True)) if ends else CsrGraph.from_edges([], [])
    suggestions = suggest_around(around, list(friends_of), Model.default(), k=MAX_SUGGESTIONS, left_out=friends_of)
    return {
        account_id: [
            Suggestion(found.account_id, found.score, found.mutual_count, found.sample_friends) for found in best
        ]
        for account_id, best in suggestions.items()
    }
