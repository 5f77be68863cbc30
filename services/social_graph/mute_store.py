"""Every SQL text about mutes, but for `relate`, which tells of them too."""

from datetime import datetime

from psycopg.rows import class_row

from chassis.database import Connection
from services.social_graph.domain import MutedAccount

EXPIRED_STEP = 1000


async def upsert_mute(
    conn: Connection, account_id: int, target_id: int, *, hides_notifications: bool, duration_seconds: int
) -> None:
    """Let an account mute another for some seconds, 0 for ever; one that is there already is replaced."""
    await conn.execute(
        "INSERT INTO mutes (account_id, target_id, hides_notifications, expires_at) VALUES (%(account_id)s, %(target_id)s,"
        " %(hides_notifications)s, statement_timestamp() + nullif(%(duration)s::integer, 0) * interval '1 second')"
        " ON CONFLICT (account_id, target_id) DO UPDATE SET hides_notifications = excluded.hides_notifications,"
        " expires_at = excluded.expires_at, created_at = excluded.created_at",
        {
            "account_id": account_id,
            "target_id": target_id,
            "hides_notifications": hides_notifications,
            "duration": duration_seconds,
        },
    )


async def delete_mute(conn: Connection, account_id: int, target_id: int) -> None:
    """End a mute, if there is one."""
    await conn.execute("DELETE FROM mutes WHERE account_id = %s AND target_id = %s", (account_id, target_id))


async def list_mutes(
    conn: Connection, account_id: int, before: tuple[datetime, int] | None, limit: int
) -> list[MutedAccount]:
    """Return whom an account mutes, the latest first, from after a (created_at, target_id)."""
    created_at, target_id = before or (None, 0)
    async with conn.cursor(row_factory=class_row(MutedAccount)) as cursor:
        await cursor.execute(
            "SELECT target_id AS account_id, created_at, hides_notifications, expires_at FROM active_mutes"
            " WHERE account_id = %(account_id)s"
            " AND (created_at, target_id) < (coalesce(%(before)s::timestamptz, 'infinity'), %(before_id)s::bigint)"
            " ORDER BY created_at DESC, target_id DESC LIMIT %(limit)s",
            {"account_id": account_id, "before": created_at, "before_id": target_id, "limit": limit},
        )
        return await cursor.fetchall()


async def delete_expired_mutes(conn: Connection) -> int:
    """Delete up to 1,000 mutes that have ended; return how many."""
    cursor = await conn.execute(
        "DELETE FROM mutes WHERE (account_id, target_id) IN ("
        " SELECT account_id, target_id FROM mutes WHERE expires_at <= statement_timestamp()"
        " ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED)",
        (EXPIRED_STEP,),
    )
    return cursor.rowcount
