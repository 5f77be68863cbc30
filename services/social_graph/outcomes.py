"""Use case: count what becomes of suggestions: shown, asked for friendship, accepted; by source and place in the list.

Lists are shown far more often than anybody asks for friendship, so what was shown is gathered and written every few seconds. A process
that is killed loses the counts of these.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import structlog
from prometheus_client import Counter

from chassis.database import Connection, Pool, transaction
from services.social_graph import outcome_store
from services.social_graph.domain import Source, Suggestion
from services.social_graph.outcome_store import Shown

log = structlog.get_logger(__name__)

FLUSH_SECONDS = 2.0
MAX_VIEWERS = 5000
"""Whose lists are gathered at a time; of more, nothing is counted."""
LAST_RANK_OF_ITS_OWN = 10

_LABELS = ("source", "rank")
shown_total = Counter(
    "kodama_suggestions_shown_total", "Suggestions shown to a member who had not seen them lately", _LABELS
)
sent_total = Counter(
    "kodama_suggestions_sent_total", "Friend requests to whom the member had been shown lately", _LABELS
)
accepted_total = Counter("kodama_suggestions_accepted_total", "Of these requests, those that were accepted", _LABELS)


class Outcomes:
    """Gathers what members are shown, and counts what they do about it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._shown: dict[int, list[Shown]] = {}

    def note_shown(self, viewer_id: int, suggestions: Sequence[Suggestion]) -> None:
        """Remember a list that a member is shown."""
        if viewer_id in self._shown or len(self._shown) < MAX_VIEWERS:
            self._shown[viewer_id] = [
                Shown(viewer_id, one.account_id, int(one.source), rank) for rank, one in enumerate(suggestions, 1)
            ]

    async def flush(self) -> None:
        """Write what has been gathered."""
        shown = [one for of_viewer in self._shown.values() for one in of_viewer]
        self._shown = {}
        if not shown:
            return
        async with transaction(self._pool) as conn:
            counted = await outcome_store.save_shown(conn, shown)
        for one in counted:
            shown_total.labels(*labels(one.source, one.rank)).inc(one.shown)

    @asynccontextmanager
    async def flushing(self) -> AsyncIterator[None]:
        """Write every few seconds until the block ends, and then what is left."""
        task = asyncio.create_task(self._flush_again_and_again())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self._try_to_flush()

    async def _flush_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self._try_to_flush()

    async def _try_to_flush(self) -> None:
        try:
            await self.flush()
        except Exception as error:
            log.warning("what was shown has not been counted", error=str(error))


async def count_sent(conn: Connection, requester_id: int, target_id: int) -> None:
    """Count a request that has been inserted in this transaction, where it came from a suggestion."""
    place = await outcome_store.count_sent(conn, requester_id, target_id)
    if place:
        sent_total.labels(*labels(*place)).inc()


async def count_accepted(conn: Connection, requester_id: int, target_id: int) -> None:
    """Count that a request is being accepted in this transaction, where it came from a suggestion."""
    place = await outcome_store.count_accepted(conn, requester_id, target_id)
    if place:
        accepted_total.labels(*labels(*place)).inc()


def labels(source: int, rank: int) -> tuple[str, str]:
    """Return how a source and a place in the list are told to Prometheus: the first ten places each for itself."""
    places = str(rank) if rank <= LAST_RANK_OF_ITS_OWN else "11-20" if rank <= 20 else "21-50"
    return Source(source).name.lower(), places
