"""The operator's view of suggestions: gauges for Prometheus, which every process of the service keeps up to date from PostgreSQL."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from prometheus_client import Gauge

from chassis.database import Pool, connection
from services.social_graph import generation_store

log = structlog.get_logger(__name__)

LOOK_SECONDS = 15.0

generation_age = Gauge(
    "kodama_suggestions_generation_age_seconds", "Since the generation that is read read the friendships"
)
coverage = Gauge(
    "kodama_suggestions_coverage_ratio",
    "Members with at least ten suggestions, of those with friends, in the generation that is read",
)
drift = Gauge("kodama_suggestions_drift_ratio", "Of the ten best of a sample, how many were others when computed anew")
refreshed = Gauge(
    "kodama_suggestions_refreshed_members",
    "Computed for themselves since the generation that is read read the friendships",
)
blocks_open = Gauge("kodama_suggestions_blocks_open", "Blocks of the generation at work that are not computed yet")
last_failed = Gauge("kodama_suggestions_last_failed", "1 where the generation that was requested last has failed")


@asynccontextmanager
async def watching(pool: Pool) -> AsyncIterator[None]:
    """Keep the gauges up to date until the block ends."""
    task = asyncio.create_task(_watch(pool))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _watch(pool: Pool) -> None:
    while True:
        try:
            await look(pool)
        except Exception as error:
            log.warning("the gauges of suggestions are out of date", error=str(error))
        await asyncio.sleep(LOOK_SECONDS)


async def look(pool: Pool) -> None:
    """Set the gauges to what is the case now. Raises Unavailable."""
    async with connection(pool) as conn:
        current = await generation_store.find_current(conn)
        latest = await generation_store.find_latest(conn)
        refreshed.set(await generation_store.count_refreshed(conn))
    blocks_open.set(latest.blocks - latest.blocks_done if latest and latest.is_at_work else 0)
    last_failed.set(latest is not None and latest.state == "failed")
    if current is not None and current.snapshot_at is not None:
        generation_age.set(time.time() - current.snapshot_at.timestamp())
        coverage.set(current.covered_members / max(current.members, 1))
        drift.set(current.drift or 0.0)
