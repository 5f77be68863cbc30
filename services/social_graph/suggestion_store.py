"""Every SQL text about what is suggested to whom, and what they say to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from chassis.database import Connection
from services.social_graph.domain import DismissedSuggestion, Source

EXPIRED_STEP = 1000
EXPORT_STEP = 1000


@dataclass(frozen=True)
class Candidate:
    """Somebody who may be suggested as far as this service knows."""

    account_id: int
    source: Source


@dataclass(frozen=True)
class MutualFriends:
    """Whom a viewer and an account both have for friends: those that weigh most first."""

    account_id: int
    friend_ids: list[int]
    weights: list[float]
    """What each adds to the score."""


@dataclass(frozen=True)
class StoredSuggestions:
    """What is stored for a member, the best first."""

    account_id: int
    suggested_ids: list[int]
    scores: list[float]
    sources: list[int]


async def list_candidates(conn: Connection, viewer_id: int) -> list[Candidate]:
    """Return those of the stored suggestions that may be shown to the viewer now, the best first."""
    cursor = await conn.execute(
        """
        WITH stored AS (
            SELECT suggested_ids, sources FROM (
                SELECT snapshot_at AS computed_at, suggested_ids, sources
                FROM suggestions JOIN generations ON generations.id = generation
                WHERE generation = (SELECT max(id) FROM generations WHERE state = 'done') AND account_id = %(viewer_id)s
                UNION ALL
                SELECT computed_at, suggested_ids, sources FROM refreshed_suggestions WHERE account_id = %(viewer_id)s
            ) AS either ORDER BY computed_at DESC LIMIT 1
        )
        SELECT candidate.id, source FROM stored, unnest(suggested_ids, sources)
            WITH ORDINALITY AS candidate(id, source, place)
        WHERE candidate.id <> %(viewer_id)s
        AND NOT EXISTS (SELECT FROM set_apart WHERE account_id = %(viewer_id)s AND other_id = candidate.id)
        ORDER BY place
        """,
        {"viewer_id": viewer_id},
    )
    return [Candidate(an_id, Source(source)) for an_id, source in await cursor.fetchall()]


async def list_friends_of_friends(
    conn: Connection, viewer_id: int, left_out: Sequence[int], max_wedges: int, limit: int
) -> list[int]:
    """Return those of the viewer's friends' friends that may be shown now, by what their mutual friends weigh.

    A mutual friend weighs one divided by the number of their friends (resource allocation). Friends with the fewest friends count, as
    far as these are not more than `max_wedges` in all.
    """
    cursor = await conn.execute(
        """
        WITH near AS (
            SELECT friend_id, friends_count, sum(friends_count) OVER (ORDER BY friends_count, friend_id) AS wedges
            FROM friendships JOIN members ON members.account_id = friend_id WHERE friendships.account_id = %(viewer_id)s
        ),
        candidate AS (
            SELECT theirs.friend_id AS id, sum(1.0::float8 / greatest(friends_count, 1)) AS score
            FROM near JOIN friendships AS theirs ON theirs.account_id = near.friend_id
            WHERE wedges <= %(max_wedges)s AND theirs.friend_id <> ALL(%(left_out)s::bigint[])
            GROUP BY theirs.friend_id
        )
        SELECT id FROM candidate WHERE id <> %(viewer_id)s
        AND NOT EXISTS (SELECT FROM set_apart WHERE account_id = %(viewer_id)s AND other_id = id)
        ORDER BY score DESC, id LIMIT %(limit)s
        """,
        {"viewer_id": viewer_id, "left_out": list(left_out), "max_wedges": max_wedges, "limit": limit},
    )
    return [an_id for (an_id,) in await cursor.fetchall()]


async def keep_suggestable(conn: Connection, viewer_id: int, account_ids: Sequence[int]) -> list[int]:
    """Return those of these accounts that may be shown to the viewer now, in their order."""
    cursor = await conn.execute(
        """
        SELECT candidate.id FROM unnest(%(account_ids)s::bigint[]) WITH ORDINALITY AS candidate(id, place)
        WHERE candidate.id <> %(viewer_id)s
        AND NOT EXISTS (SELECT FROM set_apart WHERE account_id = %(viewer_id)s AND other_id = candidate.id)
        ORDER BY place
        """,
        {"viewer_id": viewer_id, "account_ids": list(account_ids)},
    )
    return [an_id for (an_id,) in await cursor.fetchall()]


async def list_set_apart(conn: Connection, account_ids: Sequence[int]) -> dict[int, set[int]]:
    """Return whom each of these accounts may not be suggested now besides its friends, for those that have any."""
    cursor = await conn.execute(
        """
        SELECT account_id, array_agg(other_id) FROM set_apart WHERE account_id = ANY(%(account_ids)s::bigint[])
        AND NOT EXISTS (
            SELECT FROM friendships AS f WHERE f.account_id = set_apart.account_id AND f.friend_id = other_id
        )
        GROUP BY account_id
        """,
        {"account_ids": list(account_ids)},
    )
    return {an_id: set(others) for an_id, others in await cursor.fetchall()}


async def list_mutual_friends(conn: Connection, viewer_id: int, account_ids: Sequence[int]) -> dict[int, MutualFriends]:
    """Return whom the viewer and each of these accounts both have for friends, for those where there is anybody.

    Nobody whom the viewer blocks or is blocked by. The weights are those of the current generation's model, one divided by the number
    of friends before there is one.
    """
    async with conn.cursor(row_factory=class_row(MutualFriends)) as cursor:
        await cursor.execute(
            """
            WITH model AS (
                SELECT coalesce((m.model ->> 'a')::float8, 1) AS a, coalesce((m.model ->> 'b')::float8, 0) AS b
                FROM (VALUES (0)) AS always LEFT JOIN LATERAL (
                    SELECT model FROM generations WHERE state = 'done' ORDER BY id DESC LIMIT 1
                ) AS m ON true
            ),
            mutual AS (
                SELECT asked.id, mine.friend_id, power(greatest(friend.friends_count, 1), -a)
                    * power(greatest(own.friends_count, 1), -b) AS weight
                FROM model CROSS JOIN unnest(%(account_ids)s::bigint[]) AS asked(id)
                JOIN members AS own ON own.account_id = asked.id
                JOIN friendships AS theirs ON theirs.account_id = asked.id
                JOIN friendships AS mine ON mine.account_id = %(viewer_id)s AND mine.friend_id = theirs.friend_id
                JOIN members AS friend ON friend.account_id = mine.friend_id
                WHERE NOT EXISTS (SELECT FROM blocks WHERE account_id = %(viewer_id)s AND target_id = mine.friend_id)
                AND NOT EXISTS (SELECT FROM blocks WHERE account_id = mine.friend_id AND target_id = %(viewer_id)s)
            )
            SELECT id AS account_id, array_agg(friend_id ORDER BY weight DESC, friend_id) AS friend_ids,
                array_agg(weight ORDER BY weight DESC, friend_id) AS weights
            FROM mutual GROUP BY id
            """,
            {"viewer_id": viewer_id, "account_ids": list(account_ids)},
        )
        return {mutual.account_id: mutual for mutual in await cursor.fetchall()}


async def save_refreshed(conn: Connection, computed_at: datetime, suggestions: Sequence[StoredSuggestions]) -> None:
    """Replace what was computed for single members, except where something later is there."""
    async with conn.cursor() as cursor:
        await cursor.executemany(
            """
            INSERT INTO refreshed_suggestions AS stored (account_id, computed_at, suggested_ids, scores, sources)
            VALUES (%s, %s, %s::bigint[], %s::real[], %s::smallint[])
            ON CONFLICT (account_id) DO UPDATE SET
                computed_at = excluded.computed_at,
                suggested_ids = excluded.suggested_ids,
                scores = excluded.scores,
                sources = excluded.sources
            WHERE stored.computed_at <= excluded.computed_at
            """,
            [
                (each.account_id, computed_at, each.suggested_ids, each.scores, each.sources)
                for each in sorted(suggestions, key=lambda each: each.account_id)  # one order: none waits in a circle
            ],
        )


async def find_stored(conn: Connection, account_ids: Sequence[int]) -> dict[int, StoredSuggestions]:
    """Return what is stored for those of these members for whom anything is."""
    async with conn.cursor(row_factory=class_row(StoredSuggestions)) as cursor:
        await cursor.execute(
            """
            SELECT DISTINCT ON (account_id) account_id, suggested_ids, scores, sources FROM (
                SELECT snapshot_at AS computed_at, account_id, suggested_ids, scores, sources
                FROM suggestions JOIN generations ON generations.id = generation
                WHERE generation = (SELECT max(id) FROM generations WHERE state = 'done')
                AND account_id = ANY(%(account_ids)s::bigint[])
                UNION ALL
                SELECT computed_at, account_id, suggested_ids, scores, sources FROM refreshed_suggestions
                WHERE account_id = ANY(%(account_ids)s::bigint[])
            ) AS either ORDER BY account_id, computed_at DESC
            """,
            {"account_ids": list(account_ids)},
        )
        return {stored.account_id: stored for stored in await cursor.fetchall()}


async def list_members_after(conn: Connection, after_id: int) -> list[int]:
    """Return up to 1,000 members with ids above one, ascending."""
    cursor = await conn.execute(
        "SELECT account_id FROM members WHERE account_id > %s ORDER BY account_id LIMIT %s", (after_id, EXPORT_STEP)
    )
    return [an_id for (an_id,) in await cursor.fetchall()]


async def upsert_dismissal(conn: Connection, account_id: int, target_id: int, days: int) -> None:
    """Do not suggest the target to the account for so many days, 0 for good. One that has not ended stays as it is."""
    await conn.execute(
        "INSERT INTO dismissals AS d (account_id, target_id, expires_at)"
        " VALUES (%(account_id)s, %(target_id)s, statement_timestamp() + nullif(%(days)s::integer, 0) * interval '1 day')"
        " ON CONFLICT (account_id, target_id) DO UPDATE SET created_at = excluded.created_at,"
        " expires_at = excluded.expires_at WHERE d.expires_at <= statement_timestamp()",
        {"account_id": account_id, "target_id": target_id, "days": days},
    )


async def delete_dismissal(conn: Connection, account_id: int, target_id: int) -> None:
    """Let the target be suggested again."""
    await conn.execute("DELETE FROM dismissals WHERE account_id = %s AND target_id = %s", (account_id, target_id))


async def list_dismissals(
    conn: Connection, account_id: int, before: tuple[datetime, int] | None, limit: int
) -> list[DismissedSuggestion]:
    """Return whom an account has dismissed, the latest first, from after a (created_at, target_id)."""
    created_at, target_id = before or (None, 0)
    async with conn.cursor(row_factory=class_row(DismissedSuggestion)) as cursor:
        await cursor.execute(
            "SELECT target_id AS account_id, created_at, expires_at FROM active_dismissals"
            " WHERE account_id = %(account_id)s"
            " AND (created_at, target_id) < (coalesce(%(before)s::timestamptz, 'infinity'), %(before_id)s::bigint)"
            " ORDER BY created_at DESC, target_id DESC LIMIT %(limit)s",
            {"account_id": account_id, "before": created_at, "before_id": target_id, "limit": limit},
        )
        return await cursor.fetchall()


async def is_dismissed(conn: Connection, account_id: int, target_id: int) -> bool:
    """Tell whether an account has dismissed another, and that holds."""
    cursor = await conn.execute(
        "SELECT FROM active_dismissals WHERE account_id = %s AND target_id = %s", (account_id, target_id)
    )
    return cursor.rowcount > 0


async def delete_expired_dismissals(conn: Connection) -> int:
    """Delete up to 1,000 dismissals that have ended; return how many."""
    cursor = await conn.execute(
        "DELETE FROM dismissals WHERE (account_id, target_id) IN ("
        " SELECT account_id, target_id FROM dismissals WHERE expires_at <= statement_timestamp()"
        " ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED)",
        (EXPIRED_STEP,),
    )
    return cursor.rowcount


async def count_members(conn: Connection) -> tuple[int, int]:
    """Return how many members have friends, and for how many members suggestions are stored."""
    cursor = await conn.execute(
        """
        SELECT (SELECT count(*) FROM members WHERE friends_count > 0), (
            SELECT count(*) FROM (
                SELECT account_id FROM suggestions WHERE generation = (SELECT max(id) FROM generations WHERE state = 'done')
                UNION SELECT account_id FROM refreshed_suggestions
            ) AS stored
        )
        """
    )
    [(members, computed)] = await cursor.fetchall()
    return members, computed
