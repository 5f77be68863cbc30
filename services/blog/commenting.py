"""Use case: comment on blog entries, and read what others say below them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from chassis.database import Pool, connection
from chassis.errors import LimitReached, NotFound
from chassis.idempotency import Write
from chassis.ledger import Bell
from chassis.paging import Page
from services.blog import comment_store, store
from services.blog.clients import SocialGraph
from services.blog.domain import MAX_COMMENTS, Comment, Relation, is_heard, may_see
from services.blog.reading import Reading

MAX_SCANS = 10
MAX_CONCURRENT_QUESTIONS = 8


@dataclass(frozen=True)
class CommentPage:
    """A page of comments, oldest first, and what of the list was looked at for it."""

    comments: Sequence[Comment]
    newest_id: int
    oldest_id: int
    is_end: bool
    """There is nothing further in the direction in which was looked."""


class Commenting:
    """Comments are seen by whoever may see the entry now, and vanish with it.

    Who has a block with the viewer is not heard by the viewer; who has one with the entry's author is heard by nobody below it, as
    they could not say it now.
    """

    def __init__(self, pool: Pool, bell: Bell, social_graph: SocialGraph, reading: Reading) -> None:
        self._pool = pool
        self._bell = bell
        self._social_graph = social_graph
        self._reading = reading

    async def comment(self, write: Write, account_id: int, blog_entry_id: int, text: str) -> Comment:
        """Comment on an entry that can be seen, looked at again under its lock: it may have been narrowed or deleted meanwhile.

        Raises NotFound where the member may not see it, LimitReached where it has too many comments.
        """
        entry, relation = await self._reading.shown(account_id, blog_entry_id)
        conn = await write.begin()
        locked = await store.lock_header(conn, entry.account_id, blog_entry_id)
        if locked is None or not may_see(account_id, locked.account_id, locked.visibility, relation):
            raise NotFound("There is no such blog entry.", resource="blog_entry")
        if locked.comments_count >= MAX_COMMENTS:
            raise LimitReached(f"A blog entry has at most {MAX_COMMENTS} comments.")
        comment = await comment_store.insert_comment(conn, locked, account_id, text)
        write.ring(self._bell)
        return comment

    async def delete(self, write: Write, account_id: int, comment_id: int) -> Comment:
        """Delete an own comment, or one on an own entry, and return what it was. Raises NotFound for all others."""
        conn = await write.begin()
        for comment in await comment_store.list_comments(conn, [comment_id]):
            if account_id not in (comment.account_id, comment.author_id):
                break
            # The entry first, as everybody does who changes its comments: whoever deletes it waits for this, or this for them.
            await store.lock_header(conn, comment.author_id, comment.blog_entry_id)
            if await comment_store.delete_comment(conn, comment):
                return comment
        raise NotFound("There is no such comment that you could delete.", resource="comment")

    async def of_entry(self, viewer_id: int, blog_entry_id: int, page: Page) -> CommentPage:
        """Return a page of the comments on an entry. Raises NotFound where the viewer may not see it.

        Looks on for what is still missing from the page until it is full or the list ends.
        """
        entry, _ = await self._reading.shown(viewer_id, blog_entry_id)
        kept: list[Comment] = []
        scanned: list[int] = []
        part, is_end = page, False
        for _ in range(MAX_SCANS):
            async with connection(self._pool) as conn:
                found = await comment_store.list_entry_comments(conn, entry, part)
            kept += await self._heard(viewer_id, found)
            scanned += [comment.id for comment in found]
            is_end = len(found) < part.limit
            if is_end or len(kept) == page.limit:
                break
            missing = page.limit - len(kept)
            part = (
                replace(part, limit=missing, above=max(scanned))
                if part.upwards
                else replace(part, limit=missing, below=min(scanned))
            )
        kept.sort(key=lambda comment: comment.id)
        return CommentPage(kept, max(scanned, default=0), min(scanned, default=0), is_end)

    async def visible(self, viewer_id: int, comment_ids: Sequence[int]) -> list[Comment]:
        """Return those that exist and the viewer may see, in no order."""
        if not comment_ids:
            return []
        async with connection(self._pool) as conn:
            found = await comment_store.list_comments(conn, comment_ids)
        entries = await self._reading.visible_headers(viewer_id, sorted({comment.blog_entry_id for comment in found}))
        shown = {entry.id for entry in entries}
        return await self._heard(viewer_id, [comment for comment in found if comment.blog_entry_id in shown])

    async def _heard(self, viewer_id: int, comments: Sequence[Comment]) -> list[Comment]:
        """Return those on entries that the viewer may see which both the viewer and the entry's author hear."""
        listeners = sorted({comment.author_id for comment in comments} | ({viewer_id} - {0}))
        speakers = {
            listener: {comment.account_id for comment in comments if listener in (viewer_id, comment.author_id)}
            for listener in listeners
        }
        turns = asyncio.Semaphore(MAX_CONCURRENT_QUESTIONS)

        async def relate(listener: int) -> dict[int, Relation]:
            async with turns:
                return await self._social_graph.relate(
                    listener, sorted(speakers[listener]), with_friends_of_friends=False
                )

        relations = dict(zip(listeners, await asyncio.gather(*map(relate, listeners)), strict=True))
        return [
            comment
            for comment in comments
            if all(
                is_heard(listener, comment.account_id, relations.get(listener, {}).get(comment.account_id))
                for listener in (viewer_id, comment.author_id)
            )
        ]
