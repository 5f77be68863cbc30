"""Use case: say why somebody is suggested to a member, or why not, as far as the member may know.

The score is computed anew, from those friendships that the member may see: what others hide is in no number here.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from chassis.database import Pool, connection
from services.social_graph import generation_store, store, suggestion_store, surroundings_store
from services.social_graph.clients import Accounts, Standing
from services.social_graph.domain import Obstacle, Relationship, Source, Suggestion, check_pair, no_such_member
from services.social_graph.suggesting import Suggesting
from services.social_graph.suggestion_store import Candidate
from services.social_graph.surroundings_store import Surroundings

MAX_RANK = 50


@dataclass(frozen=True)
class ScorePart:
    """What one thing about two members adds to the logarithm of a score."""

    name: str
    value: float
    contribution: float


@dataclass(frozen=True)
class Explanation:
    """Why somebody is suggested, or why not."""

    suggestion: Suggestion
    rank: int
    """Place among the suggestions that the member is shown now, from 1; 0 where it is not among them."""
    obstacles: Sequence[Obstacle]
    """Why it is not; none where it is."""
    parts: Sequence[ScorePart]
    """None where the account hides its friends, or has no mutual friend that the member may see."""


class Explaining:
    """Explains suggestions."""

    def __init__(self, pool: Pool, accounts: Accounts, suggesting: Suggesting) -> None:
        self._pool = pool
        self._accounts = accounts
        self._suggesting = suggesting

    async def explain(self, viewer_id: int, target_id: int) -> Explanation:
        """Explain somebody to a member. Raises NotFound for who does not exist or blocks the member, Unavailable."""
        check_pair(viewer_id, target_id, "target_id")
        standing = (await self._accounts.stand([target_id])).get(target_id)
        async with connection(self._pool) as conn:
            [relationship] = await store.relate(conn, viewer_id, [target_id])
            is_dismissed = await suggestion_store.is_dismissed(conn, viewer_id, target_id)
        if standing is None or relationship.is_blocked_by:
            raise no_such_member()
        obstacles = _obstacles(relationship, standing, is_dismissed=is_dismissed)
        if relationship.is_blocking:
            return Explanation(Suggestion(target_id, Source.FRIENDS_OF_FRIENDS), 0, obstacles, [])
        [suggestion] = await self._suggesting.with_reasons(
            viewer_id, [(Candidate(target_id, Source.FRIENDS_OF_FRIENDS), standing)]
        )
        rank = 0
        if not obstacles:
            shown = await self._suggesting.best(viewer_id, MAX_RANK)
            rank = next((place for place, one in enumerate(shown, 1) if one.account_id == target_id), 0)
            if rank:
                suggestion = shown[rank - 1]
            else:
                obstacles = [Obstacle.NOT_AMONG_THE_BEST]
        if not suggestion.mutual_friends_count:
            return Explanation(suggestion, rank, obstacles, [])
        score, parts = await self._score(viewer_id, target_id)
        return Explanation(replace(suggestion, score=score), rank, obstacles, parts)

    async def _score(self, viewer_id: int, target_id: int) -> tuple[float, list[ScorePart]]:
        async with connection(self._pool) as conn:
            current = await generation_store.find_current(conn)
            friends = (await store.list_friend_ids(conn, [viewer_id]))[0][1]
        shown = await self._accounts.find_open(friends)
        async with connection(self._pool) as conn:
            surroundings = await surroundings_store.read_among(conn, [viewer_id, target_id, *sorted(shown)])
        model_json = current.model_json if current else ""
        return await asyncio.to_thread(_score, surroundings, model_json, viewer_id, target_id)


def _score(
    surroundings: Surroundings, model_json: str, viewer_id: int, target_id: int
) -> tuple[float, list[ScorePart]]:
    # Imported by who asks first: these carry a compiler with them, a second and 120 MB, which nothing else in this process needs.
    from services.social_graph.ego_graphs import make_graph
    from services.social_graph.suggestions import Model, explain

    model = msgspec.json.decode(model_json, type=Model) if model_json else Model.default()
    explained = explain(make_graph(surroundings), model, viewer_id, target_id)
    if explained.parts:
        return explained.score, [ScorePart(one.feature, one.value, one.contribution) for one in explained.parts]
    kernel = explained.kernel_score
    return explained.score, [ScorePart("kernel", kernel, math.log(kernel))] if kernel else []


def _obstacles(relationship: Relationship, standing: Standing, *, is_dismissed: bool) -> list[Obstacle]:
    found = {
        Obstacle.FRIEND: relationship.is_friend,
        Obstacle.REQUESTED: relationship.is_requested,
        Obstacle.REQUESTED_BY: relationship.is_requested_by,
        Obstacle.BLOCKING: relationship.is_blocking,
        Obstacle.MUTING: relationship.is_muting,
        Obstacle.DISMISSED: is_dismissed,
        Obstacle.NOT_DISCOVERABLE: not standing.is_discoverable,
    }
    return [obstacle for obstacle, stands in found.items() if stands]
