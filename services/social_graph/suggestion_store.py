"""Every SQL text about suggestions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from psycopg.rows import class_row

from chassis.database import Connection
from services.social_graph.domain import MAX_SAMPLES, Block, Progress, Suggestion

RUN_LOCK_KEY = 0x73756767  # "sugg"
CUT_SECONDS = 30


@dataclass(frozen=True)
class Neighbour:
    """All friends of one account of a group's surroundings."""

    account_id: int
    is_mutual: bool
    """Friend of a member of the group, and to be taken into account; else a member itself."""
    friend_ids: list[int]


async def group_members(conn: Connection, account_ids: Sequence[int], max_wedges: int) -> list[list[int]]:
    """Return those of these members that have friends, in groups to compute together.

    The friends of a group's members have about `max_wedges` friends in all; a member whose friends alone have more is a group
    of its own.
    """
    cursor = await conn.execute(
        """
        WITH reach AS (
            SELECT friendships.account_id, sum(friend.friends_count) AS wedges
            FROM friendships JOIN members AS friend ON friend.account_id = friend_id
            WHERE friendships.account_id = ANY(%(account_ids)s::bigint[]) GROUP BY friendships.account_id
        ),
        cut AS (
            SELECT account_id, CASE WHEN wedges > %(max_wedges)s THEN account_id END AS alone,
                div(sum(wedges) FILTER (WHERE wedges <= %(max_wedges)s) OVER (ORDER BY account_id), %(max_wedges)s) AS part
            FROM reach
        )
        SELECT array_agg(account_id ORDER BY account_id) FROM cut GROUP BY alone, part ORDER BY 1
        """,
        {"account_ids": list(account_ids), "max_wedges": max_wedges},
    )
    return [group for (group,) in await cursor.fetchall()]


async def read_surroundings(
    conn: Connection, group: Sequence[int], max_wedges: int
) -> tuple[datetime, list[Neighbour]]:
    """Return the friends of the members of a group and of all their friends, and when that was read, in one query.

    Of the friends of a single member whose friends have more than `max_wedges` friends in all, those with the fewest are
    taken into account: they weigh most.
    """
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(
            """
            WITH near AS (
                SELECT friend_id, sum(friend.friends_count) OVER (
                    PARTITION BY friendships.account_id ORDER BY friend.friends_count, friend_id
                ) AS wedges
                FROM friendships JOIN members AS friend ON friend.account_id = friend_id
                WHERE friendships.account_id = ANY(%(group)s::bigint[])
            ),
            loaded AS (
                SELECT id, bool_or(is_mutual) AS is_mutual FROM (
                    SELECT id, false AS is_mutual FROM unnest(%(group)s::bigint[]) AS member(id)
                    UNION ALL
                    SELECT friend_id, true FROM near WHERE wedges <= %(max_wedges)s OR %(take_all)s
                ) AS account GROUP BY id
            )
            SELECT statement_timestamp(), id, is_mutual, array_agg(friend_id)
            FROM loaded JOIN friendships ON account_id = id GROUP BY id, is_mutual
            """,
            {"group": list(group), "max_wedges": max_wedges, "take_all": len(group) > 1},
        )
        rows = await cursor.fetchall()
    if not rows:
        return datetime.min, []
    return rows[0][0], [Neighbour(*row[1:]) for row in rows]


async def save_suggestions(
    conn: Connection, computed_at: datetime, suggestions: Mapping[int, Sequence[Suggestion]]
) -> None:
    """Replace the suggestions of members in the caller's transaction, except where newer ones are there."""
    async with conn.cursor() as cursor:
        await cursor.executemany(
            """
            INSERT INTO suggestions AS stored
                (account_id, computed_at, suggested_ids, scores, mutual_counts, sample_friend_ids)
            VALUES (%s, %s, %s::bigint[], %s::double precision[], %s::integer[], %s::bigint[])
            ON CONFLICT (account_id) DO UPDATE SET
                computed_at = excluded.computed_at,
                suggested_ids = excluded.suggested_ids,
                scores = excluded.scores,
                mutual_counts = excluded.mutual_counts,
                sample_friend_ids = excluded.sample_friend_ids
            WHERE stored.computed_at <= excluded.computed_at
            """,
            [
                (
                    account_id,
                    computed_at,
                    [suggestion.account_id for suggestion in best],
                    [suggestion.score for suggestion in best],
                    [suggestion.mutual_friends_count for suggestion in best],
                    list(chain.from_iterable(_samples(suggestion) for suggestion in best)),
                )
                for account_id, best in sorted(suggestions.items())  # one order for all workers: none waits in a circle
            ],
        )


def _samples(suggestion: Suggestion) -> list[int]:
    ids = list(suggestion.mutual_friend_ids[:MAX_SAMPLES])
    return ids + [0] * (MAX_SAMPLES - len(ids))


async def delete_suggestions(conn: Connection, account_ids: Sequence[int]) -> None:
    """Delete the suggestions of those of these members that have no friends."""
    await conn.execute(
        "DELETE FROM suggestions WHERE account_id = ANY(%(account_ids)s::bigint[]) AND NOT EXISTS ("
        " SELECT FROM friendships WHERE friendships.account_id = suggestions.account_id)",
        {"account_ids": list(account_ids)},
    )


async def list_suggestions(conn: Connection, viewer_id: int, limit: int) -> list[Suggestion]:
    """Return the best suggestions that may be shown to the viewer now, each with the mutual friends that still are."""
    cursor = await conn.execute(
        """
        WITH candidate AS (
            SELECT unnested.id, unnested.score, unnested.mutual_count, unnested.place,
                sample_friend_ids[(unnested.place - 1) * 3 + 1 : unnested.place * 3] AS sample_ids
            FROM suggestions, unnest(suggested_ids, scores, mutual_counts)
                WITH ORDINALITY AS unnested(id, score, mutual_count, place)
            WHERE account_id = %(viewer)s
        )
        SELECT candidate.id AS account_id, score, mutual_count AS mutual_friends_count, ARRAY(
            SELECT sample.id FROM unnest(sample_ids) WITH ORDINALITY AS sample(id, place)
            WHERE EXISTS (SELECT FROM friendships WHERE account_id = %(viewer)s AND friend_id = sample.id)
            AND EXISTS (SELECT FROM friendships WHERE account_id = candidate.id AND friend_id = sample.id)
            AND NOT EXISTS (SELECT FROM blocks WHERE account_id = %(viewer)s AND target_id = sample.id)
            AND NOT EXISTS (SELECT FROM blocks WHERE account_id = sample.id AND target_id = %(viewer)s)
            ORDER BY sample.place
        ) AS mutual_friend_ids
        FROM candidate
        WHERE candidate.id <> %(viewer)s
        AND NOT EXISTS (SELECT FROM friendships WHERE account_id = %(viewer)s AND friend_id = candidate.id)
        AND NOT EXISTS (SELECT FROM waiting_requests WHERE requester_id = %(viewer)s AND target_id = candidate.id)
        AND NOT EXISTS (SELECT FROM waiting_requests WHERE requester_id = candidate.id AND target_id = %(viewer)s)
        AND NOT EXISTS (SELECT FROM active_mutes WHERE account_id = %(viewer)s AND target_id = candidate.id)
        AND NOT EXISTS (SELECT FROM blocks WHERE account_id = %(viewer)s AND target_id = candidate.id)
        AND NOT EXISTS (SELECT FROM blocks WHERE account_id = candidate.id AND target_id = %(viewer)s)
        AND NOT EXISTS (SELECT FROM dismissals WHERE account_id = %(viewer)s AND target_id = candidate.id)
        ORDER BY candidate.place LIMIT %(limit)s
        """,
        {"viewer": viewer_id, "limit": limit},
    )
    return [
        Suggestion(account_id, score, mutual_count, tuple(sample_ids))
        for account_id, score, mutual_count, sample_ids in await cursor.fetchall()
    ]


async def insert_dismissal(conn: Connection, account_id: int, target_id: int) -> None:
    """Never suggest the target to the account again."""
    await conn.execute(
        "INSERT INTO dismissals (account_id, target_id) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        (account_id, target_id),
    )


async def lock_run(conn: Connection) -> None:
    """Let one transaction at a time look for open blocks and queue new ones."""
    await conn.execute("SELECT pg_advisory_xact_lock(%s)", (RUN_LOCK_KEY,))


async def count_open(conn: Connection) -> tuple[int, int]:
    """Return how many blocks wait to be computed, and how many members are in them."""
    cursor = await conn.execute(
        """
        SELECT count(DISTINCT ledger.id), count(members.account_id) FROM ledger
        LEFT JOIN members ON friends_count > 0
            AND account_id > (payload ->> 'after_id')::bigint AND account_id <= (payload ->> 'until_id')::bigint
        WHERE task = 'suggestions.compute' AND dead_at IS NULL
        """
    )
    row = await cursor.fetchone()
    assert row is not None
    blocks, members = row
    return blocks, members


async def cut_blocks(conn: Connection, max_wedges: int, max_members: int) -> list[Block]:
    """Return all members with friends in blocks, ascending, whose friends have about `max_wedges` friends in all."""
    # It reads all friendships once, for an operator: longer than a request may take.
    await conn.execute("SELECT set_config('statement_timeout', %s, true)", (f"{CUT_SECONDS}s",))
    async with conn.cursor(row_factory=class_row(Block)) as cursor:
        await cursor.execute(
            """
            WITH reach AS (
                SELECT friendships.account_id, least(sum(friend.friends_count), %(max_wedges)s) AS wedges
                FROM friendships JOIN members AS friend ON friend.account_id = friend_id GROUP BY friendships.account_id
            ),
            cut AS (
                SELECT account_id, div(sum(wedges) OVER (ORDER BY account_id), %(max_wedges)s) AS part,
                    (row_number() OVER (ORDER BY account_id) - 1) / %(max_members)s AS thousand
                FROM reach
            )
            SELECT min(account_id) - 1 AS after_id, max(account_id) AS until_id, count(*) AS members
            FROM cut GROUP BY part, thousand ORDER BY until_id
            """,
            {"max_wedges": max_wedges, "max_members": max_members},
        )
        return await cursor.fetchall()


async def list_members_between(conn: Connection, after_id: int, until_id: int) -> list[int]:
    """Return the members with friends whose ids are above one and not above another, ascending."""
    cursor = await conn.execute(
        "SELECT account_id FROM members WHERE friends_count > 0 AND account_id > %s AND account_id <= %s"
        " ORDER BY account_id",
        (after_id, until_id),
    )
    return [account_id for (account_id,) in await cursor.fetchall()]


async def count_members(conn: Connection) -> Progress:
    """Return how many members have friends, and how many of those have suggestions computed."""
    async with conn.cursor(row_factory=class_row(Progress)) as cursor:
        await cursor.execute(
            "SELECT count(*) AS members, count(suggestions.account_id) AS members_computed"
            " FROM members LEFT JOIN suggestions USING (account_id) WHERE friends_count > 0"
        )
        progress = await cursor.fetchone()
    assert progress is not None
    return progress
