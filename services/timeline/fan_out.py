"""Use case: push what was just posted to the home timelines of the author's active friends."""

import asyncio
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from psycopg.errors import CheckViolation, UniqueViolation

from chassis.coalescing import Coalescer
from chassis.database import Connection, Pool, transaction
from services.timeline import store
from services.timeline.announcing import SILENT, Announcer
from services.timeline.clients import Friends
from services.timeline.domain import Entry
from services.timeline.publications import Publications
from services.timeline.rows import Ids, all_members, make_rows

MAX_ROWS = 60_000
"""At most about so many rows in one transaction, so that it stays far from the statement timeout."""
MAX_AT_ONCE = 3
"""Micro-batches that are delivered at the same time: while one copies, others ask for their friends."""
SMALL = 64
"""Micro-batches of fewer posts are delivered together where several wait."""
MAX_TOGETHER = 15
"""So many at most, since their owner is asked about a thousand posts at a time (services/status/servicer.py)."""


class FanOut:
    """Delivers micro-batches of posts."""

    def __init__(
        self,
        pool: Pool,
        publications: Publications,
        friends: Friends,
        *,
        dormant_days: int,
        max_pushed_friends: int,
        announcer: Announcer = SILENT,
    ) -> None:
        self._announcer = announcer
        self._copying = asyncio.Lock()  # two copies at once wait for each other's pages and log
        self._few = asyncio.Semaphore(MAX_AT_ONCE)
        self._together = Coalescer[Sequence[int], None](
            self._deliver_together, max_batch=MAX_TOGETHER, max_running=MAX_AT_ONCE
        )
        self._pool = pool
        self._publications = publications
        self._friends = friends
        self._dormant_days = dormant_days
        self._max_pushed_friends = max_pushed_friends

    async def deliver_soon(self, entry_ids: Sequence[int]) -> None:
        """Deliver a message's posts, where they are few together with those of other messages that wait.

        Where posts come one by one, each is a message of its own, and what waits for a worker that was away are thousands of them: one
        after the other, each with its own questions and its own commit, they would take as long as they took to come. A message that
        cannot be delivered fails alone.
        """
        if len(entry_ids) < SMALL:
            await self._together.get(entry_ids)
        else:
            async with self._few:
                await self.deliver(entry_ids)

    async def _deliver_together(self, messages: Sequence[Sequence[int]]) -> Sequence[None]:
        async with self._few:
            await self.deliver(list(dict.fromkeys(entry_id for entry_ids in messages for entry_id in entry_ids)))
        return [None] * len(messages)

    async def deliver(self, entry_ids: Sequence[int]) -> int:
        """Push what still exists of these posts and return how many entries were written.

        Friends are read after the posts were committed, from committed state: with backfill doing it the other way round, a post and a
        friendship that are made at the same time cannot miss each other.
        """
        published = await self._publications.published(entry_ids)
        friends = await self._friends.arrays_of([entry.author_id for entry in published]) if published else {}
        heavy = {author for author, audience in friends.items() if len(audience) > self._max_pushed_friends}
        if heavy:
            async with transaction(self._pool) as conn:
                await store.mark_pulled(conn, sorted(heavy))
        pushed = [entry for entry in published if entry.author_id in friends and entry.author_id not in heavy]
        written = 0
        for part in _parts(pushed, friends):
            written += await self._deliver_part(part, friends)
        # After the commits. All friends, pulled authors' too: who has a stream open is for the gateways to know.
        self._announcer.announce_posts(published, friends)
        return written

    async def _deliver_part(self, entries: Sequence[Entry], friends: dict[int, Ids]) -> int:
        """Write the entries of some posts in one transaction: with COPY, and where that meets what is there already, one by one."""
        try:
            async with transaction(self._pool) as conn:
                rows = await self._claim_rows(conn, entries, friends)
                if len(rows):
                    async with self._copying:
                        await store.copy_entries(conn, rows)
                return len(rows)
        except UniqueViolation:  # a backfill got there first
            pass
        except CheckViolation:
            async with transaction(self._pool) as conn:
                await store.ensure_partitions(conn)
        async with transaction(self._pool) as conn:
            rows = await self._claim_rows(conn, entries, friends)
            return await store.insert_entries(conn, rows) if len(rows) else 0

    async def _claim_rows(self, conn: Connection, entries: Sequence[Entry], friends: dict[int, Ids]) -> Ids:
        """Return the sorted rows of those posts that are not fanned out yet, for those friends who are active."""
        claimed = await store.claim_deliveries(conn, [entry.entry_id for entry in entries])
        delivered = [entry for entry in entries if entry.entry_id in claimed]
        members = all_members(friends, (entry.author_id for entry in delivered))
        active = await store.list_active(conn, members, self._dormant_days) if len(members) else members
        return make_rows(delivered, friends, active)


def _parts(entries: Sequence[Entry], friends: dict[int, Ids]) -> list[list[Entry]]:
    """Cut posts into parts of at most about MAX_ROWS rows, in the order of their ids."""
    ordered = sorted(entries, key=lambda entry: entry.entry_id)
    ends = np.cumsum([len(friends[entry.author_id]) for entry in ordered])
    numbered = zip((int(end) // MAX_ROWS for end in ends), ordered, strict=True)
    return [[entry for _, entry in part] for _, part in groupby(numbered, key=lambda pair: pair[0])]
