"""Connections to PostgreSQL that tell failpoints of each exchange: so a crash between any two statements or commits can be tried."""

from collections.abc import Generator
from typing import Any, cast

import psycopg
from psycopg.rows import TupleRow

from chassis.failpoints import Failpoint, hit_async, is_armed


def connection_class(application: str) -> type[psycopg.AsyncConnection[TupleRow]]:
    """Return the class of a pool's connections: psycopg's own, and while there is a plan one that tells it of each exchange."""
    if not is_armed():
        return cast(type[psycopg.AsyncConnection[TupleRow]], psycopg.AsyncConnection)

    class Watched(psycopg.AsyncConnection[TupleRow]):
        """Ends where the plan raises, as the connection of a process that is gone."""

        async def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
            sent: list[bool] = []
            await self._tell(Failpoint.DATABASE_BEFORE)
            result = await super().wait(_noting(gen, sent), *args, **kwargs)
            if sent:
                await self._tell(Failpoint.DATABASE_AFTER)
            return result

        async def _tell(self, point: Failpoint) -> None:
            try:
                await hit_async(point, application)
            except BaseException:
                self.pgconn.finish()
                raise

    return Watched


def _noting(gen: Any, sent: list[bool]) -> Generator[Any, Any, Any]:
    """Run a generator of psycopg's and note whether it waits for the server: a commit without a transaction does not."""
    ready = None
    while True:
        try:
            waited_for = gen.send(ready)
        except StopIteration as stop:
            return stop.value
        sent.append(True)
        ready = yield waited_for
