"""Chores: the periodic work of chassis/topology.py, done by the processes of the services themselves.

There is no scheduler that could be down or run twice: every process of a service looks now and then what is due, and the service's table
`chores` says who begins. Whoever dies over a chore leaves it to the next interval.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog

from chassis import topology
from chassis.database import Connection, Pool, connection
from chassis.errors import Conflict, Unavailable

log = structlog.get_logger(__name__)

MAX_LOOK_SECONDS = 60
"""How long a process waits at most between two looks; what failed is tried again as soon."""
STEP_PAUSE_SECONDS = 0.1
FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.2, 5.0

Step = Callable[[Connection], Awaitable[int]]
"""Does one small step of a chore and returns how much it has done; 0 when there is nothing left.

It has to be right beside another one: a chore that takes longer than its interval is begun again by somebody else.
"""


Work = Callable[[], Awaitable[int]]
"""A step that waits for others than PostgreSQL, and takes connections only where it needs them."""


@asynccontextmanager
async def repeat(name: str, step: Step, pool: Pool, *, interval_seconds: float = 0.0) -> AsyncIterator[None]:
    """Do a chore once per interval until the block ends, each time step by step until nothing is left.

    Of all processes of the service one does it each time. One that fails is logged, noted, and tried again within a minute or two. The
    interval is that of the topology where none is given. Raises KeyError for a chore that is not in the topology.
    """

    async def work() -> int:
        async with connection(pool) as conn:
            return await step(conn)

    async with repeat_work(name, work, pool, interval_seconds=interval_seconds):
        yield


@asynccontextmanager
async def repeat_work(name: str, work: Work, pool: Pool, *, interval_seconds: float = 0.0) -> AsyncIterator[None]:
    """Do the same with work that is lent no connection while it runs."""
    interval_seconds = interval_seconds or topology.CHORES[name].interval_seconds
    task = asyncio.create_task(_repeat(name, work, pool, interval_seconds))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _repeat(name: str, work: Work, pool: Pool, interval_seconds: float) -> None:
    look_seconds = min(interval_seconds, MAX_LOOK_SECONDS)
    while True:
        await asyncio.sleep(look_seconds * random.uniform(0.5, 1.5))  # noqa: S311 - keeps processes apart, no secret
        try:
            async with connection(pool) as conn:
                is_ours = await begin(conn, name, interval_seconds, look_seconds)
            if is_ours:
                await _do(name, work, pool)
        except Exception as error:
            log.warning("chore failed", chore=name, error=str(error))


async def _do(name: str, work: Work, pool: Pool) -> None:
    started, done = time.monotonic(), 0
    try:
        while done_now := await work():
            done += done_now
            await asyncio.sleep(STEP_PAUSE_SECONDS)
    except Exception as error:
        async with connection(pool) as conn:
            await _note_failure(conn, name, f"{type(error).__name__}: {error}")
        raise
    async with connection(pool) as conn:
        await _note_success(conn, name)
    log.log(
        logging.INFO if done else logging.DEBUG,
        "chore done",
        chore=name,
        done=done,
        seconds=round(time.monotonic() - started, 3),
    )


async def begin(conn: Connection, name: str, interval_seconds: float, retry_seconds: float) -> bool:
    """Take a chore that is due, for this process alone; tell whether it is ours to do now."""
    cursor = await conn.execute(
        "INSERT INTO chores AS c (name, begun_at) VALUES (%(name)s, clock_timestamp())"
        " ON CONFLICT (name) DO UPDATE SET begun_at = clock_timestamp() WHERE c.begun_at < clock_timestamp()"
        " - CASE WHEN c.last_error = '' THEN %(interval)s ELSE %(retry)s END * interval '1 second' RETURNING 1",
        {"name": name, "interval": interval_seconds * 0.99, "retry": retry_seconds * 0.99},
    )
    return await cursor.fetchone() is not None


async def _note_success(conn: Connection, name: str) -> None:
    await conn.execute("UPDATE chores SET done_at = clock_timestamp(), last_error = '' WHERE name = %s", (name,))


async def _note_failure(conn: Connection, name: str, error: str) -> None:
    await conn.execute("UPDATE chores SET last_error = %s WHERE name = %s", (error[:1000].replace("\0", ""), name))


async def insist(what: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do what a process cannot serve without, again and again while the database is busy or away; the log says so once."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            return await work()
        except (Unavailable, Conflict) as error:
            if pause == FIRST_PAUSE_SECONDS:
                log.warning("waiting for the database", until=what, error=error.message)
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - keeps processes apart, no secret
        pause = min(pause * 2, MAX_PAUSE_SECONDS)
