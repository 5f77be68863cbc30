"""The services that timelines ask, with an answer from committed rows after a moment, or none at all."""

import asyncio
from collections.abc import Mapping, Sequence

import numpy as np

from chassis.errors import Unavailable
from chassis.ledger import payloads_of
from chassis.paging import Page, take_page
from services.timeline.clients import Friends, Ledgers, OpenRows
from services.timeline.domain import Card, Entry
from services.timeline.publications import Publications
from services.timeline.rows import Ids
from tests.simulation.tables import Tables


class Wire:
    """What calls travel over; cut for the next so many."""

    def __init__(self) -> None:
        self.lost = 0

    async def travel(self) -> None:
        """Take a moment. Raises Unavailable where nobody answers."""
        await asyncio.sleep(0)
        if self.lost:
            self.lost -= 1
            raise Unavailable("planted")


class OwnedFriends(Friends):
    """Who is friends with whom."""

    def __init__(self, tables: Tables, wire: Wire) -> None:
        self._tables, self._wire = tables, wire

    async def of_reader(self, account_id: int) -> list[int]:
        return (await self.of([account_id])).get(account_id, [])

    async def arrays_of(self, account_ids: Sequence[int]) -> dict[int, Ids]:
        await self._wire.travel()
        friends = {a: sorted(self._tables.friends.get(a, ())) for a in set(account_ids)}
        found = {a: np.array(ids, dtype=np.int64) for a, ids in friends.items() if ids}
        await asyncio.sleep(0)
        return found


class OwnedPublications(Publications):
    """Posts, all of one kind."""

    def __init__(self, tables: Tables, wire: Wire) -> None:
        self._tables, self._wire = tables, wire

    async def on_home(self, viewer_id: int, entry_ids: Sequence[int]) -> dict[int, Card | None]:
        await self._wire.travel()
        shown: Mapping[int, Card | None] = dict.fromkeys(self._tables.true_home(viewer_id) & set(entry_ids))
        await asyncio.sleep(0)
        return dict(shown)

    async def own(self, account_id: int, page: Page) -> list[Entry]:
        return await self.pull(account_id, [account_id], page)

    async def pull(self, viewer_id: int, author_ids: Sequence[int], page: Page) -> list[Entry]:
        if not author_ids:
            return []
        await self._wire.travel()
        statuses = self._tables.statuses
        ids = [status_id for status_id, author in statuses.items() if author in author_ids]
        found = [Entry(status_id, statuses[status_id]) for status_id in take_page(ids, page)]
        await asyncio.sleep(0)
        return found

    async def published(self, entry_ids: Sequence[int]) -> list[Entry]:
        await self._wire.travel()
        statuses = self._tables.statuses
        found = [Entry(entry_id, statuses[entry_id]) for entry_id in entry_ids if entry_id in statuses]
        await asyncio.sleep(0)
        return found


class OwnedLedgers(Ledgers):
    """What is open, of each ledger at another moment."""

    def __init__(self, tables: Tables, wire: Wire) -> None:
        self._tables, self._wire = tables, wire

    async def open_rows(self, tasks: Sequence[str]) -> list[OpenRows]:
        return [await self._open(producer, tasks) for producer in ("status", "social_graph")]

    async def _open(self, producer: str, tasks: Sequence[str]) -> OpenRows:
        await self._wire.travel()
        rows = [row for row in self._tables.ledgers[producer].values() if row.task in tasks]
        return OpenRows(
            [(row.task, payload) for row in rows for payload in payloads_of(row.payload)],
            has_more=False,
        )
