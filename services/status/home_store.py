"""The SQL texts that every read of a home timeline runs, each for all members who read at the same time."""

from collections.abc import Collection, Sequence

from chassis.database import Connection, array_of
from chassis.paging import Page
from services.status.domain import HomeCard


async def list_cards(
    conn: Connection, viewer_ids: Collection[int], status_ids: Collection[int]
) -> dict[int, tuple[HomeCard, Sequence[int]]]:
    """Return (card, which of the viewers favour it) of those that exist, by id: every status is read once, whoever asks for it."""
    cursor = await conn.execute(
        """
        SELECT id, account_id, visibility, version, replies_count, favourites_count, nullif(media_ids, '{}') AS media_ids,
            CASE WHEN favourites_count > 0 THEN ARRAY(
                SELECT favourites.account_id FROM favourites
                WHERE status_id = statuses.id AND favourites.account_id = ANY(%(viewer_ids)s::bigint[])
            ) END AS favoured_by
        FROM statuses WHERE id = ANY(%(status_ids)s::bigint[])
        """,
        {"viewer_ids": array_of(viewer_ids), "status_ids": array_of(status_ids)},
    )
    return {
        row[0]: (HomeCard(row[0], row[1], row[2], row[3], row[4], row[5], False, row[6] or ()), row[7] or ())
        for row in await cursor.fetchall()
    }


async def list_own_status_ids(conn: Connection, questions: Sequence[tuple[int, Page]]) -> list[list[int]]:
    """Return for several authors the ids of the newest of their own statuses on a page each, newest first."""
    cursor = await conn.execute(
        """
        SELECT asked.number, ARRAY(
            SELECT id FROM statuses
            WHERE account_id = asked.author_id AND id < asked.below AND id > asked.above ORDER BY id DESC LIMIT asked."limit"
        ) AS ids
        FROM unnest(%(author_ids)s::bigint[], %(below)s::bigint[], %(above)s::bigint[], %(limit)s::int[])
            WITH ORDINALITY AS asked(author_id, below, above, "limit", number)
        """,
        {
            "author_ids": array_of(author_id for author_id, _ in questions),
            "below": array_of(page.below for _, page in questions),
            "above": array_of(page.above for _, page in questions),
            "limit": array_of(page.limit for _, page in questions),
        },
    )
    found: dict[int, list[int]] = dict(await cursor.fetchall())
    return [found[number] for number in range(1, len(questions) + 1)]
