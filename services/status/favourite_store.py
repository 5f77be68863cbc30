"""Every SQL text about favourites."""

from psycopg.rows import class_row

from chassis import topology
from chassis.database import Connection
from chassis.ids import Kind
from chassis.paging import Page
from services.status.domain import Favourite, Status


async def insert_favourite(conn: Connection, account_id: int, status: Status) -> bool:
    """Favour a locked status; count it and tell its author in the same statement. Tell whether anything changed."""
    cursor = await conn.execute(
        """
        WITH inserted AS (
            INSERT INTO favourites (status_id, account_id, author_id, id)
            VALUES (%(status_id)s, %(account_id)s, %(author_id)s, next_id(%(kind)s))
            ON CONFLICT (status_id, account_id) DO NOTHING
            RETURNING status_id, author_id
        ),
        notices AS (
            INSERT INTO ledger (task, queue, payload)
            SELECT t.task, t.queue, jsonb_build_object(
                'account_id', author_id, 'from_id', %(account_id)s::bigint, 'status_id', status_id
            )
            FROM inserted, unnest(%(tasks)s::text[], %(queues)s::text[]) AS t(task, queue)
            WHERE author_id <> %(account_id)s
        )
        UPDATE statuses SET favourites_count = favourites_count + 1 FROM inserted
        WHERE statuses.account_id = inserted.author_id AND statuses.id = inserted.status_id
        """,
        {
            "kind": Kind.OTHER.value,
            "account_id": account_id,
            "author_id": status.account_id,
            "status_id": status.id,
            **topology.tasks_of("status.favourited"),
        },
    )
    return cursor.rowcount > 0


async def delete_favourite(conn: Connection, account_id: int, status: Status) -> bool:
    """Take back that an account favours a locked status, and count it off in the same statement. Tell whether anything changed."""
    cursor = await conn.execute(
        """
        WITH deleted AS (
            DELETE FROM favourites WHERE status_id = %(status_id)s AND account_id = %(account_id)s
            RETURNING status_id, author_id
        )
        UPDATE statuses SET favourites_count = favourites_count - 1 FROM deleted
        WHERE statuses.account_id = deleted.author_id AND statuses.id = deleted.status_id
        """,
        {"account_id": account_id, "status_id": status.id},
    )
    return cursor.rowcount > 0


async def list_account_favourites(conn: Connection, account_id: int, page: Page) -> list[Favourite]:
    """Return a page of what an account favours, the latest first."""
    newest = """
        SELECT id, status_id, account_id FROM favourites
        WHERE account_id = %(account_id)s AND id < %(below)s AND id > %(above)s ORDER BY id DESC LIMIT %(limit)s
        """
    oldest = """
        SELECT id, status_id, account_id FROM favourites
        WHERE account_id = %(account_id)s AND id < %(below)s AND id > %(above)s ORDER BY id ASC LIMIT %(limit)s
        """
    async with conn.cursor(row_factory=class_row(Favourite)) as cursor:
        await cursor.execute(oldest if page.upwards else newest, {"account_id": account_id, **page.parameters()})
        return sorted(await cursor.fetchall(), key=lambda favourite: favourite.id, reverse=True)


async def list_status_favourites(conn: Connection, status_id: int, page: Page) -> list[Favourite]:
    """Return a page of who favours a status, the latest first."""
    newest = """
        SELECT id, status_id, account_id FROM favourites
        WHERE status_id = %(status_id)s AND id < %(below)s AND id > %(above)s ORDER BY id DESC LIMIT %(limit)s
        """
    oldest = """
        SELECT id, status_id, account_id FROM favourites
        WHERE status_id = %(status_id)s AND id < %(below)s AND id > %(above)s ORDER BY id ASC LIMIT %(limit)s
        """
    async with conn.cursor(row_factory=class_row(Favourite)) as cursor:
        await cursor.execute(oldest if page.upwards else newest, {"status_id": status_id, **page.parameters()})
        return sorted(await cursor.fetchall(), key=lambda favourite: favourite.id, reverse=True)
