"""Use case: read statuses, each only by whom may see it now."""

from collections.abc import Sequence

from chassis.database import Pool, connection
from chassis.paging import Page
from services.status import store
from services.status.clients import SocialGraph
from services.status.domain import Status, Visibility, may_see, may_stand_on_home
from services.status.store import StatusCount


class Reading:
    """Reads statuses from committed state and filters them by the viewer's relations, failing closed."""

    def __init__(self, pool: Pool, social_graph: SocialGraph) -> None:
        self._pool = pool
        self._social_graph = social_graph

    async def visible(self, viewer_id: int, status_ids: Sequence[int]) -> list[Status]:
        """Return those that exist and the viewer may see, in no order."""
        statuses = await self._load(status_ids)
        relations = await self._social_graph.relate(viewer_id, [status.account_id for status in statuses])
        return [
            status
            for status in statuses
            if may_see(viewer_id, status.account_id, status.visibility, relations.get(status.account_id))
        ]

    async def on_home(self, viewer_id: int, status_ids: Sequence[int]) -> list[int]:
        """Return the ids of those that may stand on the viewer's home timeline now, in no order."""
        statuses = await self._load(status_ids)
        relations = await self._social_graph.relate(viewer_id, [status.account_id for status in statuses])
        return [
            status.id
            for status in statuses
            if may_stand_on_home(viewer_id, status.account_id, relations.get(status.account_id))
        ]

    async def of_account(self, viewer_id: int, account_id: int, page: Page) -> list[Status]:
        """Return a page of an account's statuses that the viewer may see, newest first."""
        relations = await self._social_graph.relate(viewer_id, [account_id])
        relation = relations.get(account_id)
        seen = [visibility for visibility in Visibility if may_see(viewer_id, account_id, visibility, relation)]
        if not seen:
            return []
        async with connection(self._pool) as conn:
            return await store.list_account_statuses(conn, account_id, [visibility.value for visibility in seen], page)

    async def pull(self, author_ids: Sequence[int], page: Page) -> list[tuple[int, int]]:
        """Return (id, author) of a page of these authors' statuses, newest first; the caller knows that they are friends."""
        async with connection(self._pool) as conn:
            return await store.pull_statuses(conn, sorted(set(author_ids)), page)

    async def published(self, status_ids: Sequence[int]) -> list[tuple[int, int]]:
        """Return (id, author) of those that exist; all visibilities go to friends' home timelines."""
        return [(status.id, status.account_id) for status in await self._load(status_ids)]

    async def counts(self, account_ids: Sequence[int]) -> list[StatusCount]:
        """Return how many statuses each account has."""
        async with connection(self._pool) as conn:
            return await store.count_statuses(conn, account_ids)

    async def count(self) -> int:
        """Return how many statuses there are, of very many an estimate."""
        async with connection(self._pool) as conn:
            return await store.count_all(conn)

    async def _load(self, status_ids: Sequence[int]) -> list[Status]:
        if not status_ids:
            return []
        async with connection(self._pool) as conn:
            return await store.list_statuses(conn, status_ids)
