"""Use cases that keep the index close to the truth. Reads are exact without them; with them they are cheap."""

from collections.abc import Mapping, Sequence

from chassis.database import Connection, Pool, connection, transaction
from chassis.ids import MAX_ID, first_id_at
from chassis.paging import Page
from services.timeline import store
from services.timeline.activation import have_filled
from services.timeline.announcing import SILENT, Announcer
from services.timeline.clients import Friends
from services.timeline.domain import lowest_complete
from services.timeline.publications import Publications
from services.timeline.rows import rows_for
from services.timeline.store import SETTLED_MS

FILL_ENTRIES = 400
"""Ten pages of the largest size; who scrolls further is pulled."""


class Upkeep:
    """Backfill, fill, rebase, purge and retract."""

    def __init__(
        self,
        pool: Pool,
        publications: Publications,
        friends: Friends,
        *,
        dormant_days: int,
        announcer: Announcer = SILENT,
        fill_entries: int = FILL_ENTRIES,
    ) -> None:
        self._announcer = announcer
        self._pool = pool
        self._publications = publications
        self._friends = friends
        self._dormant_days = dormant_days
        self._fill_entries = fill_entries

    async def backfill(self, account_id: int, friend_id: int) -> None:
        """After a friendship has formed: give each of the two the other's posts as far back as their timeline is pushed."""
        async with transaction(self._pool) as conn:
            await store.lock_homes(conn, [account_id, friend_id])
            pushed_from = await store.list_pushed_from(conn, [account_id, friend_id], self._dormant_days)
            if not pushed_from or not await self._friends.are_friends(account_id, friend_id):
                return
            for reader, author in ((account_id, friend_id), (friend_id, account_id)):
                if reader in pushed_from:
                    await self._push_all(conn, reader, [author], above=pushed_from[reader] - 1)

    async def fill(self, account_id: int) -> None:
        """After a member has begun or begun again to read: push the last pages and rely on them, so that they need not be pulled any more.

        What is committed after the pull is fanned out to the member, whom fan-outs have seen since before it.
        """
        async with transaction(self._pool) as conn:
            await store.lock_homes(conn, [account_id])
            if not await store.is_active(conn, account_id, self._dormant_days):
                return  # passed over by fan-outs, or about to be: the next read activates and has this done again
            friends = (await self._friends.of([account_id])).get(account_id, [])
            page = Page(below=MAX_ID, above=0, limit=self._fill_entries, upwards=False)
            entries = await self._publications.pull(account_id, friends, page)
            await store.insert_entries(conn, rows_for(account_id, entries))
            is_all = len(entries) < page.limit
            await store.lower_pushed_from(conn, account_id, 0 if is_all else lowest_complete(entries, page.limit))

    async def rebase(self, account_ids: Sequence[int]) -> None:
        """After friendships came by import: rely on nothing that was pushed to these members until now, pull it until they are filled."""
        async with transaction(self._pool) as conn:
            await store.lock_homes(conn, account_ids)  # a fill under way has not seen the new friends
            await have_filled(conn, await store.distrust_pushed(conn, sorted(set(account_ids))))

    async def rebuild(self, account_id: int) -> bool:
        """Rely on nothing that was pushed to a member, delete it, and have the last pages pushed anew; tell whether the member has a home.

        What is there to be deleted was committed before, and so is found by the fill.
        """
        async with transaction(self._pool) as conn:
            await store.lock_homes(conn, [account_id])
            with_home = await store.distrust_pushed(conn, [account_id])
            await store.delete_all(conn, with_home)
            await have_filled(conn, with_home)
        return bool(with_home)

    async def _push_all(self, conn: Connection, reader: int, authors: Sequence[int], *, above: int) -> None:
        async for entries in self._publications.pull_pages(reader, authors, above=above):
            await store.insert_entries(conn, rows_for(reader, entries))

    async def purge(self, account_id: int, friend_id: int) -> None:
        """After a friendship has ended: clear what each has of the other, unless they are friends again.

        Only what is older than the look at the friendship goes, so that whatever a new friendship brings stays.
        """
        async with transaction(self._pool) as conn:
            await store.lock_homes(conn, [account_id, friend_id])
            below_id = await store.now_id(conn) - first_id_at(SETTLED_MS)
            if await self._friends.are_friends(account_id, friend_id):
                return
            await store.delete_author(conn, account_id, friend_id, below_id)
            await store.delete_author(conn, friend_id, account_id, below_id)

    async def revise(self, authors: Mapping[int, int]) -> None:
        """After posts (id → author) were edited: tell who may be looking at them."""
        friends = await self._friends.of(sorted(set(authors.values())))
        self._announcer.announce_edits(
            {entry_id: [*friends.get(author_id, ()), author_id] for entry_id, author_id in authors.items()}
        )

    async def retract(self, entry_id: int, author_id: int) -> None:
        """After a post was deleted: clear it from the home timelines of its author's friends."""
        friends = (await self._friends.of([author_id])).get(author_id, [])
        if friends:
            async with connection(self._pool) as conn:
                await store.delete_entries(conn, entry_id, friends)
        self._announcer.announce_deletions({entry_id: [*friends, author_id]})
