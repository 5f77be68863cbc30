"""Every SQL text of this service."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from chassis import topology
from chassis.database import Connection
from chassis.ids import Kind
from chassis.paging import Page
from services.status.domain import NewStatus, Status


@dataclass(frozen=True)
class Claim:
    """What an idempotency key has posted; nothing where it has done something else."""

    fingerprint: bytes
    made_id: int | None


@dataclass(frozen=True)
class StatusCount:
    """How many statuses an account has, and the id of its last."""

    account_id: int
    statuses: int
    last_id: int


async def insert_status(conn: Connection, new: NewStatus) -> Status | None:
    """Insert a status, its idempotency key and its work in one statement; None where the key was used within a day, or is just now."""
    async with conn.cursor(row_factory=class_row(Status)) as cursor:
        await cursor.execute(
            """
            WITH made AS MATERIALIZED (
                SELECT next_id(%(kind)s) AS id WHERE %(request_id)s = '' OR try_claim(%(account_id)s, %(request_id)s)
            ),
            claimed AS (
                INSERT INTO claims AS k (account_id, request_id, fingerprint, made_id)
                SELECT %(account_id)s, %(request_id)s, %(fingerprint)s, id FROM made WHERE %(request_id)s <> ''
                ON CONFLICT (account_id, request_id) DO UPDATE
                SET fingerprint = excluded.fingerprint, answer = NULL, made_id = excluded.made_id, created_at = now()
                WHERE k.created_at < now() - interval '1 day'
                RETURNING made_id
            ),
            posted AS (
                INSERT INTO statuses (account_id, id, text, visibility)
                SELECT %(account_id)s, id, %(text)s, %(visibility)s FROM made
                WHERE %(request_id)s = '' OR EXISTS (SELECT FROM claimed)
                RETURNING id, account_id, text, visibility, version
            ),
            work AS (
                INSERT INTO ledger (task, queue, payload)
                SELECT t.task, t.queue, jsonb_build_object('entry_id', posted.id, 'author_id', posted.account_id)
                FROM posted, unnest(%(tasks)s::text[], %(queues)s::text[]) AS t(task, queue)
            )
            SELECT id, account_id, text, visibility, version FROM posted
            """,
            {
                "kind": Kind.STATUS.value,
                "account_id": new.account_id,
                "request_id": new.request_id,
                "fingerprint": new.fingerprint,
                "text": new.text,
                "visibility": new.visibility.value,
                **topology.tasks_of("status.published"),
            },
        )
        return await cursor.fetchone()


async def find_claim(conn: Connection, account_id: int, request_id: str) -> Claim | None:
    """Return what an idempotency key has posted."""
    async with conn.cursor(row_factory=class_row(Claim)) as cursor:
        await cursor.execute(
            "SELECT fingerprint, made_id FROM claims WHERE account_id = %s AND request_id = %s",
            (account_id, request_id),
        )
        return await cursor.fetchone()


async def delete_status(conn: Connection, account_id: int, status_id: int) -> Status | None:
    """Delete an account's own status and queue its retraction in one statement; None where there is none."""
    async with conn.cursor(row_factory=class_row(Status)) as cursor:
        await cursor.execute(
            """
            WITH deleted AS (
                DELETE FROM statuses WHERE account_id = %(account_id)s AND id = %(status_id)s
                RETURNING id, account_id, text, visibility, version
            ),
            work AS (
                INSERT INTO ledger (task, queue, payload)
                SELECT t.task, t.queue, jsonb_build_object('entry_id', deleted.id, 'author_id', deleted.account_id)
                FROM deleted, unnest(%(tasks)s::text[], %(queues)s::text[]) AS t(task, queue)
            )
            SELECT id, account_id, text, visibility, version FROM deleted
            """,
            {"account_id": account_id, "status_id": status_id, **topology.tasks_of("status.deleted")},
        )
        return await cursor.fetchone()


async def list_statuses(conn: Connection, status_ids: Sequence[int]) -> list[Status]:
    """Return those that exist, in no order."""
    async with conn.cursor(row_factory=class_row(Status)) as cursor:
        await cursor.execute(
            "SELECT id, account_id, text, visibility, version FROM statuses WHERE id = ANY(%s)", (list(status_ids),)
        )
        return await cursor.fetchall()


async def list_account_statuses(
    conn: Connection, account_id: int, visibilities: Sequence[int], page: Page
) -> list[Status]:
    """Return a page of one account's statuses with these visibilities, newest first."""
    newest = """
        SELECT id, account_id, text, visibility, version FROM statuses
        WHERE account_id = %(account_id)s AND visibility = ANY(%(visibilities)s) AND id < %(below)s AND id > %(above)s
        ORDER BY id DESC LIMIT %(limit)s
        """
    oldest = """
        SELECT id, account_id, text, visibility, version FROM statuses
        WHERE account_id = %(account_id)s AND visibility = ANY(%(visibilities)s) AND id < %(below)s AND id > %(above)s
        ORDER BY id ASC LIMIT %(limit)s
        """
    async with conn.cursor(row_factory=class_row(Status)) as cursor:
        await cursor.execute(
            oldest if page.upwards else newest,
            {"account_id": account_id, "visibilities": list(visibilities), **page.parameters()},
        )
        return sorted(await cursor.fetchall(), key=lambda status: status.id, reverse=True)


async def pull_statuses(conn: Connection, author_ids: Sequence[int], page: Page) -> list[tuple[int, int]]:
    """Return (id, author) of a page of these authors' statuses, newest first: an index range per author, then a merge."""
    newest = """
        SELECT pulled.id, pulled.account_id FROM unnest(%(author_ids)s::bigint[]) AS author(id) CROSS JOIN LATERAL (
            SELECT id, account_id FROM statuses
            WHERE account_id = author.id AND id < %(below)s AND id > %(above)s ORDER BY id DESC LIMIT %(limit)s
        ) AS pulled ORDER BY pulled.id DESC LIMIT %(limit)s
        """
    oldest = """
        SELECT pulled.id, pulled.account_id FROM unnest(%(author_ids)s::bigint[]) AS author(id) CROSS JOIN LATERAL (
            SELECT id, account_id FROM statuses
            WHERE account_id = author.id AND id < %(below)s AND id > %(above)s ORDER BY id ASC LIMIT %(limit)s
        ) AS pulled ORDER BY pulled.id ASC LIMIT %(limit)s
        """
    cursor = await conn.execute(
        oldest if page.upwards else newest, {"author_ids": list(author_ids), **page.parameters()}
    )
    return sorted(await cursor.fetchall(), reverse=True)


async def count_all(conn: Connection) -> int:
    """Return how many statuses there are: exactly up to 100,000, then as the planner estimates, which costs nothing."""
    cursor = await conn.execute(
        "SELECT CASE WHEN reltuples > 100000 THEN reltuples::bigint ELSE (SELECT count(*) FROM statuses) END"
        " FROM pg_class WHERE oid = 'statuses'::regclass"
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def count_statuses(conn: Connection, account_ids: Sequence[int]) -> list[StatusCount]:
    """Return the count and the last id of each account that has statuses."""
    async with conn.cursor(row_factory=class_row(StatusCount)) as cursor:
        await cursor.execute(
            "SELECT account_id, count(*) AS statuses, max(id) AS last_id FROM statuses"
            " WHERE account_id = ANY(%s) GROUP BY account_id",
            (list(account_ids),),
        )
        return await cursor.fetchall()
