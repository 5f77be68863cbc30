"""A pool of connections to PostgreSQL whose borrowers can be cancelled at any moment, and which none of them can wear out.

psycopg's pool takes and returns a connection in the borrower's task, at awaits where a cancel loses it for good, and keeps those who
stopped waiting in its line, where they count until a connection comes back. Deadlines cancel borrowers all the time, so here whatever
moves a connection is a task of its own, which nobody but this pool can cancel.
"""

import asyncio
import select
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

Connection = psycopg.AsyncConnection[TupleRow]
Result = TypeVar("Result")


class Pool(AsyncConnectionPool[Connection]):
    """psycopg's pool, with its arguments and methods, for borrowers that are cancelled."""

    def __init__(self, conninfo: str, **options: Any) -> None:
        super().__init__(conninfo, check=self._refuse_stale, open=False, **options)
        self.errands: set[asyncio.Task[Any]] = set()
        """What goes on whether or not somebody waits for it; `close` waits."""
        self.lent = 0
        """How often a connection was lent: who finds this unchanged after a while knows that nobody gets one."""
        self._sweep: asyncio.Task[None] | None = None

    async def getconn(self, timeout: float | None = None) -> Connection:
        """Lend a connection. Raises PoolTimeout, TooManyRequests or PoolClosed."""
        taking = self._begin(self._take(timeout))
        try:
            conn = await asyncio.shield(taking)
        except asyncio.CancelledError:
            self._begin(self._undo(taking))
            raise
        self.lent += 1
        return conn

    async def putconn(self, conn: Connection) -> None:
        """Take a connection back; one that is of no more use is replaced."""
        await asyncio.shield(self._begin(super().putconn(conn)))

    async def close(self, timeout: float = 5.0) -> None:
        """Close the pool, and wait for what is on its way back to it, so many seconds at most for each."""
        await super().close(timeout)
        if self.errands:
            await asyncio.wait(self.errands, timeout=timeout)

    def _begin(self, errand: Coroutine[Any, Any, Result]) -> "asyncio.Task[Result]":
        task = asyncio.create_task(errand)
        self.errands.add(task)  # the event loop itself would let it be collected
        task.add_done_callback(self.errands.discard)
        return task

    async def _take(self, timeout: float | None) -> Connection:
        try:
            return await super().getconn(timeout)
        except BaseException:
            self._forget_who_left()
            raise

    def _forget_who_left(self) -> None:
        """Make room in the line. psycopg does so only when a connection comes back, and lets nobody in, nor the pool grow, before."""
        self._waiting = deque(client for client in self._waiting if client.error is None)

    async def _undo(self, taking: "asyncio.Task[Connection]") -> None:
        """Nobody wants the connection any more: leave the line, or give back what came at that moment."""
        taking.cancel()  # once: psycopg loses nothing by that, but by a second one while it gives back
        with suppress(Exception, asyncio.CancelledError):
            await super().putconn(await taking)

    async def _refuse_stale(self, conn: Connection) -> None:
        """Raise psycopg.Error for a connection that the server has ended, and have all others looked at: they may have ended with it."""
        if not _has_something_to_say(conn):
            return
        try:
            await self.check_connection(conn)
        except psycopg.Error:
            if self._sweep is None or self._sweep.done():
                self._sweep = self._begin(self.check())
            raise


def _has_something_to_say(conn: Connection) -> bool:
    """Tell whether an idle connection has been sent something: as a rule that the server has ended it.

    Costs a system call, where to ask the server would cost a round trip on every use.
    """
    poll = select.poll()
    poll.register(conn.fileno(), select.POLLIN)
    return bool(poll.poll(0))
