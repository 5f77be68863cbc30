"""Every SQL text about threads: what replies to what. Both directions are bounded in depth and in rows."""

from chassis.database import Connection


async def list_ancestor_ids(conn: Connection, status_id: int, limit: int) -> list[int]:
    """Return the ids of what a status replies to, of what that replies to, and so on upwards, at most so many."""
    cursor = await conn.execute(
        """
        WITH RECURSIVE above (id, depth) AS (
            SELECT in_reply_to_id, 1 FROM statuses WHERE id = %(status_id)s AND in_reply_to_id IS NOT NULL
            UNION ALL
            SELECT statuses.in_reply_to_id, above.depth + 1 FROM above JOIN statuses ON statuses.id = above.id
            WHERE statuses.in_reply_to_id IS NOT NULL AND above.depth < %(limit)s
        )
        SELECT id FROM above ORDER BY depth
        """,
        {"status_id": status_id, "limit": limit},
    )
    return [row[0] for row in await cursor.fetchall()]


async def list_descendant_ids(conn: Connection, status_id: int, *, limit: int, depth: int) -> list[int]:
    """Return the ids of the replies to a status, then of the replies to those, and so on down to a depth, at most so many.

    PostgreSQL makes no more rows of a recursive query than are fetched of it, and of each status only its first replies are looked at:
    the work is bounded however large the thread is.
    """
    cursor = await conn.execute(
        """
        WITH RECURSIVE below (id, depth) AS (
            SELECT %(status_id)s::bigint, 0
            UNION ALL
            SELECT reply.id, below.depth + 1 FROM below CROSS JOIN LATERAL (
                SELECT id FROM statuses WHERE in_reply_to_id = below.id ORDER BY id LIMIT %(limit)s
            ) AS reply
            WHERE below.depth < %(depth)s
        )
        SELECT id FROM below OFFSET 1 LIMIT %(limit)s
        """,
        {"status_id": status_id, "limit": limit, "depth": depth},
    )
    return [row[0] for row in await cursor.fetchall()]
