"""PostgreSQL: pools with bounds, and drivers' errors in our words."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import errors as pg_errors
from psycopg_pool import PoolTimeout, TooManyRequests

from chassis.errors import Conflict, Unavailable
from chassis.ids import CLOCK_IS_WRONG
from chassis.pool import Connection, Pool
from chassis.watched_connections import connection_class

__all__ = ["KEEPALIVES", "Connection", "Pool", "array_of", "connection", "make_pool", "transaction"]

KEEPALIVES: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "connect_timeout": 5,
    "tcp_user_timeout": 15_000,  # ms until what was sent and not acknowledged counts as lost
}
RECONNECT_SECONDS = 0.5
"""After which a pool whose server is away leaves it to the next borrower to try again. psycopg's own pauses double up to minutes, which
would outlast the server's return."""

ENDED_BY_SERVER = (pg_errors.IdleInTransactionSessionTimeout, pg_errors.TransactionTimeout)
"""Of the InternalErrors, beside the one for a server that only reads, those that tell of a state. The others tell of a defect of ours or of
PostgreSQL's: a statement in a transaction that has failed, corrupted data; to try again would hide them."""
OUTLIVED = (pg_errors.InvalidSqlStatementName, pg_errors.DuplicatePreparedStatement)
"""Somebody between us and the server has taken its prepared statements from a session."""


class ClockIsWrong(Exception):
    """The database's clock is too far behind the last id for another one to be made."""


class Outlived(Exception):
    """What was prepared in a session does not fit any more: a migration has changed what a statement returns, or it is gone."""


def make_pool(url: str, *, size: int, application: str) -> Pool:
    """Return a closed pool of autocommit connections; open it in the event loop that will use it.

    At most `size` connections; who waits longer than 2 s, or finds 256 others waiting, gets Unavailable. Connections that a restart of
    the server has ended are replaced before anybody is lent one.
    """
    return Pool(
        url,
        connection_class=connection_class(application),
        kwargs={"autocommit": True, "application_name": application, **KEEPALIVES},
        min_size=min(2, size),
        max_size=size,
        timeout=2,
        max_waiting=256,
        max_lifetime=1800,
        reconnect_timeout=RECONNECT_SECONDS,
        name=application,
    )


def array_of(numbers: Iterable[int]) -> str:
    """Return numbers as the text of an array, to be cast to bigint[]: a quarter of what it costs psycopg to send a long list."""
    return "{" + ",".join(map(str, numbers)) + "}"


@asynccontextmanager
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    """Lend an autocommit connection: each statement is a transaction of its own.

    Raises Unavailable where PostgreSQL does not answer in time or cannot do it in its present state, Conflict where a concurrent change
    got in the way.
    """
    try:
        async with pool.connection() as conn, _without_outlived(conn):
            yield conn
    except (PoolTimeout, TooManyRequests, pg_errors.QueryCanceled, pg_errors.LockNotAvailable) as error:
        raise Unavailable("The database is busy; please try again in a moment.") from error
    except (pg_errors.SerializationFailure, pg_errors.DeadlockDetected) as error:
        raise Conflict("A concurrent change got in the way; please try again.") from error
    except ClockIsWrong as error:
        raise Unavailable("The clock of the database has gone back; until it is right nothing new is taken.") from error
    except pg_errors.ReadOnlySqlTransaction as error:
        raise Unavailable("The database takes no changes at the moment; please try again soon.") from error
    except (pg_errors.OperationalError, psycopg.InterfaceError, Outlived, *ENDED_BY_SERVER) as error:
        raise Unavailable("The database does not answer; please try again in a moment.") from error


@asynccontextmanager
async def _without_outlived(conn: Connection) -> AsyncIterator[None]:
    """Close a connection that would fail whoever borrows it next in the same way. Raises Outlived for what only such a one does.

    Raises ClockIsWrong where no id could be made.
    """
    try:
        yield
    except pg_errors.ReadOnlySqlTransaction:
        await conn.close()  # it leads to what is no primary any more
        raise
    except OUTLIVED as error:
        await conn.close()
        raise Outlived from error
    except pg_errors.FeatureNotSupported as error:
        if error.diag.source_function != "RevalidateCachedQuery":
            raise
        await conn.close()
        raise Outlived from error
    except psycopg.DatabaseError as error:
        if error.sqlstate == CLOCK_IS_WRONG:
            raise ClockIsWrong from error
        raise


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """Lend a connection inside one transaction, committed when the block ends without an exception. Raises as `connection`."""
    async with connection(pool) as conn, conn.transaction():
        yield conn
