"""Use case: keep drafts until they are published."""

from chassis.database import Pool, connection
from chassis.errors import LimitReached, NotFound
from chassis.idempotency import Write
from chassis.ledger import Bell
from chassis.paging import Page
from services.blog import draft_store
from services.blog.domain import (
    MAX_DRAFTS,
    BlogEntry,
    Change,
    Draft,
    Visibility,
    Words,
    changed,
    check_draft,
    check_text,
    check_title,
)


class Drafting:
    """Keeps, changes and publishes a member's own drafts. Nobody else's are ever found."""

    def __init__(self, pool: Pool, bell: Bell) -> None:
        self._pool = pool
        self._bell = bell

    async def create(self, write: Write, account_id: int, change: Change) -> Draft:
        """Keep a new draft. Raises InvalidField for an empty one, LimitReached where the member has too many."""
        words = check_draft(Words(change.title or "", change.text or ""))
        conn = await write.begin()
        if await draft_store.count_drafts(conn, account_id) >= MAX_DRAFTS:
            raise LimitReached(f"A member has at most {MAX_DRAFTS} drafts; publish or delete one first.")
        return await draft_store.insert_draft(conn, account_id, words, change.visibility or Visibility.FRIENDS)

    async def update(self, write: Write, account_id: int, draft_id: int, change: Change) -> Draft:
        """Change an own draft. Raises NotFound, InvalidField where nothing would be left of it."""
        conn = await write.begin()
        draft = _found(await draft_store.lock_draft(conn, account_id, draft_id))
        words, visibility = changed(draft, change)
        return await draft_store.update_draft(conn, draft, check_draft(words), visibility)

    async def delete(self, write: Write, account_id: int, draft_id: int) -> Draft:
        """Delete an own draft and return what it was. Raises NotFound."""
        return _found(await draft_store.delete_draft(await write.begin(), account_id, draft_id))

    async def publish(self, write: Write, account_id: int, draft_id: int, change: Change) -> BlogEntry:
        """Make an entry of an own draft, changed at the last moment. Raises NotFound, InvalidField where title or text is missing."""
        conn = await write.begin()
        draft = _found(await draft_store.lock_draft(conn, account_id, draft_id))
        words, visibility = changed(draft, change)
        complete = Words(check_title(words.title), check_text(words.text))
        entry = await draft_store.publish_draft(conn, draft, complete, visibility)
        write.ring(self._bell)
        return entry

    async def get(self, account_id: int, draft_id: int) -> Draft:
        """Return an own draft. Raises NotFound."""
        async with connection(self._pool) as conn:
            return _found(await draft_store.find_draft(conn, account_id, draft_id))

    async def page(self, account_id: int, page: Page) -> list[Draft]:
        """Return a page of a member's drafts, the youngest first."""
        async with connection(self._pool) as conn:
            return await draft_store.list_drafts(conn, account_id, page)


def _found(draft: Draft | None) -> Draft:
    if draft is None:
        raise NotFound("There is no such draft of yours.", resource="draft")
    return draft
