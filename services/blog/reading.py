"""Use case: read blog entries, each only by whom may see it now."""

from collections.abc import Sequence

from chassis.database import Pool, connection
from chassis.errors import NotFound
from chassis.paging import Page
from services.blog import store
from services.blog.clients import SocialGraph
from services.blog.domain import (
    MAX_TEXT_CODE_POINTS,
    BlogEntry,
    EntryHeader,
    Relation,
    Visibility,
    may_see,
    may_stand_on_home,
    split_answer,
)


class Reading:
    """Reads entries from committed state and filters them by the viewer's relations, failing closed."""

    def __init__(self, pool: Pool, social_graph: SocialGraph) -> None:
        self._pool = pool
        self._social_graph = social_graph

    async def visible(
        self, viewer_id: int, blog_entry_ids: Sequence[int], *, text_limit: int = MAX_TEXT_CODE_POINTS
    ) -> tuple[list[BlogEntry], list[int]]:
        """Return those that exist and the viewer may see, with at most so many code points of their texts, in no order, and the ids
        of those that are too much for one answer.

        Texts are long, so that only those that will be shown are read: one query for what decides, one for the texts.
        """
        related = await self._related(viewer_id, blog_entry_ids)
        relations = {header.account_id: relation for header, relation in related}

        def is_seen(entry: EntryHeader | BlogEntry) -> bool:
            return may_see(viewer_id, entry.account_id, entry.visibility, relations.get(entry.account_id))

        fitting, omitted = split_answer([header for header, _ in related if is_seen(header)], text_limit=text_limit)
        if not fitting:
            return [], omitted
        async with connection(self._pool) as conn:
            entries = await store.list_entries(conn, fitting, text_limit=text_limit)
        return [entry for entry in entries if is_seen(entry)], omitted  # again: an entry can have changed in between

    async def shown(self, viewer_id: int, blog_entry_id: int) -> tuple[EntryHeader, Relation | None]:
        """Return the header of an entry and how the viewer stands to its author. Raises NotFound where the viewer may not see it."""
        for header, relation in await self._related(viewer_id, [blog_entry_id]):
            if may_see(viewer_id, header.account_id, header.visibility, relation):
                return header, relation
        raise NotFound("There is no such blog entry.", resource="blog_entry")

    async def visible_headers(self, viewer_id: int, blog_entry_ids: Sequence[int]) -> list[EntryHeader]:
        """Return the headers of those that exist and the viewer may see, in no order."""
        return [
            header
            for header, relation in await self._related(viewer_id, blog_entry_ids)
            if may_see(viewer_id, header.account_id, header.visibility, relation)
        ]

    async def _related(
        self, viewer_id: int, blog_entry_ids: Sequence[int]
    ) -> list[tuple[EntryHeader, Relation | None]]:
        """Return the headers of those that exist, each with how the viewer stands to its author."""
        headers = await self._load(blog_entry_ids)
        relations = await self._social_graph.relate(
            viewer_id,
            [header.account_id for header in headers],
            with_friends_of_friends=any(header.visibility == Visibility.FRIENDS_OF_FRIENDS for header in headers),
        )
        return [(header, relations.get(header.account_id)) for header in headers]

    async def on_home(self, viewer_id: int, blog_entry_ids: Sequence[int]) -> list[int]:
        """Return the ids of those that may stand on the viewer's home timeline now, in no order."""
        headers = await self._load(blog_entry_ids)
        authors = [header.account_id for header in headers]
        relations = await self._social_graph.relate(viewer_id, authors, with_friends_of_friends=False)
        return [
            header.id
            for header in headers
            if may_stand_on_home(viewer_id, header.account_id, header.visibility, relations.get(header.account_id))
        ]

    async def of_account(self, viewer_id: int, account_id: int, page: Page) -> list[BlogEntry]:
        """Return a page of an account's entries that the viewer may see, newest first."""
        relations = await self._social_graph.relate(viewer_id, [account_id], with_friends_of_friends=True)
        relation = relations.get(account_id)
        seen = [visibility for visibility in Visibility if may_see(viewer_id, account_id, visibility, relation)]
        if not seen:
            return []
        async with connection(self._pool) as conn:
            return await store.list_account_entries(conn, account_id, [visibility.value for visibility in seen], page)

    async def pull(self, viewer_id: int, author_ids: Sequence[int], page: Page) -> list[tuple[int, int]]:
        """Return (id, author) of a page of these authors' entries, newest first; the caller knows that they are the viewer's
        friends, or the viewer.
        """
        if not author_ids:
            return []
        async with connection(self._pool) as conn:
            return await store.pull_entries(conn, viewer_id, sorted(set(author_ids)), page)

    async def own(self, questions: Sequence[tuple[int, Page]]) -> list[list[int]]:
        """Return for each (author, page) the ids of the newest of the author's own entries on it, newest first."""
        async with connection(self._pool) as conn:
            return await store.list_own_entry_ids(conn, questions)

    async def published(self, blog_entry_ids: Sequence[int]) -> list[tuple[int, int]]:
        """Return (id, author) of those that exist and go to friends' home timelines."""
        headers = await self._load(blog_entry_ids)
        return [(header.id, header.account_id) for header in headers if header.visibility != Visibility.SELF]

    async def shown_media(self, media_ids: Sequence[int]) -> list[tuple[int, int]]:
        """Return (picture, who wrote the text) of those of these pictures that entries or drafts show now."""
        async with connection(self._pool) as conn:
            return await store.list_shown_media(conn, media_ids)

    async def _load(self, blog_entry_ids: Sequence[int]) -> list[EntryHeader]:
        if not blog_entry_ids:
            return []
        async with connection(self._pool) as conn:
            return await store.list_headers(conn, blog_entry_ids)
