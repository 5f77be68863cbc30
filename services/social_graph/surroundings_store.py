"""Every SQL text about the friendships around a few members, which their suggestions are computed from when something changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from chassis.database import Connection


@dataclass(frozen=True)
class Surroundings:
    """The friends of some members and of their friends, as of one moment."""

    read_at: datetime
    friends_of: dict[int, list[int]]
    """Of the members and of those of their friends that are taken into account."""
    friends_counts: dict[int, int]
    """How many friends everybody here has in the whole network."""


async def group_members(conn: Connection, account_ids: Sequence[int], max_wedges: int) -> list[list[int]]:
    """Return these members in groups to compute together, whose friends have about `max_wedges` friends in all.

    A member whose friends alone have more is a group of its own; one without friends is in the first.
    """
    cursor = await conn.execute(
        """
        WITH reach AS (
            SELECT asked.id AS account_id, coalesce(sum(friend.friends_count), 0) AS wedges
            FROM unnest(%(account_ids)s::bigint[]) AS asked(id)
            LEFT JOIN friendships ON friendships.account_id = asked.id
            LEFT JOIN members AS friend ON friend.account_id = friend_id
            GROUP BY asked.id
        ),
        cut AS (
            SELECT account_id, CASE WHEN wedges > %(max_wedges)s THEN account_id END AS alone,
                coalesce(
                    div(sum(wedges) FILTER (WHERE wedges <= %(max_wedges)s) OVER (ORDER BY account_id), %(max_wedges)s), 0
                ) AS part
            FROM reach
        )
        SELECT array_agg(account_id ORDER BY account_id) FROM cut GROUP BY alone, part ORDER BY 1
        """,
        {"account_ids": list(account_ids), "max_wedges": max_wedges},
    )
    return [group for (group,) in await cursor.fetchall()]


async def read_surroundings(conn: Connection, members: Sequence[int], max_wedges: int) -> Surroundings:
    """Read what is around members, in the caller's transaction, which must not have read anything yet.

    Of the friends of a single member whose friends have more than `max_wedges` friends in all, those with the fewest are taken into
    account: they weigh most.
    """
    await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    cursor = await conn.execute("SELECT statement_timestamp()")
    [(read_at,)] = await cursor.fetchall()
    async with conn.cursor(binary=True) as rows:
        await rows.execute(
            """
            WITH near AS (
                SELECT friend_id, sum(friend.friends_count) OVER (
                    PARTITION BY friendships.account_id ORDER BY friend.friends_count, friend_id
                ) AS wedges
                FROM friendships JOIN members AS friend ON friend.account_id = friend_id
                WHERE friendships.account_id = ANY(%(members)s::bigint[])
            ),
            loaded AS (
                SELECT id FROM unnest(%(members)s::bigint[]) AS member(id)
                UNION
                SELECT friend_id FROM near WHERE wedges <= %(max_wedges)s OR %(take_all)s
            )
            SELECT account_id, array_agg(friend_id ORDER BY friend_id)
            FROM loaded JOIN friendships ON account_id = id GROUP BY account_id
            """,
            {"members": list(members), "max_wedges": max_wedges, "take_all": len(members) > 1},
        )
        friends_of: dict[int, list[int]] = dict(await rows.fetchall())
        everybody = sorted({*members, *friends_of, *(an_id for ids in friends_of.values() for an_id in ids)})
        await rows.execute(
            "SELECT account_id, friends_count FROM members WHERE account_id = ANY(%s::bigint[])", (everybody,)
        )
        return Surroundings(read_at, friends_of, dict(await rows.fetchall()))


async def read_among(conn: Connection, account_ids: Sequence[int]) -> Surroundings:
    """Read the friendships among accounts, which all are in the answer."""
    cursor = await conn.execute(
        """
        WITH asked AS MATERIALIZED (SELECT DISTINCT id FROM unnest(%(account_ids)s::bigint[]) AS account(id))
        SELECT statement_timestamp(), asked.id, coalesce(friends_count, 0), ARRAY(
            SELECT friend_id FROM friendships JOIN asked AS other ON other.id = friend_id
            WHERE account_id = asked.id ORDER BY friend_id
        ) FROM asked LEFT JOIN members ON account_id = asked.id
        """,
        {"account_ids": list(account_ids)},
    )
    rows = await cursor.fetchall()
    return Surroundings(
        rows[0][0], {an_id: friends for _, an_id, _, friends in rows}, {an_id: count for _, an_id, count, _ in rows}
    )


async def list_neighbours(conn: Connection, account_ids: Sequence[int], limit: int) -> list[int]:
    """Return friends of each of these accounts, so many of each at most, without themselves."""
    cursor = await conn.execute(
        """
        SELECT DISTINCT near.friend_id FROM unnest(%(account_ids)s::bigint[]) AS asked(id)
        CROSS JOIN LATERAL (
            SELECT friend_id FROM friendships WHERE account_id = asked.id ORDER BY created_at DESC LIMIT %(limit)s
        ) AS near
        WHERE near.friend_id <> ALL(%(account_ids)s::bigint[])
        """,
        {"account_ids": list(account_ids), "limit": limit},
    )
    return [an_id for (an_id,) in await cursor.fetchall()]


async def sample_members(conn: Connection, count: int) -> list[int]:
    """Return about so many members with friends, anywhere among all."""
    cursor = await conn.execute(
        """
        SELECT DISTINCT found.account_id
        FROM (SELECT min(account_id) AS low, max(account_id) AS high FROM members) AS span,
            generate_series(1, %s) AS number
        CROSS JOIN LATERAL (
            SELECT account_id FROM members
            WHERE friends_count > 0 AND account_id >= span.low + (random() * (span.high - span.low) + number * 0)::bigint
            ORDER BY account_id LIMIT 1
        ) AS found
        """,
        (count,),
    )
    return [an_id for (an_id,) in await cursor.fetchall()]
