"""Every SQL text of this service."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from psycopg.rows import class_row

from chassis import topology
from chassis.database import Connection, array_of
from chassis.ids import Kind
from chassis.paging import Page
from services.status.domain import OPEN, NewStatus, Posted, Status, StatusCount, Visibility, posted_as


@dataclass(frozen=True)
class Claim:
    """What an idempotency key has posted; nothing where it has done something else."""

    fingerprint: bytes
    made_id: int | None


async def insert_status(conn: Connection, new: NewStatus) -> Posted | None:
    """Insert a status, its idempotency key and its work in one statement, and count it among its parent's replies.

    None where the key was used within a day or is just now, and where the parent is gone. The parent is locked before the id is made,
    so that it cannot be deleted meanwhile and replies have greater ids than what they reply to. Raises UniqueViolation where another
    status shows one of its pictures.
    """
    cursor = await conn.execute(
        """
        WITH parent AS MATERIALIZED (
            SELECT account_id, id FROM statuses
            WHERE account_id = %(parent_account_id)s AND id = %(parent_id)s FOR NO KEY UPDATE
        ),
        made AS MATERIALIZED (
            SELECT next_id(%(kind)s) AS id
            WHERE (%(parent_id)s::bigint IS NULL OR EXISTS (SELECT FROM parent))
                AND (%(request_id)s = '' OR try_claim(%(account_id)s, %(request_id)s))
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
            INSERT INTO statuses (
                account_id, id, text, visibility,
                in_reply_to_account_id, in_reply_to_id, mentioned_ids, mentioned_handles, media_ids
            )
            SELECT %(account_id)s, id, %(text)s, %(visibility)s, %(parent_account_id)s::bigint, %(parent_id)s::bigint,
                %(mentioned_ids)s::bigint[], %(mentioned_handles)s::text[], %(media_ids)s::bigint[]
            FROM made
            WHERE %(request_id)s = '' OR EXISTS (SELECT FROM claimed)
            RETURNING id
        ),
        attached AS (
            INSERT INTO attachments (media_id, account_id, status_id)
            SELECT media.id, %(account_id)s, posted.id FROM posted, unnest(%(media_ids)s::bigint[]) AS media(id)
        ),
        counted AS (
            UPDATE statuses SET replies_count = replies_count + 1 FROM posted, parent
            WHERE %(is_counted)s AND statuses.account_id = parent.account_id AND statuses.id = parent.id
        ),
        work AS (
            INSERT INTO ledger (task, queue, payload)
            SELECT t.task, t.queue, jsonb_build_object('entry_id', posted.id, 'author_id', %(account_id)s::bigint)
            FROM posted, unnest(%(tasks)s::text[], %(queues)s::text[]) AS t(task, queue)
        ),
        notices AS (
            INSERT INTO ledger (task, queue, payload)
            SELECT t.task, t.queue, jsonb_build_object(
                'account_id', notified.id, 'from_id', %(account_id)s::bigint, 'status_id', posted.id
            )
            FROM posted, unnest(%(notified)s::bigint[]) AS notified(id),
                unnest(%(notice_tasks)s::text[], %(notice_queues)s::text[]) AS t(task, queue)
        )
        SELECT posted.id, coalesce(before.statuses, 0), coalesce(before.last_id, 0)
        FROM posted LEFT JOIN authors AS before ON before.account_id = %(account_id)s
        """,
        {
            "kind": Kind.STATUS.value,
            "account_id": new.account_id,
            "request_id": new.request_id,
            "fingerprint": new.fingerprint,
            "text": new.text,
            "visibility": new.visibility.value,
            "parent_account_id": new.in_reply_to_account_id or None,
            "parent_id": new.in_reply_to_id or None,
            "is_counted": new.visibility in OPEN,
            "mentioned_ids": list(new.mentioned.values()),
            "mentioned_handles": list(new.mentioned),
            "media_ids": list(new.media_ids),
            "notified": new.notified,
            **_published(new.visibility),
            **_notices(),
        },
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    status_id, statuses, last_id = row
    return posted_as(new, status_id, StatusCount(new.account_id, statuses, last_id))


def _published(visibility: int) -> dict[str, list[str]]:
    """Return the parameters of the work that a new status causes: none where it goes to nobody's home timeline."""
    return {"tasks": [], "queues": []} if visibility == Visibility.DIRECT else topology.tasks_of("status.published")


def _notices() -> dict[str, list[str]]:
    """Return the parameters of the work that a mention causes."""
    return {f"notice_{name}": values for name, values in topology.tasks_of("status.mentioned").items()}


async def find_claim(conn: Connection, account_id: int, request_id: str) -> Claim | None:
    """Return what an idempotency key has posted."""
    async with conn.cursor(row_factory=class_row(Claim)) as cursor:
        await cursor.execute(
            "SELECT fingerprint, made_id FROM claims"
            " WHERE account_id = %s AND request_id = %s AND created_at >= now() - interval '1 day'",
            (account_id, request_id),
        )
        return await cursor.fetchone()


async def lock_status(conn: Connection, account_id: int, status_id: int) -> Status | None:
    """Lock an account's own status for a change and return it; None where there is none. Needs a transaction.

    What it replies to is locked before it: whoever locks both takes them in this order, so that nobody waits in a circle.
    """
    await conn.execute(
        "SELECT FROM statuses WHERE (account_id, id) = ("
        " SELECT in_reply_to_account_id, in_reply_to_id FROM statuses WHERE account_id = %s AND id = %s"
        ") FOR NO KEY UPDATE",
        (account_id, status_id),
    )
    cursor = await conn.execute(
        "SELECT FROM statuses WHERE account_id = %s AND id = %s FOR UPDATE", (account_id, status_id)
    )
    return (await list_statuses(conn, account_id, [status_id]))[0] if cursor.rowcount else None


async def lock_shown(conn: Connection, viewer_id: int, author_id: int, status_id: int) -> Status | None:
    """Keep a status as it is until the transaction ends and return it as a viewer stands to it; None where there is none."""
    cursor = await conn.execute(
        "SELECT FROM statuses WHERE account_id = %s AND id = %s FOR NO KEY UPDATE", (author_id, status_id)
    )
    return (await list_statuses(conn, viewer_id, [status_id]))[0] if cursor.rowcount else None


async def delete_status(conn: Connection, status: Status) -> None:
    """Delete a locked status and queue its retraction and its pictures' end; what replied to it stands for itself from now on."""
    await conn.execute(
        """
        WITH orphaned AS (
            UPDATE statuses
            SET in_reply_to_account_id = NULL, in_reply_to_id = NULL, version = version + 1
            WHERE in_reply_to_account_id = %(account_id)s AND in_reply_to_id = %(status_id)s
        ),
        uncounted AS (
            UPDATE statuses SET replies_count = replies_count - 1
            WHERE %(was_counted)s AND account_id = %(parent_account_id)s AND id = %(parent_id)s
        ),
        deleted AS (
            DELETE FROM statuses WHERE account_id = %(account_id)s AND id = %(status_id)s
            RETURNING id, account_id
        ),
        dropped AS (
            INSERT INTO ledger (task, queue, payload)
            SELECT t.task, t.queue, jsonb_build_object('media_id', media.id)
            FROM deleted, unnest(%(media_ids)s::bigint[]) AS media(id),
                unnest(%(media_tasks)s::text[], %(media_queues)s::text[]) AS t(task, queue)
        )
        INSERT INTO ledger (task, queue, payload)
        SELECT t.task, t.queue, jsonb_build_object('entry_id', deleted.id, 'author_id', deleted.account_id)
        FROM deleted, unnest(%(tasks)s::text[], %(queues)s::text[]) AS t(task, queue)
        """,
        {
            "account_id": status.account_id,
            "status_id": status.id,
            "parent_account_id": status.in_reply_to_account_id,
            "parent_id": status.in_reply_to_id,
            "was_counted": status.visibility in OPEN,
            "media_ids": list(status.media_ids),
            **{f"media_{name}": values for name, values in topology.tasks_of("status.media_dropped").items()},
            **topology.tasks_of("status.deleted"),
        },
    )


async def list_statuses(conn: Connection, viewer_id: int, status_ids: Sequence[int]) -> list[Status]:
    """Return those that exist, in no order, each with whether the viewer favours it."""
    [statuses] = await list_statuses_for(conn, [(viewer_id, status_ids)])
    return statuses


async def list_statuses_for(conn: Connection, questions: Sequence[tuple[int, Sequence[int]]]) -> list[list[Status]]:
    """Return the same for several viewers, each (viewer, ids), in one query: every status is read once, whoever asks for it."""
    cursor = await conn.execute(
        """
        SELECT id, account_id, text, visibility, version,
            coalesce((extract(epoch FROM edited_at) * 1000)::bigint, 0) AS edited_at_ms,
            coalesce(in_reply_to_id, 0) AS in_reply_to_id,
            coalesce(in_reply_to_account_id, 0) AS in_reply_to_account_id,
            mentioned_ids, mentioned_handles, replies_count, favourites_count, false AS is_favourited, media_ids,
            CASE WHEN favourites_count > 0 THEN ARRAY(
                SELECT favourites.account_id FROM favourites
                WHERE status_id = statuses.id AND favourites.account_id = ANY(%(viewer_ids)s)
            ) END AS favoured_by
        FROM statuses WHERE id = ANY(%(status_ids)s)
        """,
        {
            "viewer_ids": list({viewer_id for viewer_id, _ in questions}),
            "status_ids": list({status_id for _, status_ids in questions for status_id in status_ids}),
        },
    )
    found = {row[0]: (Status(*row[:-1]), row[-1] or ()) for row in await cursor.fetchall()}
    return [
        [
            msgspec.structs.replace(found[status_id][0], is_favourited=True)
            if viewer_id in found[status_id][1]
            else found[status_id][0]
            for status_id in dict.fromkeys(status_ids)
            if status_id in found
        ]
        for viewer_id, status_ids in questions
    ]


async def list_account_status_ids(
    conn: Connection,
    account_id: int,
    page: Page,
    *,
    visibilities: Sequence[int],
    mentioning: int,
    exclude_replies: bool,
    only_media: bool,
) -> list[int]:
    """Return the ids of a page of one account's statuses, in no order: those with these visibilities, or that mention a member."""
    newest = """
        SELECT id FROM statuses
        WHERE account_id = %(account_id)s AND id < %(below)s AND id > %(above)s
            AND (visibility = ANY(%(visibilities)s) OR %(mentioning)s = ANY(mentioned_ids))
            AND NOT (%(exclude_replies)s AND in_reply_to_account_id IS NOT NULL AND in_reply_to_account_id <> account_id)
            AND NOT (%(only_media)s AND media_ids = '{}')
        ORDER BY id DESC LIMIT %(limit)s
        """
    oldest = """
        SELECT id FROM statuses
        WHERE account_id = %(account_id)s AND id < %(below)s AND id > %(above)s
            AND (visibility = ANY(%(visibilities)s) OR %(mentioning)s = ANY(mentioned_ids))
            AND NOT (%(exclude_replies)s AND in_reply_to_account_id IS NOT NULL AND in_reply_to_account_id <> account_id)
            AND NOT (%(only_media)s AND media_ids = '{}')
        ORDER BY id ASC LIMIT %(limit)s
        """
    cursor = await conn.execute(
        oldest if page.upwards else newest,
        {
            "account_id": account_id,
            "visibilities": list(visibilities),
            "mentioning": mentioning,
            "exclude_replies": exclude_replies,
            "only_media": only_media,
            **page.parameters(),
        },
    )
    return [status_id for (status_id,) in await cursor.fetchall()]


async def list_published(conn: Connection, status_ids: Sequence[int]) -> list[tuple[int, int]]:
    """Return (id, author) of those that exist and are for friends' home timelines, in no order."""
    cursor = await conn.execute(
        "SELECT id, account_id FROM statuses WHERE id = ANY(%s) AND visibility <> %s",
        (list(status_ids), Visibility.DIRECT.value),
    )
    return await cursor.fetchall()


async def list_attached_media(conn: Connection, media_ids: Sequence[int]) -> list[int]:
    """Return which of these pictures a status shows."""
    cursor = await conn.execute("SELECT media_id FROM attachments WHERE media_id = ANY(%s)", (list(media_ids),))
    return [media_id for (media_id,) in await cursor.fetchall()]


async def pull_statuses(
    conn: Connection, viewer_id: int, author_ids: Sequence[int], page: Page
) -> list[tuple[int, int]]:
    """Return (id, author) of a page of these authors' statuses, newest first, of direct ones the viewer's own only.

    An index range per author, then a merge.
    """
    newest = """
        SELECT pulled.id, pulled.account_id FROM unnest(%(author_ids)s::bigint[]) AS author(id) CROSS JOIN LATERAL (
            SELECT id, account_id FROM statuses
            WHERE account_id = author.id AND id < %(below)s AND id > %(above)s
                AND (visibility <> %(direct)s OR account_id = %(viewer_id)s)
            ORDER BY id DESC LIMIT %(limit)s
        ) AS pulled ORDER BY pulled.id DESC LIMIT %(limit)s
        """
    oldest = """
        SELECT pulled.id, pulled.account_id FROM unnest(%(author_ids)s::bigint[]) AS author(id) CROSS JOIN LATERAL (
            SELECT id, account_id FROM statuses
            WHERE account_id = author.id AND id < %(below)s AND id > %(above)s
                AND (visibility <> %(direct)s OR account_id = %(viewer_id)s)
            ORDER BY id ASC LIMIT %(limit)s
        ) AS pulled ORDER BY pulled.id ASC LIMIT %(limit)s
        """
    cursor = await conn.execute(
        oldest if page.upwards else newest,
        {
            "viewer_id": viewer_id,
            "author_ids": list(author_ids),
            "direct": Visibility.DIRECT.value,
            **page.parameters(),
        },
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
    """Return the count and the last id of each account that has statuses, without direct ones, which are nobody's business."""
    cursor = await conn.execute(
        "SELECT account_id, statuses, last_id FROM authors WHERE account_id = ANY(%s::bigint[]) AND statuses > 0",
        (array_of(set(account_ids)),),
    )
    return [StatusCount(*row) for row in await cursor.fetchall()]
