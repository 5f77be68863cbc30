"""Use case: read a home timeline, exactly.

A page is the union of what has been pushed, what the ledgers still hold, and what is pulled (the member's own, friends whose backfill
is open, and everything below `pushed_from`), minus what may not stand there now, refilled until it is full, the end is reached, or so much
was in vain that the reader had better ask again.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

from chassis.coalescing import Coalescer
from chassis.database import Pool, connection
from chassis.paging import Page, take_page
from services.timeline import store
from services.timeline.activation import Activation
from services.timeline.clients import Friends
from services.timeline.domain import Entry, Home, HomePage, OpenWork
from services.timeline.open_work import OpenWorkList
from services.timeline.publications import Publications

MAX_SCANS = 30
MAX_SCAN_SIZE = 1000
SCAN_SECONDS = 1.0
"""When a page ends that finds little among much that may not be shown; the reader goes on from there."""


class HomeReading:
    """Reads home timelines."""

    def __init__(
        self,
        pool: Pool,
        publications: Publications,
        friends: Friends,
        *,
        open_work: OpenWorkList,
        activation: Activation,
        dormant_days: int,
    ) -> None:
        self._pool = pool
        self._activation = activation
        self._publications = publications
        self._friends = friends
        self._open_work = open_work
        self._dormant_days = dormant_days
        self._pages = {upwards: Coalescer(self._read_pages) for upwards in (False, True)}

    async def page(self, account_id: int, page: Page) -> HomePage:
        """Return a page, newest first: short of its limit only where the timeline ends, or where it says from where to read on.

        Raises Unavailable where anybody who has to be asked does not answer.
        """
        open_work = await self._open_work.current()
        shown: dict[int, Entry] = {}
        scan, is_cut = page, False
        ends_at = time.monotonic() + SCAN_SECONDS
        for number in range(1, MAX_SCANS + 1):
            candidates = await self._candidates(account_id, scan, open_work)
            scanned = take_page(list(candidates), scan)
            for entry_id, card in (await self._publications.on_home(account_id, scanned)).items():
                shown[entry_id] = Entry(entry_id, candidates[entry_id].author_id, card)
            if len(shown) >= page.limit or len(scanned) < scan.limit:
                break
            scan = _beyond(scan, scanned)
            is_cut = number == MAX_SCANS or time.monotonic() > ends_at
            if is_cut:
                break
        entries = [shown[entry_id] for entry_id in take_page(list(shown), page)]
        return HomePage(entries, *_ends(page, entries, scan if is_cut else None))

    async def filter(self, account_id: int, entry_ids: Sequence[int]) -> set[int]:
        """Return which of these entries may stand on a member's home timeline now. Raises as `page`."""
        return set(await self._publications.on_home(account_id, entry_ids))

    async def _candidates(self, account_id: int, page: Page, open_work: OpenWork) -> dict[int, Entry]:
        """Return at least everything that could be on this page, by id; what may not be shown is still among it."""
        (home, pushed), pulled = await asyncio.gather(
            self._read_pushed(account_id, page), self._pull_always(account_id, page, open_work)
        )
        pushed_from = open_work.pushed_from(account_id, home)
        found = [entry for entry in pushed if entry.entry_id >= pushed_from] + pulled
        heavy = home.pulled_authors if home is not None else ()
        needs_pull = page.above < pushed_from and (page.upwards or not self._is_full(page, found, pushed_from))
        if open_work.entries or heavy or needs_pull:
            friends = await self._friends.of_reader(account_id)
            found += open_work.of_authors(friends, page)
            found += await self._publications.pull(account_id, sorted(set(friends) & set(heavy)), page)
            if needs_pull:
                below = min(page.below, pushed_from)
                found += await self._publications.pull(account_id, friends, replace(page, below=below))
        return {entry.entry_id: entry for entry in found}

    @staticmethod
    def _is_full(page: Page, found: Sequence[Entry], pushed_from: int) -> bool:
        """Tell whether a page downwards ends where everything is pushed; what was found twice, pushed and pulled, is there once."""
        return len({entry.entry_id for entry in found if entry.entry_id >= pushed_from}) >= page.limit

    async def _pull_always(self, account_id: int, page: Page, open_work: OpenWork) -> list[Entry]:
        own = await self._publications.own(account_id, page)
        backfilling = sorted(open_work.backfills.get(account_id, ()))
        return own + await self._publications.pull(account_id, backfilling, page)

    async def _read_pushed(self, account_id: int, page: Page) -> tuple[Home | None, list[Entry]]:
        home, pushed = await self._pages[page.upwards].get((account_id, page))
        if home is None or home.is_dormant:
            await self._activation.activate(account_id)
        elif home.is_stale:
            await self._activation.note_read(account_id)
        return home, pushed

    async def _read_pages(self, questions: Sequence[tuple[int, Page]]) -> list[tuple[Home | None, list[Entry]]]:
        async with connection(self._pool) as conn:
            return await store.read_homes(conn, questions, self._dormant_days)


def _ends(page: Page, entries: Sequence[Entry], rest: Page | None) -> tuple[int, int]:
    """Return below and above which ids to read on, 0 for neither; `rest` is what was not scanned any more."""
    if page.upwards:
        newest = entries[0].entry_id if entries else 0
        return (entries[-1].entry_id if entries else 0), (rest.above if rest is not None else newest)
    older = entries[-1].entry_id if len(entries) >= page.limit else 0
    return (rest.below if rest is not None else older), (entries[0].entry_id if entries else 0)


def _beyond(scan: Page, scanned: Sequence[int]) -> Page:
    """Return where to look on, in larger steps, after a page of which too little may be shown."""
    limit = min(scan.limit * 2, MAX_SCAN_SIZE)
    if scan.upwards:
        return replace(scan, above=scanned[0], limit=limit)
    return replace(scan, below=scanned[-1], limit=limit)
