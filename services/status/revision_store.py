"""Every SQL text about edits: changing a status, and what it said before."""

from collections.abc import Mapping

from psycopg.rows import class_row

from chassis import topology
from chassis.database import Connection
from services.status.domain import OPEN, Revision, Status, Visibility


async def count_revisions(conn: Connection, status: Status) -> int:
    """Return how often a status has been edited."""
    cursor = await conn.execute(
        "SELECT count(*) FROM revisions WHERE account_id = %s AND status_id = %s", (status.account_id, status.id)
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def keep_revision(conn: Connection, status: Status) -> None:
    """Keep what a locked status says, before it says something else."""
    await conn.execute(
        """
        INSERT INTO revisions (account_id, status_id, version, text, mentioned_ids, mentioned_handles, created_at)
        SELECT account_id, id, version, text, mentioned_ids, mentioned_handles,
            coalesce(edited_at, to_timestamp(%(created_at_ms)s / 1000.0))
        FROM statuses WHERE account_id = %(account_id)s AND id = %(status_id)s
        """,
        {"account_id": status.account_id, "status_id": status.id, "created_at_ms": status.created_at_ms},
    )


async def update_text(conn: Connection, status: Status, text: str, mentioned: Mapping[str, int]) -> int:
    """Change what a locked status says and tell whom it did not mention before; return when, Unix time in milliseconds."""
    notified = sorted(set(mentioned.values()) - {*status.mentioned_ids, status.account_id})
    cursor = await conn.execute(
        """
        WITH notices AS (
            INSERT INTO ledger (task, queue, payload)
            SELECT t.task, t.queue, jsonb_build_object(
                'account_id', notified.id, 'from_id', %(account_id)s::bigint, 'status_id', %(status_id)s::bigint
            )
            FROM unnest(%(notified)s::bigint[]) AS notified(id), unnest(%(tasks)s::text[], %(queues)s::text[]) AS t(task, queue)
        )
        UPDATE statuses
        SET text = %(text)s, mentioned_ids = %(mentioned_ids)s, mentioned_handles = %(mentioned_handles)s,
            edited_at = clock_timestamp(), version = version + 1
        WHERE account_id = %(account_id)s AND id = %(status_id)s
        RETURNING (extract(epoch FROM edited_at) * 1000)::bigint
        """,
        {
            "account_id": status.account_id,
            "status_id": status.id,
            "text": text,
            "mentioned_ids": list(mentioned.values()),
            "mentioned_handles": list(mentioned),
            "notified": notified,
            **topology.tasks_of("status.mentioned"),
        },
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def narrow(conn: Connection, status: Status, visibility: Visibility) -> None:
    """Narrow who may see a locked status.

    It leaves its parent's count of replies where it is not open any more, and friends' home timelines where it becomes direct.
    """
    tasks = topology.tasks_of("status.deleted") if visibility is Visibility.DIRECT else {"tasks": [], "queues": []}
    await conn.execute(
        """
        WITH uncounted AS (
            UPDATE statuses SET replies_count = replies_count - 1
            WHERE %(is_uncounted)s AND account_id = %(parent_account_id)s AND id = %(parent_id)s
        ),
        work AS (
            INSERT INTO ledger (task, queue, payload)
            SELECT t.task, t.queue, jsonb_build_object('entry_id', %(status_id)s::bigint, 'author_id', %(account_id)s::bigint)
            FROM unnest(%(tasks)s::text[], %(queues)s::text[]) AS t(task, queue)
        )
        UPDATE statuses SET visibility = %(visibility)s, version = version + 1
        WHERE account_id = %(account_id)s AND id = %(status_id)s
        """,
        {
            "account_id": status.account_id,
            "status_id": status.id,
            "parent_account_id": status.in_reply_to_account_id,
            "parent_id": status.in_reply_to_id,
            "is_uncounted": status.visibility in OPEN and visibility not in OPEN,
            "visibility": visibility.value,
            **tasks,
        },
    )


async def list_revisions(conn: Connection, account_id: int, status_id: int) -> list[Revision]:
    """Return what a status said before, oldest first."""
    async with conn.cursor(row_factory=class_row(Revision)) as cursor:
        await cursor.execute(
            """
            SELECT text, mentioned_ids, mentioned_handles, (extract(epoch FROM created_at) * 1000)::bigint AS created_at_ms
            FROM revisions WHERE account_id = %s AND status_id = %s ORDER BY version
            """,
            (account_id, status_id),
        )
        return await cursor.fetchall()
