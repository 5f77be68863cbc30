"""Chores of a service's process: small steps, again and again, for as long as it serves."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog

from chassis.database import Connection, Pool, connection

log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 60
STEP_PAUSE_SECONDS = 0.1

Chore = Callable[[Connection], Awaitable[int]]
"""Does one small step and returns how much it has done; 0 when there is nothing left."""


@asynccontextmanager
async def repeat(chore: Chore, pool: Pool, *, interval_seconds: float = INTERVAL_SECONDS) -> AsyncIterator[None]:
    """Do a chore about once per interval until the block ends, each time step by step until nothing is left.

    Every process of a service does the same chores: a step has to be right beside another one. One that fails is logged and
    tried again at the next interval.
    """
    task = asyncio.create_task(_repeat(chore, pool, interval_seconds))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _repeat(chore: Chore, pool: Pool, interval_seconds: float) -> None:
    while True:
        await asyncio.sleep(interval_seconds * random.uniform(0.5, 1.5))  # noqa: S311 - keeps processes apart, no secret
        try:
            while True:
                async with connection(pool) as conn:
                    if not await chore(conn):
                        break
                await asyncio.sleep(STEP_PAUSE_SECONDS)
        except Exception as error:
            log.warning("chore failed", chore=chore.__qualname__, error=str(error))
