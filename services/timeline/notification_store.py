"""Every SQL text about notifications and markers. Those about home timelines are in store.py."""

from collections.abc import Sequence

from psycopg.rows import class_row

from chassis.database import Connection
from chassis.paging import Page
from services.timeline.domain import Marker, NewNotification, Notification

MAX_KEPT = 1000
"""So many of a member's notifications are kept, the newest."""


async def insert_notifications(conn: Connection, new: Sequence[NewNotification]) -> dict[int, list[int]]:
    """Insert what members have not been told yet, each thing once, and return the ids of what is new by account.

    What was told before stays as it is, dismissed or not, unless it has happened again since. No two of `new` are about the same.
    """
    cursor = await conn.execute(
        """
        INSERT INTO notifications (account_id, type, from_id, subject_id, caused_at)
        SELECT account_id, type, from_id, subject_id, caused_at
        FROM unnest(%s::bigint[], %s::smallint[], %s::bigint[], %s::bigint[], %s::bigint[])
            AS told(account_id, type, from_id, subject_id, caused_at)
        ORDER BY account_id, type, from_id, subject_id
        ON CONFLICT ON CONSTRAINT notifications_once DO UPDATE
        SET id = excluded.id, caused_at = excluded.caused_at, is_dismissed = false
        WHERE notifications.caused_at < excluded.caused_at
        RETURNING account_id, id
        """,
        (
            [one.account_id for one in new],
            [one.type.value for one in new],
            [one.from_id for one in new],
            [one.subject_id for one in new],
            [one.caused_at for one in new],
        ),
    )
    told: dict[int, list[int]] = {}
    for account_id, notification_id in await cursor.fetchall():
        told.setdefault(account_id, []).append(notification_id)
    return told


async def trim_notifications(conn: Connection, account_ids: Sequence[int]) -> None:
    """Delete what is older than the newest MAX_KEPT notifications of each of these accounts."""
    await conn.execute(
        """
        DELETE FROM notifications USING (
            SELECT account.id AS account_id, (
                SELECT id FROM notifications WHERE account_id = account.id ORDER BY id DESC OFFSET %s LIMIT 1
            ) AS last_id
            FROM unnest(%s::bigint[]) AS account(id)
        ) AS cut
        WHERE notifications.account_id = cut.account_id AND notifications.id <= cut.last_id
        """,
        (MAX_KEPT, sorted(account_ids)),
    )


async def list_notifications(
    conn: Connection, account_id: int, page: Page, types: Sequence[int], from_id: int
) -> list[Notification]:
    """Return a page of an account's notifications that are not dismissed, newest first: of these types, and of one member's
    doing unless `from_id` is 0."""
    newest = """
        SELECT id, type, from_id, subject_id FROM notifications
        WHERE account_id = %(account_id)s AND NOT is_dismissed AND id < %(below)s AND id > %(above)s
          AND type = ANY(%(types)s) AND (%(from_id)s::bigint = 0 OR from_id = %(from_id)s)
        ORDER BY id DESC LIMIT %(limit)s
        """
    oldest = """
        SELECT id, type, from_id, subject_id FROM notifications
        WHERE account_id = %(account_id)s AND NOT is_dismissed AND id < %(below)s AND id > %(above)s
          AND type = ANY(%(types)s) AND (%(from_id)s::bigint = 0 OR from_id = %(from_id)s)
        ORDER BY id ASC LIMIT %(limit)s
        """
    async with conn.cursor(row_factory=class_row(Notification)) as cursor:
        await cursor.execute(
            oldest if page.upwards else newest,
            {"account_id": account_id, "types": list(types), "from_id": from_id, **page.parameters()},
        )
        return sorted(await cursor.fetchall(), key=lambda one: one.id, reverse=True)


async def dismiss_notification(conn: Connection, account_id: int, notification_id: int) -> bool:
    """Take a notification from an account's list; tell whether it stood there."""
    cursor = await conn.execute(
        "UPDATE notifications SET is_dismissed = true WHERE account_id = %s AND id = %s AND NOT is_dismissed",
        (account_id, notification_id),
    )
    return cursor.rowcount > 0


async def clear_notifications(conn: Connection, account_id: int) -> None:
    """Take all notifications from an account's list."""
    await conn.execute(
        "UPDATE notifications SET is_dismissed = true WHERE account_id = %s AND NOT is_dismissed", (account_id,)
    )


async def list_markers(conn: Connection, account_id: int) -> list[Marker]:
    """Return how far an account has read."""
    async with conn.cursor(row_factory=class_row(Marker)) as cursor:
        await cursor.execute(
            "SELECT timeline, last_read_id, version, updated_at FROM markers WHERE account_id = %s ORDER BY timeline",
            (account_id,),
        )
        return await cursor.fetchall()


async def save_marker(
    conn: Connection, account_id: int, timeline: int, last_read_id: int, version: int
) -> Marker | None:
    """Note how far an account has read a list of which it knows a version, 0 being none; None where it has changed since."""
    async with conn.cursor(row_factory=class_row(Marker)) as cursor:
        await cursor.execute(
            """
            INSERT INTO markers AS m (account_id, timeline, last_read_id, version)
            SELECT %(account_id)s, %(timeline)s, %(last_read_id)s, 1
            WHERE %(version)s = 0
               OR EXISTS (SELECT FROM markers WHERE account_id = %(account_id)s AND timeline = %(timeline)s)
            ON CONFLICT (account_id, timeline) DO UPDATE
            SET last_read_id = excluded.last_read_id, version = m.version + 1, updated_at = now()
            WHERE m.version = %(version)s
            RETURNING timeline, last_read_id, version, updated_at
            """,
            {"account_id": account_id, "timeline": timeline, "last_read_id": last_read_id, "version": version},
        )
        return await cursor.fetchone()
