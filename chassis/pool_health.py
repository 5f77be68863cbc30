"""Whether a pool lends connections that work, asked again and again, so that health checks tell the truth of a service.

PostgreSQL that is away comes back, and so does room in a pool that a crowd uses; then the service serves again by itself. What heals by no
waiting is a pool that lends nobody anything although the server answers whoever connects anew: its process has to end, so that a
supervisor starts another.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from enum import Enum, auto

import psycopg
import structlog

from chassis.database import KEEPALIVES, Pool, make_pool

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 1.0
LOOK_SECONDS = 5.0
"""That a look may take: longer than anybody stands in a pool's line, so that what takes longer is PostgreSQL's answer."""
STUCK_SECONDS = 10.0
STUCK_LOOKS = 3
"""At least: a process that was itself stopped for a while has had no chance to lend anything."""

Tell = Callable[[bool], Awaitable[None]]


class Outcome(Enum):
    """What a look at a pool has found."""

    WORKS = auto()
    BUSY = auto()
    """There was no connection for this look, but for others meanwhile."""
    LENDS_NOTHING = auto()
    """Nobody was lent a connection while this look stood in the line."""
    FAILS = auto()
    """A connection was lent, and PostgreSQL does not answer on it."""


async def look(pool: Pool) -> Outcome:
    """Borrow a connection and ask PostgreSQL something."""
    asking = asyncio.create_task(_ask(pool))
    try:
        await asyncio.wait({asking}, timeout=LOOK_SECONDS)
    finally:
        # Where it still goes on. That is not waited for: psycopg gives a query that is cancelled ten seconds to end.
        asking.cancel()
    return asking.result() if asking.done() else Outcome.FAILS


async def _ask(pool: Pool) -> Outcome:
    lent = pool.lent
    try:
        conn = await pool.getconn()
    except psycopg.Error:
        return Outcome.BUSY if pool.lent > lent else Outcome.LENDS_NOTHING
    try:
        await conn.execute("SELECT 1")
    except psycopg.Error:
        return Outcome.FAILS
    finally:
        await pool.putconn(conn)
    return Outcome.WORKS


async def _answers_anew(pool: Pool) -> bool:
    """Tell whether PostgreSQL answers on a connection that is none of the pool's."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            conn = await psycopg.AsyncConnection.connect(str(pool.conninfo), autocommit=True, **KEEPALIVES)
            async with conn:
                await conn.execute("SELECT 1")
    except (psycopg.Error, TimeoutError):
        return False
    return True


class PoolHealth:
    """Looks at a pool now and then, and tells when what it finds has changed."""

    def __init__(self, pool: Pool, tell: Tell, on_stuck: Callable[[], None]) -> None:
        """`tell` is told whether the pool works; `on_stuck` is called, once, when nothing but a new process can help."""
        self._pool = pool
        self._tell = tell
        self._on_stuck = on_stuck
        self._stuck_since = 0.0
        self._stuck_looks = 0

    async def look(self) -> bool:
        """Look once and tell; return whether the pool is stuck."""
        outcome = await look(self._pool)
        if outcome is not Outcome.BUSY:  # a crowd changes nothing: who is served is served
            await self._tell(outcome is Outcome.WORKS)
        if outcome is not Outcome.LENDS_NOTHING or not await _answers_anew(self._pool):
            self._stuck_looks = 0
            return False
        now = time.monotonic()
        self._stuck_looks += 1
        if self._stuck_looks == 1:
            self._stuck_since = now
        return self._stuck_looks >= STUCK_LOOKS and now - self._stuck_since >= STUCK_SECONDS

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look until the block ends."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            try:
                is_stuck = await self.look()
            except Exception as error:  # whatever it is, the next look may find something
                log.warning("a look at the pool failed", pool=self._pool.name, error=repr(error))
                continue
            if is_stuck:
                log.error(
                    "The pool has lent no connection for some time although PostgreSQL answers: this process ends, to be started anew.",
                    pool=self._pool.name,
                    seconds=round(time.monotonic() - self._stuck_since),
                    statistics=self._pool.get_stats(),
                )
                self._on_stuck()
                return


@asynccontextmanager
async def open_watched_pool(url: str, *, size: int, application: str) -> AsyncIterator[Pool]:
    """Lend a pool to a process whose health nobody asks for: where only a new process can help, this one is told to end."""

    async def tell_nobody(_: bool) -> None: ...

    def end() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    async with (
        make_pool(url, size=size, application=application) as pool,
        PoolHealth(pool, tell_nobody, end).watching(),
    ):
        yield pool
