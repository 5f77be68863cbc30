"""Use case: publish, change and delete blog entries."""

from chassis.database import Pool, connection
from chassis.errors import Conflict, FailedPrecondition, IdempotencyKeyReused, InvalidField, NotFound
from chassis.idempotency import Write
from chassis.ledger import Bell
from services.blog import store
from services.blog.domain import BlogEntry, Change, NewBlogEntry, changed


class Publishing:
    """Changes blog entries; a change and the work that it causes commit in one statement.

    A narrower visibility holds from its commit on: readers are filtered by the committed row.
    """

    def __init__(self, pool: Pool, bell: Bell) -> None:
        self._pool = pool
        self._bell = bell

    async def publish(self, new: NewBlogEntry) -> BlogEntry:
        """Publish an entry, or return what the same idempotency key has published.

        Raises IdempotencyKeyReused where it came with another body, FailedPrecondition where what it published is deleted, Conflict
        while another call under the same key is publishing.
        """
        async with connection(self._pool) as conn:
            entry = await store.insert_entry(conn, new)
            if entry is not None:
                self._bell.ring()
                return entry
            claim = await store.find_claim(conn, new.account_id, new.request_id)
            if claim is None:
                raise Conflict("The same request is still running; please ask again in a moment.")
            if claim.made_id is None or claim.fingerprint != new.fingerprint:
                raise IdempotencyKeyReused("This idempotency key has been used for another request.")
            published = await store.list_entries(conn, [claim.made_id])
        if not published:
            raise FailedPrecondition("The blog entry that this idempotency key published has been deleted.")
        return published[0]

    async def update(self, write: Write, account_id: int, blog_entry_id: int, change: Change) -> BlogEntry:
        """Change an own entry, or narrow who may see it, and return what it is now; a change to what it is already changes nothing.

        Raises NotFound for others' and unknown ones, InvalidField for a wider visibility.
        """
        conn = await write.begin()
        entry = await store.lock_entry(conn, account_id, blog_entry_id)
        if entry is None:
            raise _no_such_entry()
        words, visibility = changed(entry, change)
        if visibility < entry.visibility:
            raise InvalidField("visibility", "Who may see a blog entry can only be narrowed.")
        if (words.title, words.text, visibility) == (entry.title, entry.text, entry.visibility):
            return entry
        write.ring(self._bell)
        return await store.update_entry(conn, entry, words, visibility)

    async def delete(self, write: Write, account_id: int, blog_entry_id: int) -> BlogEntry:
        """Delete an own entry and return what it was. Raises NotFound for others' and unknown ones."""
        entry = await store.delete_entry(await write.begin(), account_id, blog_entry_id)
        if entry is None:
            raise _no_such_entry()
        write.ring(self._bell)
        return entry


def _no_such_entry() -> NotFound:
    return NotFound("There is no such blog entry of yours.", resource="blog_entry")
