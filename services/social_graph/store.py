"""Every SQL text about friendships, requests and blocks. Those about mutes and suggestions are in stores of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from chassis.database import Connection, array_of
from services.social_graph.domain import BlockedAccount, Friend, FriendRequest, Pair, Relationship

EXPIRED_STEP = 1000


@dataclass(frozen=True)
class Gain:
    """How many friends a member has gained, and how many it has now."""

    account_id: int
    gained: int
    friends_count: int


async def lock_members(conn: Connection, account_ids: Sequence[int]) -> dict[int, int]:
    """Lock members until the transaction ends, low id first, and return how many friends each has.

    What is read in this transaction after it is what no other change of these members' edges can touch.
    """
    # Rows are inserted in the order of ids too, before any lock is taken: so two transactions can never wait for each other.
    await conn.execute(
        "INSERT INTO members (account_id)"
        " SELECT DISTINCT id FROM unnest(%s::bigint[]) AS member(id) ORDER BY id ON CONFLICT DO NOTHING",
        (list(account_ids),),
    )
    cursor = await conn.execute(
        "SELECT account_id, friends_count FROM members WHERE account_id = ANY(%s::bigint[])"
        " ORDER BY account_id FOR UPDATE",
        (list(account_ids),),
    )
    return dict(await cursor.fetchall())


async def form_friendships(conn: Connection, pairs: Sequence[Pair]) -> list[Gain]:
    """Make friends of those pairs that are not and where neither blocks the other, and drop what they had asked each other.

    Both members of every pair are locked. Returns who gained friends, in order of ids.
    """
    parameters = {"lows": [pair.low for pair in pairs], "highs": [pair.high for pair in pairs]}
    await conn.execute(
        """
        WITH pair AS (SELECT low, high FROM unnest(%(lows)s::bigint[], %(highs)s::bigint[]) AS pair(low, high)),
        edge(a, b) AS (SELECT low, high FROM pair UNION ALL SELECT high, low FROM pair)
        DELETE FROM friend_requests USING edge WHERE requester_id = edge.a AND target_id = edge.b
        """,
        parameters,
    )
    async with conn.cursor(row_factory=class_row(Gain)) as cursor:
        await cursor.execute(
            """
            WITH pair AS (
                SELECT low, high FROM unnest(%(lows)s::bigint[], %(highs)s::bigint[]) AS pair(low, high)
                WHERE NOT EXISTS (SELECT FROM blocks WHERE account_id = low AND target_id = high)
                AND NOT EXISTS (SELECT FROM blocks WHERE account_id = high AND target_id = low)
            ),
            formed AS (
                INSERT INTO friendships (account_id, friend_id)
                SELECT low, high FROM pair UNION ALL SELECT high, low FROM pair ORDER BY 1, 2
                ON CONFLICT DO NOTHING RETURNING account_id
            ),
            gain AS (SELECT account_id, count(*)::integer AS gained FROM formed GROUP BY account_id),
            counted AS (
                UPDATE members SET friends_count = friends_count + gained FROM gain
                WHERE members.account_id = gain.account_id
                RETURNING members.account_id, gained, friends_count
            )
            SELECT account_id, gained, friends_count FROM counted ORDER BY account_id
            """,
            parameters,
        )
        return await cursor.fetchall()


async def end_friendship(conn: Connection, pair: Pair) -> bool:
    """End a friendship for both, who are locked; tell whether there was one."""
    cursor = await conn.execute(
        """
        WITH ended AS (
            DELETE FROM friendships
            WHERE account_id = %(low)s AND friend_id = %(high)s OR account_id = %(high)s AND friend_id = %(low)s
            RETURNING account_id
        )
        UPDATE members SET friends_count = friends_count - 1 FROM ended WHERE members.account_id = ended.account_id
        """,
        {"low": pair.low, "high": pair.high},
    )
    return cursor.rowcount > 0


async def insert_request(conn: Connection, requester_id: int, target_id: int, days: int) -> None:
    """Let a request wait for its target's answer for some days, in the place of one between the two that has expired.

    Both are locked, and nothing waits between them.
    """
    await conn.execute(
        "DELETE FROM friend_requests WHERE expires_at <= statement_timestamp() AND ("
        " requester_id = %(requester_id)s AND target_id = %(target_id)s"
        " OR requester_id = %(target_id)s AND target_id = %(requester_id)s)",
        {"requester_id": requester_id, "target_id": target_id},
    )
    await conn.execute(
        "INSERT INTO friend_requests (requester_id, target_id, expires_at)"
        " VALUES (%s, %s, statement_timestamp() + %s * interval '1 day')",
        (requester_id, target_id, days),
    )


async def delete_request(conn: Connection, requester_id: int, target_id: int) -> bool:
    """Drop a request; tell whether it still waited."""
    cursor = await conn.execute(
        "DELETE FROM friend_requests WHERE requester_id = %s AND target_id = %s"
        " RETURNING expires_at > statement_timestamp()",
        (requester_id, target_id),
    )
    return await cursor.fetchone() == (True,)


async def delete_expired_requests(conn: Connection) -> int:
    """Delete up to 1,000 requests that nobody has answered in time; return how many."""
    cursor = await conn.execute(
        "DELETE FROM friend_requests WHERE (requester_id, target_id) IN ("
        " SELECT requester_id, target_id FROM friend_requests WHERE expires_at <= statement_timestamp()"
        " ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED)",
        (EXPIRED_STEP,),
    )
    return cursor.rowcount


async def delete_requests_between(conn: Connection, pair: Pair) -> None:
    """Drop what either has asked the other."""
    await conn.execute(
        "DELETE FROM friend_requests WHERE requester_id = %(low)s AND target_id = %(high)s"
        " OR requester_id = %(high)s AND target_id = %(low)s",
        {"low": pair.low, "high": pair.high},
    )


async def insert_block(conn: Connection, account_id: int, target_id: int) -> None:
    """Let an account block another; a second time changes nothing."""
    await conn.execute(
        "INSERT INTO blocks (account_id, target_id) VALUES (%s, %s) ON CONFLICT DO NOTHING", (account_id, target_id)
    )


async def delete_block(conn: Connection, account_id: int, target_id: int) -> None:
    """End a block, if there is one."""
    await conn.execute("DELETE FROM blocks WHERE account_id = %s AND target_id = %s", (account_id, target_id))


async def relate(
    conn: Connection, viewer_id: int, account_ids: Sequence[int], *, with_friends_of_friends: bool = False
) -> list[Relationship]:
    """Return how a viewer stands to each distinct account, in no order, in one query."""
    pairs = [(viewer_id, account_id) for account_id in set(account_ids)]
    return [related for _, related in await relate_pairs(conn, pairs, with_friends_of_friends=with_friends_of_friends)]


async def relate_pairs(
    conn: Connection, pairs: Sequence[tuple[int, int]], *, with_friends_of_friends: bool = False
) -> list[tuple[int, Relationship]]:
    """Return (viewer, how they stand to the account) for distinct pairs of both, in no order, in one query."""
    # Friends of friends are found from the accounts asked for: one index range each, joined with the viewer's friends.
    cursor = await conn.execute(
        """
        WITH asked AS (
            SELECT viewer_id, id FROM unnest(%(viewer_ids)s::bigint[], %(account_ids)s::bigint[]) AS pair(viewer_id, id)
        ),
        with_mutual_friend AS (
            SELECT DISTINCT asked.viewer_id, asked.id FROM asked
            JOIN friendships AS theirs ON theirs.account_id = asked.id
            JOIN friendships AS mine ON mine.account_id = asked.viewer_id AND mine.friend_id = theirs.friend_id
            WHERE %(with_friends_of_friends)s AND asked.id <> asked.viewer_id
        )
        SELECT viewer_id, id AS account_id,
            EXISTS (SELECT FROM friendships WHERE account_id = viewer_id AND friend_id = id) AS is_friend,
            EXISTS (SELECT FROM waiting_requests WHERE requester_id = viewer_id AND target_id = id) AS is_requested,
            EXISTS (SELECT FROM waiting_requests WHERE requester_id = id AND target_id = viewer_id) AS is_requested_by,
            EXISTS (SELECT FROM blocks WHERE account_id = viewer_id AND target_id = id) AS is_blocking,
            EXISTS (SELECT FROM blocks WHERE account_id = id AND target_id = viewer_id) AS is_blocked_by,
            (viewer_id, id) IN (SELECT viewer_id, id FROM with_mutual_friend) AS is_friend_of_friend,
            mute.target_id IS NOT NULL AS is_muting,
            coalesce(mute.hides_notifications, false) AS is_muting_notifications,
            mute.expires_at AS muting_expires_at
        FROM asked LEFT JOIN active_mutes AS mute ON mute.account_id = viewer_id AND mute.target_id = id
        """,
        {
            "viewer_ids": [viewer_id for viewer_id, _ in pairs],
            "account_ids": [account_id for _, account_id in pairs],
            "with_friends_of_friends": with_friends_of_friends,
        },
    )
    return [(row[0], Relationship(*row[1:])) for row in await cursor.fetchall()]


async def relate_briefly(conn: Connection, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Return for each pair of viewer and account, in their order, how they stand, as BatchRelate says it: a sum of 1, 2 and 4."""
    cursor = await conn.execute(
        """
        SELECT array_agg(relation ORDER BY number) FROM (
            SELECT number,
                EXISTS (SELECT FROM friendships WHERE account_id = viewer_id AND friend_id = id)::int
                + 2 * (
                    EXISTS (SELECT FROM blocks WHERE account_id = viewer_id AND target_id = id)
                    OR EXISTS (SELECT FROM blocks WHERE account_id = id AND target_id = viewer_id)
                )::int
                + 4 * EXISTS (SELECT FROM active_mutes WHERE account_id = viewer_id AND target_id = id)::int AS relation
            FROM unnest(%(viewer_ids)s::bigint[], %(account_ids)s::bigint[])
                WITH ORDINALITY AS pair(viewer_id, id, number)
        ) AS related
        """,
        {
            "viewer_ids": array_of(viewer_id for viewer_id, _ in pairs),
            "account_ids": array_of(account_id for _, account_id in pairs),
        },
    )
    row = await cursor.fetchone()
    return list(row[0] or ()) if row else []


async def list_friends(conn: Connection, account_id: int, after_id: int, limit: int) -> list[Friend]:
    """Return an account's friends with ids above one, ascending."""
    async with conn.cursor(row_factory=class_row(Friend)) as cursor:
        await cursor.execute(
            "SELECT friend_id AS account_id, created_at FROM friendships"
            " WHERE account_id = %s AND friend_id > %s ORDER BY friend_id LIMIT %s",
            (account_id, after_id, limit),
        )
        return await cursor.fetchall()


async def list_incoming_requests(
    conn: Connection, target_id: int, before: tuple[datetime, int] | None, limit: int
) -> list[FriendRequest]:
    """Return what waits for an account's answer, newest first, from after a (created_at, requester_id)."""
    async with conn.cursor(row_factory=class_row(FriendRequest)) as cursor:
        await cursor.execute(
            "SELECT requester_id, target_id, created_at, expires_at FROM waiting_requests WHERE target_id = %(target_id)s"
            " AND (created_at, requester_id) < (coalesce(%(before)s::timestamptz, 'infinity'), %(before_id)s::bigint)"
            " ORDER BY created_at DESC, requester_id DESC LIMIT %(limit)s",
            {"target_id": target_id, **_before(before), "limit": limit},
        )
        return await cursor.fetchall()


async def list_outgoing_requests(
    conn: Connection, requester_id: int, before: tuple[datetime, int] | None, limit: int
) -> list[FriendRequest]:
    """Return what an account waits for, newest first, from after a (created_at, target_id)."""
    async with conn.cursor(row_factory=class_row(FriendRequest)) as cursor:
        await cursor.execute(
            "SELECT requester_id, target_id, created_at, expires_at FROM waiting_requests"
            " WHERE requester_id = %(requester_id)s"
            " AND (created_at, target_id) < (coalesce(%(before)s::timestamptz, 'infinity'), %(before_id)s::bigint)"
            " ORDER BY created_at DESC, target_id DESC LIMIT %(limit)s",
            {"requester_id": requester_id, **_before(before), "limit": limit},
        )
        return await cursor.fetchall()


async def list_blocks(
    conn: Connection, account_id: int, before: tuple[datetime, int] | None, limit: int
) -> list[BlockedAccount]:
    """Return whom an account blocks, the latest first, from after a (created_at, target_id)."""
    async with conn.cursor(row_factory=class_row(BlockedAccount)) as cursor:
        await cursor.execute(
            "SELECT target_id AS account_id, created_at FROM blocks WHERE account_id = %(account_id)s"
            " AND (created_at, target_id) < (coalesce(%(before)s::timestamptz, 'infinity'), %(before_id)s::bigint)"
            " ORDER BY created_at DESC, target_id DESC LIMIT %(limit)s",
            {"account_id": account_id, **_before(before), "limit": limit},
        )
        return await cursor.fetchall()


async def list_mutual_friends(
    conn: Connection, viewer_id: int, account_ids: Sequence[int], limit: int
) -> list[tuple[int, list[int]]]:
    """Return (account, the friends that it shares with the viewer, ascending) for each distinct account, in one query.

    None are shared with oneself, and with whom the viewer blocks or is blocked by.
    """
    cursor = await conn.execute(
        """
        SELECT asked.id, ARRAY(
            SELECT theirs.friend_id FROM friendships AS theirs
            JOIN friendships AS mine ON mine.account_id = %(viewer_id)s AND mine.friend_id = theirs.friend_id
            WHERE theirs.account_id = asked.id AND asked.id <> %(viewer_id)s
            AND NOT EXISTS (SELECT FROM blocks WHERE account_id = %(viewer_id)s AND target_id = asked.id)
            AND NOT EXISTS (SELECT FROM blocks WHERE account_id = asked.id AND target_id = %(viewer_id)s)
            ORDER BY theirs.friend_id LIMIT %(limit)s
        ) FROM (SELECT DISTINCT id FROM unnest(%(account_ids)s::bigint[]) AS account(id)) AS asked
        """,
        {"viewer_id": viewer_id, "account_ids": list(account_ids), "limit": limit},
    )
    return await cursor.fetchall()


def _before(key: tuple[datetime, int] | None) -> dict[str, datetime | int | None]:
    created_at, account_id = key or (None, 0)
    return {"before": created_at, "before_id": account_id}


async def count_friends(conn: Connection, account_ids: Sequence[int]) -> dict[int, int]:
    """Return how many friends each account has that has any."""
    cursor = await conn.execute(
        "SELECT account_id, friends_count FROM members WHERE account_id = ANY(%s::bigint[]) AND friends_count > 0",
        (array_of(account_ids),),
    )
    return dict(await cursor.fetchall())


async def list_friend_ids(conn: Connection, account_ids: Sequence[int]) -> list[tuple[int, list[int]]]:
    """Return (account, all its friends, ascending) for each distinct account, ascending, in one query."""
    async with conn.cursor(binary=True) as cursor:  # up to a million ids: binary arrays are the quickest to read
        await cursor.execute(
            """
            SELECT id, coalesce(array_agg(friend_id ORDER BY friend_id) FILTER (WHERE friend_id IS NOT NULL), '{}')
            FROM (SELECT DISTINCT id FROM unnest(%s::bigint[]) AS account(id)) AS asked
            LEFT JOIN friendships ON account_id = id GROUP BY id ORDER BY id
            """,
            (list(account_ids),),
        )
        return await cursor.fetchall()
