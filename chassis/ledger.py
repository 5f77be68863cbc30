"""The ledger of work: a transactional outbox with receipts, one per producing schema.

A change inserts one row per task that it causes, in its own statement or transaction (`append`, or as part of a larger statement
with the parameters of `topology.tasks_of`). Changes that are made together may share a row, whose payload is then an array with an
object for each. The relay publishes due rows; when a task has committed its effect, its rows are deleted. What is undelivered, how
late it is and what failed are queries on this table.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from chassis import topology
from chassis.database import Connection, Pool, connection
from chassis.metrics import Delivery

CHANNEL = "kodama_ledger_"
"""Before the name of the schema: a ledger's rows wake its own relay and no other."""
MAX_PAUSE_SECONDS = 60
TRANSIENT_PAUSE_SECONDS = 5
IDLE_SECONDS = 600
"""So long a time between two failures of a row counts at most as time of failing; in the rest of it nobody has tried it."""
BELL_INTERVAL_SECONDS = 0.01
MAX_SHARING = 100
"""So many changes share a row at most; the table's definition says the same."""

Payload = dict[str, int]
Payloads = Payload | list[Payload]
"""What is in a row: an object, or an array of them where it stands for several changes."""


class WorkState(StrEnum):
    """What has become of a row. The view `ledger_work` has the same words; all but the dead are open."""

    WAITING = "waiting"
    """For the relay, or for a full queue."""
    PUBLISHED = "published"
    """The broker has it, or a worker; nothing has failed."""
    FAILING = "failing"
    """It has failed, and is tried again."""
    PARKED = "parked"
    """A relay does not know its task; another one will take it up."""
    DEAD = "dead"
    """Given up; kept until somebody replays or discards it."""


@dataclass(frozen=True)
class WorkRow:
    """One row of a ledger, without its lease."""

    id: int
    task: str
    payload: Payloads
    created_at: datetime
    publications: int
    failures: int
    last_error: str
    state: WorkState


@dataclass(frozen=True)
class TaskLag:
    """How much of one task is open, how much of that is in which state, how much dead, and the age of the oldest open row in milliseconds.

    A row that several changes share counts for each of them.
    """

    task: str
    open_rows: int
    published_rows: int
    failing_rows: int
    parked_rows: int
    dead_rows: int
    oldest_age_ms: int


def payloads_of(payload: Payloads) -> list[Payload]:
    """Return what is in a row as a list, however many changes it stands for."""
    return payload if isinstance(payload, list) else [payload]


async def append(
    conn: Connection,
    event: str,
    payloads: Sequence[Mapping[str, int]],
    *,
    delay_seconds: float = 0,
    merges: bool = False,
) -> None:
    """Insert the rows of an event in the caller's transaction, one per task and payload, due after a delay.

    Where it merges, a row of the same task and payload that still waits for its first publication stands for this one too. It is locked
    until the transaction ends, so that no relay takes it before there is what it then stands for; one that a relay has locked already is
    left to it. The schema needs an index on what waits. Raises KeyError for unknown events.
    """
    if merges:
        await _append_merging(conn, event, payloads, delay_seconds)
        return
    await conn.execute(
        "INSERT INTO ledger (task, queue, payload, due_at)"
        " SELECT t.task, t.queue, p.payload, clock_timestamp() + %(delay)s * interval '1 second'"
        " FROM unnest(%(payloads)s::jsonb[]) AS p(payload),"
        " unnest(%(tasks)s::text[], %(queues)s::text[]) AS t(task, queue)",
        {"payloads": [Jsonb(payload) for payload in payloads], "delay": delay_seconds, **topology.tasks_of(event)},
    )


async def _append_merging(
    conn: Connection, event: str, payloads: Sequence[Mapping[str, int]], delay_seconds: float
) -> None:
    await conn.execute(
        """
        WITH wanted AS MATERIALIZED (
            SELECT t.task, t.queue, p.payload FROM unnest(%(payloads)s::jsonb[]) AS p(payload),
                unnest(%(tasks)s::text[], %(queues)s::text[]) AS t(task, queue)
        ),
        waiting AS MATERIALIZED (
            SELECT l.task, l.payload FROM wanted AS w JOIN ledger AS l ON l.task = w.task AND l.payload = w.payload
            WHERE l.published_at IS NULL AND l.dead_at IS NULL AND l.publications = 0
            FOR UPDATE OF l SKIP LOCKED
        )
        INSERT INTO ledger (task, queue, payload, due_at)
        SELECT w.task, w.queue, w.payload, clock_timestamp() + %(delay)s * interval '1 second' FROM wanted AS w
        WHERE NOT EXISTS (SELECT FROM waiting WHERE waiting.task = w.task AND waiting.payload = w.payload)
        """,
        {"payloads": [Jsonb(payload) for payload in payloads], "delay": delay_seconds, **topology.tasks_of(event)},
    )


async def complete(conn: Connection, row_ids: Sequence[int]) -> list[Delivery]:
    """Delete rows whose effect is committed; return how long each took that was there."""
    async with conn.cursor(row_factory=class_row(Delivery)) as cursor:
        await cursor.execute(
            "DELETE FROM ledger WHERE id = ANY(%s) RETURNING task, queue, payload_count AS changes,"
            " extract(epoch FROM published_at - created_at)::float8 AS relayed_seconds,"
            " extract(epoch FROM clock_timestamp() - created_at)::float8 AS delivered_seconds",
            (list(row_ids),),
        )
        return await cursor.fetchall()


async def record_failure(conn: Connection, row_ids: Sequence[int], error: str, *, is_transient: bool = False) -> None:
    """Note why rows failed; no message stands for them any more, and they are due again after a pause, all at the same time.

    The pause doubles with every failure, from half a second on. A transient failure, where somebody who had to be asked was away, may not
    be the rows' fault, and is not counted; its pause grows with the time that they have been failing for.
    """
    await conn.execute(
        """
        UPDATE ledger SET last_error = %(error)s, published_at = NULL, failed_at = now(),
            failing_since = coalesce(failing_since + greatest(interval '0',
                now() - coalesce(failed_at, failing_since) - %(idle)s * interval '1 second'), now()),
            failures = failures + CASE WHEN %(transient)s THEN 0 ELSE 1 END,
            due_at = now() + (SELECT 0.5 + random() / 2) * interval '1 second' * least(%(max)s, CASE WHEN %(transient)s
                THEN greatest(%(first)s, extract(epoch FROM now() - failing_since)::float8 / 4)
                ELSE power(2, least(failures, 10)) / 2 END)
        WHERE id = ANY(%(ids)s) AND dead_at IS NULL
        """,
        failure(row_ids, error, is_transient=is_transient),
    )


def failure(row_ids: Sequence[int], error: str, *, is_transient: bool) -> dict[str, object]:
    """Return the parameters of the statements that note failures, here and in the relay."""
    return {
        "error": storable(error),
        "transient": is_transient,
        "first": TRANSIENT_PAUSE_SECONDS,
        "max": MAX_PAUSE_SECONDS,
        "idle": IDLE_SECONDS,
        "ids": list(row_ids),
    }


def storable(error: str) -> str:
    """Return an error as far as the ledger keeps it."""
    return error[:1000].replace("\0", "")


async def list_open(conn: Connection, tasks: Sequence[str], limit: int) -> list[WorkRow]:
    """Return the oldest rows of these tasks that are not known to be done, dead ones too: nobody did them.

    As many as it takes for `limit` changes, which may share rows.
    """
    async with conn.cursor(row_factory=class_row(WorkRow)) as cursor:
        await cursor.execute(
            """
            SELECT id, task, payload, created_at, publications, failures, last_error, state
            FROM (
                SELECT *, sum(changes) OVER (ORDER BY id) AS changes_until
                FROM (SELECT * FROM ledger_work WHERE task = ANY(%(tasks)s) ORDER BY id LIMIT %(limit)s) AS oldest
            ) AS counted
            WHERE changes_until - changes < %(limit)s ORDER BY id
            """,
            {"tasks": list(tasks), "limit": limit},
        )
        return await cursor.fetchall()


async def list_dead(conn: Connection, after_id: int, limit: int) -> list[WorkRow]:
    """Return rows that were given up, oldest first."""
    async with conn.cursor(row_factory=class_row(WorkRow)) as cursor:
        await cursor.execute(
            "SELECT id, task, payload, created_at, publications, failures, last_error, state FROM ledger_work"
            " WHERE dead_at IS NOT NULL AND id > %s ORDER BY id LIMIT %s",
            (after_id, limit),
        )
        return await cursor.fetchall()


async def replay(conn: Connection, row_ids: Sequence[int]) -> int:
    """Make dead rows due again, as if they had never failed; return how many."""
    cursor = await conn.execute(
        "UPDATE ledger SET dead_at = NULL, attempts = 0, failures = 0, failing_since = NULL, failed_at = NULL,"
        " published_at = NULL, cut_from = NULL, due_at = now() WHERE id = ANY(%s) AND dead_at IS NOT NULL",
        (list(row_ids),),
    )
    return cursor.rowcount


async def discard(conn: Connection, row_ids: Sequence[int]) -> int:
    """Delete dead rows; return how many."""
    cursor = await conn.execute("DELETE FROM ledger WHERE id = ANY(%s) AND dead_at IS NOT NULL", (list(row_ids),))
    return cursor.rowcount


async def lag(conn: Connection) -> list[TaskLag]:
    """Return the state of each task that has rows."""
    async with conn.cursor(row_factory=class_row(TaskLag)) as cursor:
        await cursor.execute(
            """
            SELECT task,
                coalesce(sum(changes) FILTER (WHERE state <> 'dead'), 0) AS open_rows,
                coalesce(sum(changes) FILTER (WHERE state = 'published'), 0) AS published_rows,
                coalesce(sum(changes) FILTER (WHERE state = 'failing'), 0) AS failing_rows,
                coalesce(sum(changes) FILTER (WHERE state = 'parked'), 0) AS parked_rows,
                coalesce(sum(changes) FILTER (WHERE state = 'dead'), 0) AS dead_rows,
                coalesce(extract(epoch FROM clock_timestamp() - min(created_at) FILTER (WHERE state <> 'dead')) * 1000, 0)::bigint
                    AS oldest_age_ms
            FROM ledger_work GROUP BY task ORDER BY task
            """
        )
        return await cursor.fetchall()


class Bell:
    """Wakes the relay after a commit, at most every 10 ms, outside of the transaction that wrote the rows.

    A NOTIFY inside the writing transaction would make all writers queue for one lock while they flush their log. A lost ring
    costs one polling interval of the relay, nothing more.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._rung = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def ring(self) -> None:
        """Say that there are new rows. Call it after the commit."""
        self._rung.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._notify())

    async def close(self) -> None:
        """Stop ringing."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _notify(self) -> None:
        while self._rung.is_set():
            self._rung.clear()
            with suppress(Exception):  # the relay polls as well
                async with connection(self._pool) as conn:
                    # Without waiting for the log: nothing is written, nothing can be lost.
                    await conn.execute(
                        "SELECT set_config('synchronous_commit', 'off', true), pg_notify(%s || current_schema(), '')",
                        (CHANNEL,),
                    )
            await asyncio.sleep(BELL_INTERVAL_SECONDS)
