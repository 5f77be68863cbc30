"""Every SQL text about what becomes of suggestions: shown, asked for friendship, accepted."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from chassis.database import Connection

REMEMBERED_DAYS = 7
"""How long after it was shown a suggestion counts as what a request came from."""
EXPIRED_STEP = 1000


@dataclass(frozen=True)
class Shown:
    """One suggestion that a member was shown."""

    viewer_id: int
    account_id: int
    source: int
    rank: int
    """Its place in the list, from 1."""


@dataclass(frozen=True)
class Outcome:
    """What became of suggestions from one source at one place in the list."""

    source: int
    rank: int
    shown: int
    sent: int
    accepted: int


async def save_shown(conn: Connection, shown: Sequence[Shown]) -> list[Outcome]:
    """Remember what members were shown, 50 for each, and count what they had not been shown lately; return that count.

    In the caller's transaction.
    """
    parameters = {
        "viewer_ids": [one.viewer_id for one in shown],
        "account_ids": [one.account_id for one in shown],
        "sources": [one.source for one in shown],
        "ranks": [one.rank for one in shown],
        "days": REMEMBERED_DAYS,
    }
    async with conn.cursor(row_factory=class_row(Outcome)) as cursor:
        await cursor.execute(
            """
            WITH seen AS MATERIALIZED (
                SELECT * FROM unnest(
                    %(viewer_ids)s::bigint[], %(account_ids)s::bigint[], %(sources)s::smallint[], %(ranks)s::smallint[]
                ) AS seen(viewer_id, id, source, rank)
            ),
            old AS MATERIALIZED (
                SELECT s.account_id AS viewer_id, o.id, o.source, o.rank, o.place
                FROM shown_suggestions AS s, unnest(suggested_ids, sources, ranks)
                    WITH ORDINALITY AS o(id, source, rank, place)
                WHERE s.account_id = ANY(%(viewer_ids)s::bigint[]) AND shown_at > now() - %(days)s * interval '1 day'
            ),
            merged AS (
                SELECT viewer_id, id, source, rank,
                    row_number() OVER (PARTITION BY viewer_id ORDER BY is_old, place) AS place
                FROM (
                    SELECT viewer_id, id, source, rank, 0 AS is_old, rank::bigint AS place FROM seen
                    UNION ALL
                    SELECT viewer_id, id, source, rank, 1, place FROM old
                    WHERE NOT EXISTS (SELECT FROM seen WHERE seen.viewer_id = old.viewer_id AND seen.id = old.id)
                ) AS both_lists
            ),
            saved AS (
                INSERT INTO shown_suggestions (account_id, suggested_ids, sources, ranks)
                SELECT viewer_id, array_agg(id ORDER BY place), array_agg(source ORDER BY place), array_agg(rank ORDER BY place)
                FROM merged WHERE place <= 50 GROUP BY viewer_id ORDER BY viewer_id
                ON CONFLICT (account_id) DO UPDATE SET shown_at = excluded.shown_at,
                    suggested_ids = excluded.suggested_ids, sources = excluded.sources, ranks = excluded.ranks
            ),
            fresh AS (
                SELECT source, rank, count(*) AS shown FROM seen
                WHERE NOT EXISTS (SELECT FROM old WHERE old.viewer_id = seen.viewer_id AND old.id = seen.id)
                GROUP BY source, rank
            ),
            counted AS (
                INSERT INTO suggestion_outcomes AS o (source, rank, shown)
                SELECT source, rank, shown FROM fresh ORDER BY source, rank
                ON CONFLICT (source, rank) DO UPDATE SET shown = o.shown + excluded.shown
            )
            SELECT source, rank, shown, 0 AS sent, 0 AS accepted FROM fresh
            """,
            parameters,
        )
        return await cursor.fetchall()


async def count_sent(conn: Connection, requester_id: int, target_id: int) -> tuple[int, int] | None:
    """Count a request where the requester was shown its target lately, and note that on it; return (source, rank) then.

    In the transaction that has inserted the request.
    """
    cursor = await conn.execute(
        """
        WITH shown AS (
            SELECT source, rank FROM shown_suggestions, unnest(suggested_ids, sources, ranks) AS one(id, source, rank)
            WHERE account_id = %(requester_id)s AND id = %(target_id)s
            AND shown_at > statement_timestamp() - %(days)s * interval '1 day'
        ),
        noted AS (
            UPDATE friend_requests SET suggested_source = source, suggested_rank = rank FROM shown
            WHERE requester_id = %(requester_id)s AND target_id = %(target_id)s
        )
        INSERT INTO suggestion_outcomes AS o (source, rank, sent) SELECT source, rank, 1 FROM shown
        ON CONFLICT (source, rank) DO UPDATE SET sent = o.sent + 1
        RETURNING source, rank
        """,
        {"requester_id": requester_id, "target_id": target_id, "days": REMEMBERED_DAYS},
    )
    row = await cursor.fetchone()
    return (row[0], row[1]) if row else None


async def count_accepted(conn: Connection, requester_id: int, target_id: int) -> tuple[int, int] | None:
    """Count that a request is accepted where it came from a suggestion; return (source, rank) then.

    In the transaction that makes friends of them, while the request is still there.
    """
    cursor = await conn.execute(
        """
        INSERT INTO suggestion_outcomes AS o (source, rank, accepted)
        SELECT suggested_source, suggested_rank, 1 FROM waiting_requests JOIN friend_requests USING (requester_id, target_id)
        WHERE requester_id = %s AND target_id = %s AND suggested_source IS NOT NULL
        ON CONFLICT (source, rank) DO UPDATE SET accepted = o.accepted + 1
        RETURNING source, rank
        """,
        (requester_id, target_id),
    )
    row = await cursor.fetchone()
    return (row[0], row[1]) if row else None


async def list_outcomes(conn: Connection) -> list[Outcome]:
    """Return all counts, by source and rank."""
    async with conn.cursor(row_factory=class_row(Outcome)) as cursor:
        await cursor.execute(
            "SELECT source, rank, shown, sent, accepted FROM suggestion_outcomes ORDER BY source, rank"
        )
        return await cursor.fetchall()


async def delete_forgotten(conn: Connection) -> int:
    """Delete up to 1,000 lists that were shown too long ago to count; return how many."""
    cursor = await conn.execute(
        "DELETE FROM shown_suggestions WHERE account_id IN ("
        " SELECT account_id FROM shown_suggestions WHERE shown_at <= now() - %s * interval '1 day'"
        " LIMIT %s FOR UPDATE SKIP LOCKED)",
        (REMEMBERED_DAYS, EXPIRED_STEP),
    )
    return cursor.rowcount
