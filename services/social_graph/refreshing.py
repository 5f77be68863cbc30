"""Use case of the workers: compute the suggestions of single members again after something changed for them.

From the friendships around them as committed now, with the model of the current generation and whom it found to be popular near them.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np

from chassis import ledger
from chassis.database import Pool, connection, transaction
from services.social_graph import generation_store, suggestion_store, surroundings_store
from services.social_graph.array_folders import FolderDamaged
from services.social_graph.domain import MAX_SUGGESTIONS, MAX_WEDGES, Pair
from services.social_graph.ego_graphs import make_graph
from services.social_graph.generation_store import Generation
from services.social_graph.snapshots import Snapshots
from services.social_graph.suggestion_store import StoredSuggestions
from services.social_graph.suggestions import Model, Prepared, suggest_around
from services.social_graph.surroundings_store import Surroundings

DEBOUNCE_SECONDS = 60
"""How long what a new friendship means for the friends of its ends waits for more of the same."""
MAX_NEIGHBOURS = 50
"""Of each end of a friendship, so many friends are computed again: those who became friends last."""
MAX_LEFT_OUT = 50
"""So many more are computed than are kept, for those whom a member may not be shown."""
SAMPLE_MEMBERS = 50
COMPARED = 10


class Refreshing:
    """Computes the suggestions of single members. Done twice or in another order, it leaves the latest."""

    def __init__(self, pool: Pool, folder: Path, max_wedges: int = MAX_WEDGES) -> None:
        self._pool = pool
        self._snapshots = Snapshots(folder)
        self._max_wedges = max_wedges
        self._chosen: tuple[int, Prepared | Model] = (0, Model.default())

    async def refresh(self, account_ids: Collection[int]) -> None:
        """Compute the suggestions of these members and store them."""
        async with connection(self._pool) as conn:
            groups = await surroundings_store.group_members(conn, sorted(set(account_ids)), self._max_wedges)
        for group in groups:
            surroundings, suggestions = await self._compute(group)
            async with transaction(self._pool) as conn:
                await suggestion_store.save_refreshed(conn, surroundings.read_at, suggestions)

    async def spread(self, pairs: Collection[Pair]) -> None:
        """Have friends of the ends of changed friendships computed again in a while: one more or less is a mutual friend of theirs."""
        ends = {account_id for pair in pairs for account_id in (pair.low, pair.high)}
        async with transaction(self._pool) as conn:
            near = await surroundings_store.list_neighbours(conn, sorted(ends), MAX_NEIGHBOURS)
            payloads = [{"account_id": account_id} for account_id in near]
            await ledger.append(conn, "suggestions.outdated", payloads, delay_seconds=DEBOUNCE_SECONDS, merges=True)

    async def measure(self) -> None:
        """Compute some members' suggestions anew and keep how many of the ten best were not the stored ones."""
        async with connection(self._pool) as conn:
            current = await generation_store.find_current(conn)
            members = await surroundings_store.sample_members(conn, SAMPLE_MEMBERS)
            stored = await suggestion_store.find_stored(conn, members)
        others: list[float] = []
        for account_id in sorted(stored):
            _, [computed] = await self._compute([account_id])
            best, fresh = (set(each.suggested_ids[:COMPARED]) for each in (stored[account_id], computed))
            if fresh:
                others.append(len(fresh - best) / len(fresh))
        if current and others:
            async with connection(self._pool) as conn:
                await generation_store.note_drift(conn, current.id, float(np.mean(others)), len(others))

    async def _compute(self, members: Sequence[int]) -> tuple[Surroundings, list[StoredSuggestions]]:
        async with connection(self._pool) as conn:
            current = await generation_store.find_current(conn)
            popular = await generation_store.list_popular(conn)
            left_out = await suggestion_store.list_set_apart(conn, members)
        chosen = await self._choose(current)
        async with transaction(self._pool) as conn:
            surroundings = await surroundings_store.read_surroundings(conn, members, self._max_wedges)
        # In a thread, so that the process goes on to answer its heartbeats.
        return surroundings, await asyncio.to_thread(_suggest, surroundings, members, chosen, popular, left_out)

    async def _choose(self, current: Generation | None) -> Prepared | Model:
        """Return what the current generation prepared, or its model alone where this machine does not have its snapshot."""
        if current is None:
            return Model.default()
        if self._chosen[0] != current.id:
            model = msgspec.json.decode(current.model_json, type=Model)
            chosen: Prepared | Model = model
            with suppress(FolderDamaged):
                chosen = await asyncio.to_thread(self._snapshots.prepared, current.id, current.snapshot_number, model)
            self._chosen = (current.id, chosen)
        return self._chosen[1]


def _suggest(
    surroundings: Surroundings,
    members: Sequence[int],
    chosen: Prepared | Model,
    popular: Sequence[int],
    left_out: Mapping[int, set[int]],
) -> list[StoredSuggestions]:
    """Return each member's best suggestions, without whom they may not be shown now."""
    found = suggest_around(
        make_graph(surroundings),
        members,
        chosen,
        k=MAX_SUGGESTIONS + MAX_LEFT_OUT,
        popular=popular,
        left_out={account_id: sorted(others) for account_id, others in left_out.items()},
    )
    return [
        StoredSuggestions(
            account_id,
            [one.account_id for one in best[:MAX_SUGGESTIONS]],
            [one.score for one in best[:MAX_SUGGESTIONS]],
            [int(one.source) for one in best[:MAX_SUGGESTIONS]],
        )
        for account_id, best in found.items()
    ]
