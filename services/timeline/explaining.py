"""Use case: say what of a member's home timeline is pushed, pulled and open."""

from dataclasses import dataclass
from datetime import datetime

from chassis.database import Pool, connection
from services.timeline import store
from services.timeline.clients import Friends
from services.timeline.domain import NEVER_PUSHED
from services.timeline.open_work import OpenWorkList


@dataclass(frozen=True)
class Explanation:
    """The facts that a read of a home timeline goes by."""

    friends: int
    pushed_from: int = 0
    """0 where nothing that was pushed is relied on."""
    active_at: datetime | None = None
    """None for who has never read."""
    is_dormant: bool = False
    pushed_entries: int = 0
    pulled_authors: tuple[int, ...] = ()
    open_entries: tuple[int, ...] = ()
    backfilling_authors: tuple[int, ...] = ()
    is_distrusted: bool = False
    """Friendships were just imported, or the list of open work is too long."""


class Explaining:
    """Explains home timelines."""

    def __init__(self, pool: Pool, friends: Friends, open_work: OpenWorkList, dormant_days: int) -> None:
        self._pool = pool
        self._friends = friends
        self._open_work = open_work
        self._dormant_days = dormant_days

    async def explain(self, account_id: int) -> Explanation:
        """Return what a read of this member's home timeline would go by now."""
        open_work = await self._open_work.current()
        friends = set((await self._friends.of([account_id])).get(account_id, []))
        open_entries = tuple(sorted(entry_id for entry_id, author in open_work.entries.items() if author in friends))
        async with connection(self._pool) as conn:
            facts = await store.describe_home(conn, account_id, self._dormant_days)
        if facts is None:
            return Explanation(len(friends), open_entries=open_entries)
        return Explanation(
            len(friends),
            0 if facts.pushed_from == NEVER_PUSHED else facts.pushed_from,
            facts.active_at,
            facts.is_dormant,
            facts.pushed_entries,
            tuple(sorted(friends & set(facts.pulled_authors))),
            open_entries,
            tuple(sorted(open_work.backfills.get(account_id, ()))),
            open_work.is_cut or account_id in open_work.rebased,
        )
