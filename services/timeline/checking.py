"""Use case: compare what has been pushed to a member with what a pull says that it has to be, and repair the difference."""

from collections.abc import Callable
from dataclasses import dataclass

from chassis.database import Connection, Pool, connection, transaction
from chassis.ids import MAX_ID, first_id_at
from chassis.paging import Page
from services.timeline import store
from services.timeline.activation import have_filled
from services.timeline.clients import Friends
from services.timeline.domain import NEVER_PUSHED, Entry, OpenWork
from services.timeline.open_work import OpenWorkList
from services.timeline.publications import Publications
from services.timeline.rows import rows_for
from services.timeline.store import SETTLED_MS

PAGE = 1000


@dataclass(frozen=True)
class Difference:
    """How pushed entries differ from the truth."""

    expected: int
    """How many entries have to be there."""
    missing: tuple[Entry, ...] = ()
    """Those that are not there and not open either: a reader misses them."""
    stale: tuple[int, ...] = ()
    """Ids of those that are there and need not be: no reader sees them."""
    is_unfilled: bool = False
    """Nothing is relied on though the member reads, and no open work will change that: everything is pulled at every read."""


class Checking:
    """Verifies home timelines. A sound network has nothing missing; stale entries are what upkeep has not got to yet."""

    def __init__(
        self,
        pool: Pool,
        publications: Publications,
        friends: Friends,
        *,
        open_work: OpenWorkList,
        dormant_days: int,
    ) -> None:
        self._pool = pool
        self._publications = publications
        self._friends = friends
        self._open_work = open_work
        self._dormant_days = dormant_days

    async def homes(self, after_id: int, limit: int) -> list[int]:
        """Return members who are or were pushed to, ascending, with ids above one."""
        async with connection(self._pool) as conn:
            return await store.list_homes(conn, after_id, limit)

    async def verify(self, account_id: int) -> Difference:
        """Return how a member's pushed entries differ from what they have to be; nothing where none are relied on.

        What seems to be missing is looked at twice, since members go on befriending and posting meanwhile.
        """
        first = await self._compare(account_id)
        if not first.missing and not first.stale and not first.is_unfilled:
            return first
        second = await self._compare(account_id)
        return Difference(
            second.expected,
            tuple(entry for entry in second.missing if entry in first.missing),
            tuple(sorted(set(second.stale) & set(first.stale))),
            first.is_unfilled and second.is_unfilled,
        )

    async def repair(self, account_id: int) -> Difference:
        """Write what is missing, delete what is stale and older than any work that could still be under way; return what it was.

        Upkeep of this home timeline waits meanwhile: what a new friendship brings cannot come between the look and the deletion.
        """
        async with transaction(self._pool) as conn:
            await store.lock_homes(conn, [account_id])
            difference = await self.verify(account_id)
            if difference.is_unfilled:
                await have_filled(conn, [account_id])
            if difference.missing:
                await store.insert_entries(conn, rows_for(account_id, difference.missing))
            if difference.stale:
                settled = await store.now_id(conn) - first_id_at(SETTLED_MS)
                old = [entry_id for entry_id in difference.stale if entry_id < settled]
                await store.delete_of_account(conn, account_id, old)
        return difference

    async def _compare(self, account_id: int) -> Difference:
        async with connection(self._pool) as conn:
            home, _ = await store.read_home(conn, account_id, _ANY_PAGE, self._dormant_days)
            if home is None or home.is_dormant:
                return Difference(0)
            if home.pushed_from == NEVER_PUSHED:
                return Difference(0, is_unfilled=not await store.has_open_fill(conn, account_id))
        heavy = set(home.pulled_authors)
        friends = set((await self._friends.of([account_id])).get(account_id, [])) - heavy
        expected = await self._pull_all(account_id, sorted(friends), above=home.pushed_from - 1)
        # After the pull: what is not open any more at this moment has been written before the entries are read below.
        open_work = await self._open_work.current(is_fresh=True)
        if open_work.pushed_from(account_id, home) != home.pushed_from:
            return Difference(0)
        async with connection(self._pool) as conn:
            actual = await self._read_all(conn, account_id, home.pushed_from)
        waiting = _is_waiting(open_work, account_id)
        missing = tuple(entry for entry_id, entry in expected.items() if entry_id not in actual and not waiting(entry))
        stale = tuple(
            sorted(entry_id for entry_id, author in actual.items() if entry_id not in expected and author not in heavy)
        )
        return Difference(len(expected), missing, stale)

    async def _pull_all(self, account_id: int, author_ids: list[int], *, above: int) -> dict[int, Entry]:
        found: dict[int, Entry] = {}
        async for entries in self._publications.pull_pages(account_id, author_ids, above=above):
            found |= {entry.entry_id: entry for entry in entries}
        return found

    async def _read_all(self, conn: Connection, account_id: int, pushed_from: int) -> dict[int, int]:
        found: dict[int, int] = {}
        below = MAX_ID
        while entries := await store.list_entries(conn, account_id, pushed_from, below, PAGE):
            found |= {entry.entry_id: entry.author_id for entry in entries}
            below = entries[-1].entry_id
        return found


_ANY_PAGE = Page(below=MAX_ID, above=0, limit=1, upwards=False)


def _is_waiting(open_work: OpenWork, account_id: int) -> Callable[[Entry], bool]:
    backfilling = open_work.backfills.get(account_id, frozenset())

    def is_waiting(entry: Entry) -> bool:
        return entry.entry_id in open_work.entries or entry.author_id in backfilling

    return is_waiting
