"""What is not delivered yet: the list that every read takes before anything else."""

import asyncio
import time
from collections.abc import Callable

from chassis.ids import created_at_ms
from services.timeline.clients import Ledgers
from services.timeline.domain import OpenWork

FAN_OUT = "timeline.fan_out"
BACKFILL = "timeline.backfill"
REBASE = "timeline.rebase"
CUT_SECONDS = 1.0
"""How old a list may be that was too long to be taken whole: nobody relies on it, and all there is to see is whether it is shorter."""


class OpenWorkList:
    """The open work of all ledgers, at most so many milliseconds old; concurrent readers share one look.

    A reader must take it *before* it reads pushed entries. Then whatever a worker has delivered and struck from the ledger in between is
    among the entries, and whatever was not yet delivered is on the list.
    """

    def __init__(self, ledgers: Ledgers, max_age_ms: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledgers = ledgers
        self._max_age_seconds = max_age_ms / 1000
        self._clock = clock
        self._taken_at = float("-inf")
        self._work = OpenWork()
        self._lock = asyncio.Lock()

    def lag_ms(self) -> int:
        """Return the age in milliseconds of the oldest open fan-out on the list as it was last taken, 0 with none."""
        oldest = self._work.oldest_at_ms
        return max(0, int(time.time() * 1000) - oldest) if oldest else 0

    async def current(self, *, is_fresh: bool = False) -> OpenWork:
        """Return the list; a fresh one has been looked for after this call.

        Raises Unavailable where a ledger does not answer: then nothing can be shown as complete.
        """
        asked_at = self._clock()
        if self._taken_at >= self._oldest(asked_at, is_fresh=is_fresh):
            return self._work
        async with self._lock:
            if self._taken_at < self._oldest(
                asked_at, is_fresh=is_fresh
            ):  # else somebody has looked while this reader waited
                started_at = self._clock()
                self._work = await self._look()
                self._taken_at = started_at
            return self._work

    def _oldest(self, asked_at: float, *, is_fresh: bool) -> float:
        """Return when a list that serves this reader was taken at the earliest."""
        if is_fresh:
            return asked_at
        return asked_at - (CUT_SECONDS if self._work.is_cut else self._max_age_seconds)

    async def _look(self) -> OpenWork:
        entries: dict[int, int] = {}
        backfills: dict[int, set[int]] = {}
        rebased: set[int] = set()
        parts = await self._ledgers.open_rows([FAN_OUT, BACKFILL, REBASE])
        for task, payload in (row for part in parts for row in part.rows):
            if task == FAN_OUT:
                entries[payload["entry_id"]] = payload["author_id"]
            elif task == BACKFILL:
                backfills.setdefault(payload["account_id"], set()).add(payload["friend_id"])
                backfills.setdefault(payload["friend_id"], set()).add(payload["account_id"])
            else:
                rebased.add(payload["account_id"])
        return OpenWork(
            entries,
            {account_id: frozenset(friends) for account_id, friends in backfills.items()},
            frozenset(rebased),
            min((created_at_ms(entry_id) for entry_id in entries), default=0),
            any(part.has_more for part in parts),
        )
