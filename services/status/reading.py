"""Use case: read statuses, each only by whom may see it now."""

from collections.abc import Sequence

from chassis.coalescing import Coalescer
from chassis.database import Pool, connection
from chassis.errors import NotFound
from chassis.paging import Page
from services.status import revision_store, store
from services.status.clients import SocialGraph
from services.status.domain import Revision, Status, StatusCount, may_see, seen_visibilities


class Reading:
    """Reads statuses from committed state and filters them by the viewer's relations, failing closed."""

    def __init__(self, pool: Pool, social_graph: SocialGraph) -> None:
        self._pool = pool
        self._social_graph = social_graph
        self._statuses = Coalescer(self._load_for)

    async def visible(self, viewer_id: int, status_ids: Sequence[int]) -> list[Status]:
        """Return those that exist and the viewer may see, in no order."""
        statuses = await self._load(viewer_id, status_ids)
        relations = await self._social_graph.relate(viewer_id, [status.account_id for status in statuses])
        return [status for status in statuses if may_see(viewer_id, status, relations.get(status.account_id))]

    async def shown(self, viewer_id: int, status_id: int) -> Status:
        """Return one. Raises NotFound where it does not exist or the viewer may not see it."""
        for status in await self.visible(viewer_id, [status_id]):
            return status
        raise NotFound("There is no such status.", resource="status")

    async def of_account(
        self, viewer_id: int, account_id: int, page: Page, *, exclude_replies: bool = False, only_media: bool = False
    ) -> list[Status]:
        """Return a page of an account's statuses that the viewer may see, newest first."""
        relations = await self._social_graph.relate(viewer_id, [account_id])
        visibilities = seen_visibilities(viewer_id, account_id, relations.get(account_id))
        if visibilities is None:
            return []
        async with connection(self._pool) as conn:
            status_ids = await store.list_account_status_ids(
                conn,
                account_id,
                page,
                visibilities=visibilities,
                mentioning=viewer_id,
                exclude_replies=exclude_replies,
                only_media=only_media,
            )
            statuses = await store.list_statuses(conn, viewer_id, status_ids) if status_ids else []
        shown = [status for status in statuses if may_see(viewer_id, status, relations.get(account_id))]
        return sorted(shown, key=lambda status: status.id, reverse=True)

    async def attached_media(self, media_ids: Sequence[int]) -> list[int]:
        """Return which of these pictures a status shows now."""
        async with connection(self._pool) as conn:
            return await store.list_attached_media(conn, media_ids)

    async def revisions(self, viewer_id: int, status_id: int) -> tuple[Status, list[Revision]]:
        """Return a status, and what it said before and says now, oldest first. Raises NotFound."""
        status = await self.shown(viewer_id, status_id)
        async with connection(self._pool) as conn:
            former = await revision_store.list_revisions(conn, status.account_id, status_id)
        since = status.edited_at_ms or status.created_at_ms
        now = Revision(status.text, status.mentioned_ids, status.mentioned_handles, since)
        return status, [*(one for one in former if one.created_at_ms < since), now]

    async def pull(self, viewer_id: int, author_ids: Sequence[int], page: Page) -> list[tuple[int, int]]:
        """Return (id, author) of a page of these authors' statuses, newest first; the caller knows that they are friends."""
        async with connection(self._pool) as conn:
            return await store.pull_statuses(conn, viewer_id, sorted(set(author_ids)), page)

    async def published(self, status_ids: Sequence[int]) -> list[tuple[int, int]]:
        """Return (id, author) of those that exist and go to friends' home timelines: all but direct ones."""
        if not status_ids:
            return []
        async with connection(self._pool) as conn:
            return await store.list_published(conn, status_ids)

    async def counts(self, account_ids: Sequence[int]) -> list[StatusCount]:
        """Return how many statuses each account has."""
        async with connection(self._pool) as conn:
            return await store.count_statuses(conn, account_ids)

    async def count(self) -> int:
        """Return how many statuses there are, of very many an estimate."""
        async with connection(self._pool) as conn:
            return await store.count_all(conn)

    async def _load(self, viewer_id: int, status_ids: Sequence[int]) -> list[Status]:
        return await self._statuses.get((viewer_id, status_ids)) if status_ids else []

    async def _load_for(self, questions: Sequence[tuple[int, Sequence[int]]]) -> list[list[Status]]:
        async with connection(self._pool) as conn:
            return await store.list_statuses_for(conn, questions)
