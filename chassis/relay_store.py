"""What a relay reads and writes of a ledger, in its own transaction, over a connection of its own."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from chassis import topology
from chassis.ledger import failure, storable
from chassis.relay_plan import Batch, ClaimedRow, lease_of

PARKED_SECONDS = 60
PART_COUNTS_SECONDS = 3600
"""A part that has been failing for longer counts no more among those that bound how far companies are cut."""
FORGOTTEN_AT_A_TIME = 5000


def claim_due(conn: psycopg.Connection, limit: int) -> list[ClaimedRow]:
    """Lock due rows until the transaction ends and return them, the longest due first, company by company.

    There is no id cursor: ids commit out of order, and a row that commits late must not be passed over.
    """
    with conn.cursor(row_factory=class_row(ClaimedRow)) as cursor:
        cursor.execute(
            """
            SELECT id, task, payload, now() AS now, publications, failures, message_id, cut_from, published_at, failing_since,
                failed_at
            FROM ledger WHERE dead_at IS NULL AND due_at <= now()
            ORDER BY due_at, published_at, message_id, id LIMIT %s FOR UPDATE SKIP LOCKED
            """,
            (limit,),
        )
        return cursor.fetchall()


def split(conn: psycopg.Connection, rows: Sequence[ClaimedRow]) -> list[ClaimedRow]:
    """Give each of the changes that share a row a row of its own; return all rows, in order."""
    shared = [row.id for row in rows if row.changes > 1]
    if not shared:
        return list(rows)
    with conn.cursor(row_factory=class_row(ClaimedRow)) as cursor:
        cursor.execute(
            """
            WITH shared AS (DELETE FROM ledger WHERE id = ANY(%s) RETURNING *)
            INSERT INTO ledger (task, queue, payload, created_at, due_at, published_at, attempts, last_error,
                publications, failures, message_id, cut_from, failing_since, failed_at)
            SELECT task, queue, change, created_at, due_at, published_at, attempts, last_error,
                publications, failures, message_id, cut_from, failing_since, failed_at
            FROM shared, jsonb_array_elements(CASE jsonb_typeof(payload) WHEN 'array' THEN payload ELSE jsonb_build_array(payload) END)
                AS change
            RETURNING id, task, payload, now() AS now, publications, failures, message_id, cut_from, published_at, failing_since,
                failed_at
            """,
            (shared,),
        )
        return [row for row in rows if row.changes == 1] + cursor.fetchall()


def parts_taken(conn: psycopg.Connection, tasks: Collection[str]) -> Mapping[str, int]:
    """Return by task how many parts of companies there are, beyond one for each company that was cut."""
    return dict(
        conn.execute(
            "SELECT task, count(DISTINCT message_id) - count(DISTINCT cut_from) FROM ledger"
            " WHERE cut_from IS NOT NULL AND dead_at IS NULL AND task = ANY(%s)"
            " AND coalesce(failing_since, now()) > now() - %s * interval '1 second' GROUP BY task",
            (list(tasks), PART_COUNTS_SECONDS),
        ).fetchall()
    )


def horizon(conn: psycopg.Connection, queue: str, messages: int) -> datetime | None:
    """Return when the oldest of so many messages was published that this ledger has open in a queue, counted from the latest back.

    None where it has none open.
    """
    tasks = [task.name for task in topology.TASKS.values() if task.queue == queue]
    row = conn.execute(
        "SELECT min(published_at) FROM (SELECT max(published_at) AS published_at FROM ledger"
        " WHERE task = ANY(%s) AND published_at IS NOT NULL AND dead_at IS NULL"
        " GROUP BY message_id ORDER BY 1 DESC LIMIT %s) AS latest",
        (tasks, messages),
    ).fetchone()
    return row[0] if row else None


def mark_published(conn: psycopg.Connection, batches: Sequence[Batch], lease_seconds: int) -> None:
    """Start the lease of rows that the broker has confirmed. Messages that were published earlier are so by a microsecond at least."""
    rows = [(row_id, place, batch) for place, batch in enumerate(batches) for row_id in batch.row_ids]
    conn.execute(
        """
        UPDATE ledger AS l SET publications = publications + 1, message_id = m.message_id, parked_at = NULL,
            published_at = statement_timestamp() + m.place * interval '1 microsecond',
            due_at = statement_timestamp() + m.lease * interval '1 second',
            cut_from = coalesce(m.cut_from, l.cut_from), failing_since = CASE WHEN m.cut_from IS NULL THEN l.failing_since END
        FROM unnest(%s::bigint[], %s::integer[], %s::uuid[], %s::integer[], %s::uuid[])
            AS m(id, place, message_id, lease, cut_from)
        WHERE l.id = m.id
        """,
        (
            [row_id for row_id, _, _ in rows],
            [place for _, place, _ in rows],
            [batch.message_id for _, _, batch in rows],
            [lease_of(batch.task, lease_seconds) for _, _, batch in rows],
            [batch.cut_from for _, _, batch in rows],
        ),
    )


def renew(conn: psycopg.Connection, row_ids: Sequence[int], lease_seconds: int) -> None:
    """Have rows wait for another lease, whose message the broker still holds."""
    conn.execute(
        "UPDATE ledger SET due_at = now() + %s * interval '1 second' WHERE id = ANY(%s)",
        (lease_seconds, list(row_ids)),
    )


def postpone(conn: psycopg.Connection, row_ids: Sequence[int], seconds: float, reason: str) -> None:
    """Have rows wait that no queue takes now."""
    conn.execute(
        "UPDATE ledger SET due_at = now() + %s * interval '1 second',"
        " last_error = CASE WHEN failures = 0 AND failing_since IS NULL THEN %s ELSE last_error END WHERE id = ANY(%s)",
        (seconds, storable(reason), list(row_ids)),
    )


def park(conn: psycopg.Connection, row_ids: Sequence[int], reason: str) -> None:
    """Put rows aside for a relay that knows their task; this one looks at them again in a minute, and says that it still does not."""
    conn.execute(
        "UPDATE ledger SET parked_at = coalesce(parked_at, now()), last_error = %s,"
        " due_at = now() + %s * interval '1 second' WHERE id = ANY(%s)",
        (storable(reason), PARKED_SECONDS, list(row_ids)),
    )


def take_up_parked(conn: psycopg.Connection) -> int:
    """Make rows due whose tasks this relay knows, and an older one did not; return how many."""
    return conn.execute(
        "UPDATE ledger SET due_at = now() WHERE parked_at IS NOT NULL AND dead_at IS NULL AND due_at > now() AND task = ANY(%s)",
        (list(topology.TASKS),),
    ).rowcount


def give_up(conn: psycopg.Connection, row_ids: Sequence[int]) -> None:
    """Declare rows dead, and keep why: how often or how long they failed, and of what the last time."""
    conn.execute(
        "UPDATE ledger SET dead_at = now(), last_error = left(format('given up after %%s failures in %%s minutes: %%s', failures,"
        " (extract(epoch FROM coalesce(failed_at - failing_since, interval '0')) / 60)::integer, last_error), 1000) WHERE id = ANY(%s)",
        (list(row_ids),),
    )


def read_mark(conn: psycopg.Connection) -> UUID | None:
    """Return the mark that this ledger has left on its broker; None where it has left none yet."""
    row = conn.execute("SELECT mark FROM ledger_broker").fetchone()
    return row[0] if row else None


def write_mark(conn: psycopg.Connection, mark: UUID) -> None:
    """Remember the mark that this ledger has left."""
    conn.execute(
        "INSERT INTO ledger_broker (mark) VALUES (%s) ON CONFLICT (is_only) DO UPDATE SET mark = excluded.mark", (mark,)
    )


def forget_publications(conn: psycopg.Connection) -> int:
    """Have all that was published until now published again, in the companies that it was in; return how many rows that are.

    Some thousand rows in a transaction, so that nobody waits for long.
    """
    (until,) = conn.execute("SELECT clock_timestamp()").fetchone() or (None,)
    forgotten = 0
    while rows := conn.execute(
        "UPDATE ledger SET due_at = published_at, published_at = NULL WHERE id IN ("
        " SELECT id FROM ledger WHERE published_at < %s AND dead_at IS NULL ORDER BY id LIMIT %s FOR UPDATE)",
        (until, FORGOTTEN_AT_A_TIME),
    ).rowcount:
        forgotten += rows
    return forgotten


def note_returned(
    conn: psycopg.Connection, row_ids: Sequence[int], message_id: UUID, reason: str, *, is_transient: bool
) -> int:
    """Note that the message came back which stands for these rows, as `ledger.record_failure` does; return how many it stood for still."""
    return conn.execute(
        """
        UPDATE ledger SET last_error = %(error)s, published_at = NULL, failed_at = now(),
            failing_since = coalesce(failing_since + greatest(interval '0',
                now() - coalesce(failed_at, failing_since) - %(idle)s * interval '1 second'), now()),
            failures = failures + CASE WHEN %(transient)s THEN 0 ELSE 1 END,
            due_at = now() + (SELECT 0.5 + random() / 2) * interval '1 second' * least(%(max)s, CASE WHEN %(transient)s
                THEN greatest(%(first)s, extract(epoch FROM now() - failing_since)::float8 / 4)
                ELSE power(2, least(failures, 10)) / 2 END)
        WHERE id = ANY(%(ids)s) AND dead_at IS NULL
            AND message_id = %(message)s AND published_at IS NOT NULL
        """,
        {**failure(row_ids, reason, is_transient=is_transient), "message": message_id},
    ).rowcount
