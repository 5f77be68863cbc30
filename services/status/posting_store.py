"""The SQL text that posts many statuses at once."""

from collections.abc import Sequence

import msgspec
from psycopg.types.json import Jsonb

from chassis import topology
from chassis.database import Connection
from chassis.ids import Kind
from chassis.ledger import MAX_SHARING
from services.status.domain import NewStatus, Posted, StatusCount, Visibility, posted_as


async def insert_statuses(conn: Connection, posts: Sequence[NewStatus]) -> list[Posted | None]:
    """Insert statuses that reply to nothing, their idempotency keys and their work in one statement, all or none of them.

    Their fan-outs share ledger rows: a row for each would cost as much as the statuses themselves.
    None in the place of one whose key was used within a day, is just being used, or is used by another before it in the list. It says
    of each what `store.insert_status` says of one.
    """
    cursor = await conn.execute(
        """
        WITH asked AS (
            SELECT * FROM jsonb_to_recordset(%(posts)s) AS asked(
                number integer, account_id bigint, request_id text, fingerprint text, text text, visibility smallint,
                mentioned_ids bigint[], mentioned_handles text[], notified bigint[]
            )
        ),
        made AS MATERIALIZED (
            SELECT *, next_id(%(kind)s) AS id FROM (
                SELECT DISTINCT ON (account_id, request_id, CASE WHEN request_id = '' THEN number END) * FROM asked
                ORDER BY account_id, request_id, CASE WHEN request_id = '' THEN number END, number
            ) AS first
            WHERE request_id = '' OR try_claim(account_id, request_id)
        ),
        claimed AS (
            INSERT INTO claims AS k (account_id, request_id, fingerprint, made_id)
            SELECT account_id, request_id, decode(fingerprint, 'hex'), id FROM made WHERE request_id <> ''
            ON CONFLICT (account_id, request_id) DO UPDATE
            SET fingerprint = excluded.fingerprint, answer = NULL, made_id = excluded.made_id, created_at = now()
            WHERE k.created_at < now() - interval '1 day'
            RETURNING made_id
        ),
        posted AS (
            INSERT INTO statuses (account_id, id, text, visibility, mentioned_ids, mentioned_handles)
            SELECT account_id, id, text, visibility, mentioned_ids, mentioned_handles FROM made
            WHERE request_id = '' OR id IN (SELECT made_id FROM claimed)
            RETURNING id
        ),
        work AS (
            INSERT INTO ledger (task, queue, payload)
            SELECT t.task, t.queue, CASE count(*) WHEN 1 THEN jsonb_agg(made.payload) -> 0 ELSE jsonb_agg(made.payload) END
            FROM (
                SELECT jsonb_build_object('entry_id', id, 'author_id', account_id) AS payload,
                    (row_number() OVER (ORDER BY id) - 1) / %(max_sharing)s AS part
                FROM posted JOIN made USING (id) WHERE visibility <> %(direct)s
            ) AS made, unnest(%(tasks)s::text[], %(queues)s::text[]) AS t(task, queue)
            GROUP BY t.task, t.queue, made.part
        ),
        notices AS (
            INSERT INTO ledger (task, queue, payload)
            SELECT t.task, t.queue, jsonb_build_object(
                'account_id', notified.id, 'from_id', made.account_id, 'status_id', made.id
            )
            FROM posted JOIN made USING (id), unnest(made.notified) AS notified(id),
                unnest(%(notice_tasks)s::text[], %(notice_queues)s::text[]) AS t(task, queue)
        )
        SELECT made.number, made.id, coalesce(before.statuses, 0), coalesce(before.last_id, 0)
        FROM posted JOIN made USING (id) LEFT JOIN authors AS before ON before.account_id = made.account_id
        ORDER BY made.id
        """,
        {
            "kind": Kind.STATUS.value,
            "direct": Visibility.DIRECT.value,
            "max_sharing": MAX_SHARING,
            "posts": Jsonb([_as_json(number, post) for number, post in enumerate(posts)], dumps=msgspec.json.encode),
            **topology.tasks_of("status.published"),
            **{f"notice_{name}": values for name, values in topology.tasks_of("status.mentioned").items()},
        },
    )
    posted: dict[int, Posted] = {}
    counts: dict[int, StatusCount] = {}
    for number, status_id, statuses, last_id in await cursor.fetchall():
        author_id = posts[number].account_id
        before = counts.get(author_id) or StatusCount(author_id, statuses, last_id)
        posted[number] = posted_as(posts[number], status_id, before)
        counts[author_id] = posted[number].counted
    return [posted.get(number) for number in range(len(posts))]


def _as_json(number: int, post: NewStatus) -> dict[str, object]:
    return {
        "number": number,
        "account_id": post.account_id,
        "request_id": post.request_id,
        "fingerprint": post.fingerprint.hex() if post.request_id else "",
        "text": post.text,
        "visibility": post.visibility.value,
        "mentioned_ids": list(post.mentioned.values()),
        "mentioned_handles": list(post.mentioned),
        "notified": post.notified,
    }
