"""Every SQL text of this service."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import psycopg
from psycopg.rows import class_row

from chassis.database import Connection, array_of
from chassis.ids import TIME_SHIFT
from chassis.paging import Page
from services.timeline.domain import NEVER_PUSHED, Entry, Home
from services.timeline.rows import Ids, IdsDumper, from_array_send, to_copy

psycopg.adapters.register_dumper(np.ndarray, IdsDumper)

SETTLED_MS = 10_000
"""Entries older than this can be cleared away: more than the clocks of two databases may differ."""
DELIVERIES_STEP = 10_000


async def read_home(
    conn: Connection, account_id: int, page: Page, dormant_days: int
) -> tuple[Home | None, list[Entry]]:
    """Return a member's home and a page of what has been pushed to it, from one snapshot; no home: has never read."""
    [answer] = await read_homes(conn, [(account_id, page)], dormant_days)
    return answer


async def read_homes(
    conn: Connection, questions: Sequence[tuple[int, Page]], dormant_days: int
) -> list[tuple[Home | None, list[Entry]]]:
    """Return the same for several members, each (member, page), in one query; the pages all go the same way."""
    newest = """
        SELECT asked.number, greatest(h.pushed_from, r.floor_id) AS pushed_from,
            h.active_at < now() - interval '1 hour' AS is_stale,
            h.active_at < now() - make_interval(days => %(dormant_days)s - 1) AS is_dormant,
            ARRAY(SELECT author_id FROM pulled_authors) AS pulled_authors,
            page.entry_ids, page.author_ids
        FROM unnest(%(account_ids)s::bigint[], %(below)s::bigint[], %(above)s::bigint[], %(limit)s::int[])
            WITH ORDINALITY AS asked(account_id, below, above, "limit", number)
        JOIN homes AS h ON h.account_id = asked.account_id CROSS JOIN retention AS r
        CROSS JOIN LATERAL (
            SELECT array_agg(e.entry_id) AS entry_ids, array_agg(e.author_id) AS author_ids
            FROM (
                SELECT entry_id, author_id FROM entries
                WHERE account_id = asked.account_id AND entry_id >= greatest(h.pushed_from, r.floor_id)
                    AND entry_id < asked.below AND entry_id > asked.above
                ORDER BY entry_id DESC LIMIT asked."limit"
            ) AS e
        ) AS page
        """
    oldest = """
        SELECT asked.number, greatest(h.pushed_from, r.floor_id) AS pushed_from,
            h.active_at < now() - interval '1 hour' AS is_stale,
            h.active_at < now() - make_interval(days => %(dormant_days)s - 1) AS is_dormant,
            ARRAY(SELECT author_id FROM pulled_authors) AS pulled_authors,
            page.entry_ids, page.author_ids
        FROM unnest(%(account_ids)s::bigint[], %(below)s::bigint[], %(above)s::bigint[], %(limit)s::int[])
            WITH ORDINALITY AS asked(account_id, below, above, "limit", number)
        JOIN homes AS h ON h.account_id = asked.account_id CROSS JOIN retention AS r
        CROSS JOIN LATERAL (
            SELECT array_agg(e.entry_id) AS entry_ids, array_agg(e.author_id) AS author_ids
            FROM (
                SELECT entry_id, author_id FROM entries
                WHERE account_id = asked.account_id AND entry_id >= greatest(h.pushed_from, r.floor_id)
                    AND entry_id < asked.below AND entry_id > asked.above
                ORDER BY entry_id ASC LIMIT asked."limit"
            ) AS e
        ) AS page
        """
    cursor = await conn.execute(
        oldest if questions[0][1].upwards else newest,
        {
            "account_ids": array_of(account_id for account_id, _ in questions),
            "below": array_of(page.below for _, page in questions),
            "above": array_of(page.above for _, page in questions),
            "limit": array_of(page.limit for _, page in questions),
            "dormant_days": dormant_days,
        },
    )
    answers: list[tuple[Home | None, list[Entry]]] = [(None, []) for _ in questions]
    for number, pushed_from, is_stale, is_dormant, pulled, entry_ids, author_ids in await cursor.fetchall():
        entries = list(map(Entry, entry_ids or (), author_ids or ()))
        answers[number - 1] = (Home(pushed_from, is_stale, is_dormant, tuple(pulled)), entries)
    return answers


async def note_read(conn: Connection, account_id: int) -> None:
    """Keep a member active."""
    await conn.execute("UPDATE homes SET active_at = now() WHERE account_id = %s", (account_id,))


async def show_to_fan_outs(conn: Connection, account_ids: Sequence[int]) -> None:
    """Begin to push to members, in the caller's transaction; until they are filled nothing that was pushed to them is relied on."""
    await conn.execute(
        "INSERT INTO homes (account_id, pushed_from) SELECT id, %s FROM unnest(%s::bigint[]) AS a(id) ORDER BY id"
        " ON CONFLICT (account_id) DO UPDATE SET pushed_from = excluded.pushed_from, active_at = now()",
        (NEVER_PUSHED, list(account_ids)),
    )


async def distrust_pushed(conn: Connection, account_ids: Sequence[int]) -> list[int]:
    """Rely on nothing that was pushed to these members until now, in the caller's transaction; return who has a home at all."""
    cursor = await conn.execute(
        "UPDATE homes SET pushed_from = %s WHERE account_id = ANY(%s) RETURNING account_id",
        (NEVER_PUSHED, list(account_ids)),
    )
    return [row[0] for row in await cursor.fetchall()]


async def is_active(conn: Connection, account_id: int, dormant_days: int) -> bool:
    """Tell whether a member has a home and is seen by fan-outs, now and for at least a day to come."""
    cursor = await conn.execute(
        "SELECT 1 FROM homes WHERE account_id = %s AND active_at > now() - make_interval(days => %s - 1)",
        (account_id, dormant_days),
    )
    return await cursor.fetchone() is not None


async def lower_pushed_from(conn: Connection, account_id: int, reached: int) -> None:
    """Note that a member is pushed from so far back on."""
    await conn.execute(
        "UPDATE homes SET pushed_from = least(pushed_from, %s) WHERE account_id = %s", (reached, account_id)
    )


async def list_unfilled(conn: Connection, dormant_days: int, limit: int) -> list[int]:
    """Return up to so many members who have read, not just now, and whom nothing is relied on of though no fill of theirs is open."""
    cursor = await conn.execute(
        "SELECT account_id FROM homes"
        " WHERE pushed_from = %(never)s AND active_at < now() - interval '1 minute'"
        " AND active_at > now() - make_interval(days => %(dormant_days)s - 1)"
        " AND account_id NOT IN (SELECT account_id FROM open_fills) ORDER BY account_id LIMIT %(limit)s",
        {"never": NEVER_PUSHED, "dormant_days": dormant_days, "limit": limit},
    )
    return [row[0] for row in await cursor.fetchall()]


async def has_open_fill(conn: Connection, account_id: int) -> bool:
    """Tell whether the ledger holds a fill of this member's home timeline."""
    cursor = await conn.execute("SELECT 1 FROM open_fills WHERE account_id = %s LIMIT 1", (account_id,))
    return await cursor.fetchone() is not None


async def list_active(conn: Connection, account_ids: Ids, dormant_days: int) -> Ids:
    """Return which of these accounts are pushed to, in no order."""
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(
            "SELECT array_send(coalesce(array_agg(account_id), '{}')) FROM homes"
            " WHERE account_id = ANY(%b) AND active_at > now() - make_interval(days => %s)",
            (account_ids, dormant_days),
        )
        row = await cursor.fetchone()
    assert row is not None
    return from_array_send(row[0])


async def claim_deliveries(conn: Connection, entry_ids: Sequence[int]) -> set[int]:
    """Mark posts as fanned out, in the caller's transaction, and return those that were not yet.

    Whoever is fanning one of them out at this moment is waited for. Posts below the retention's floor are not returned: nothing is stored
    of them.
    """
    cursor = await conn.execute(
        "INSERT INTO deliveries (entry_id) SELECT id FROM unnest(%s::bigint[]) AS entry(id) CROSS JOIN retention"
        " WHERE id >= floor_id ORDER BY id ON CONFLICT DO NOTHING RETURNING entry_id",
        (list(entry_ids),),
    )
    return {row[0] for row in await cursor.fetchall()}


async def copy_entries(conn: Connection, rows: Ids) -> None:
    """Write rows (account, entry, author), sorted by key, the fastest way there is.

    Raises psycopg's UniqueViolation where one is there already, CheckViolation where there is no partition for one.
    """
    async with (
        conn.cursor() as cursor,
        cursor.copy("COPY entries (account_id, entry_id, author_id) FROM STDIN (FORMAT binary)") as copy,
    ):
        await copy.write(to_copy(rows))


async def insert_entries(conn: Connection, rows: Ids) -> int:
    """Write those rows (account, entry, author) that are not there and not below the retention's floor; return how many.

    Raises CheckViolation where there is no partition for one.
    """
    cursor = await conn.execute(
        "INSERT INTO entries (account_id, entry_id, author_id)"
        " SELECT account_id, entry_id, author_id FROM unnest(%b, %b, %b) AS r(account_id, entry_id, author_id)"
        " CROSS JOIN retention WHERE entry_id >= floor_id ORDER BY account_id, entry_id ON CONFLICT DO NOTHING",
        list(rows.T),
    )
    return cursor.rowcount


async def ensure_partitions(conn: Connection) -> int:
    """Make the partitions of the coming weeks where they are missing, in the caller's transaction; return how many."""
    await conn.execute(
        "SET LOCAL lock_timeout = '500ms'"
    )  # who waits for the table's lock holds up everybody after them
    cursor = await conn.execute("SELECT ensure_partitions()")
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def mark_pulled(conn: Connection, author_ids: Sequence[int]) -> None:
    """Have these authors' posts pulled by their readers, from now on and for good."""
    await conn.execute(
        "INSERT INTO pulled_authors (author_id) SELECT id FROM unnest(%s::bigint[]) AS a(id) ORDER BY id"
        " ON CONFLICT DO NOTHING",
        (list(author_ids),),
    )


async def list_pushed_from(conn: Connection, account_ids: Sequence[int], dormant_days: int) -> dict[int, int]:
    """Return from which id on each of those accounts is pushed that are pushed to at all."""
    cursor = await conn.execute(
        "SELECT account_id, greatest(pushed_from, floor_id) FROM homes CROSS JOIN retention"
        " WHERE account_id = ANY(%s) AND pushed_from < %s AND active_at > now() - make_interval(days => %s)",
        (list(account_ids), NEVER_PUSHED, dormant_days),
    )
    return dict(await cursor.fetchall())


async def delete_entries(conn: Connection, entry_id: int, account_ids: Sequence[int]) -> int:
    """Delete one entry from the home timelines of these accounts; return from how many."""
    cursor = await conn.execute(
        "DELETE FROM entries WHERE entry_id = %s AND account_id = ANY(%s)", (entry_id, list(account_ids))
    )
    return cursor.rowcount


async def lock_homes(conn: Connection, account_ids: Sequence[int]) -> None:
    """Keep all upkeep of these home timelines apart until the transaction ends. Readers and fan-outs are not held up."""
    for account_id in sorted(set(account_ids)):  # always in this order, so that two can never wait for each other
        await conn.execute("SELECT pg_advisory_xact_lock(%s)", (account_id,))


async def now_id(conn: Connection) -> int:
    """Return the smallest id that can be made at this moment of the database's clock."""
    cursor = await conn.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint << %s", (TIME_SHIFT,))
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def delete_author(conn: Connection, account_id: int, author_id: int, below_id: int) -> int:
    """Delete an author's entries with ids below a bound from one home timeline; return how many."""
    cursor = await conn.execute(
        "DELETE FROM entries WHERE account_id = %s AND author_id = %s AND entry_id < %s",
        (account_id, author_id, below_id),
    )
    return cursor.rowcount


async def delete_of_account(conn: Connection, account_id: int, entry_ids: Sequence[int]) -> None:
    """Delete some entries of one home timeline."""
    await conn.execute(
        "DELETE FROM entries WHERE account_id = %s AND entry_id = ANY(%s)", (account_id, list(entry_ids))
    )


async def delete_all(conn: Connection, account_ids: Sequence[int]) -> None:
    """Delete everything that has been pushed to these accounts."""
    await conn.execute("DELETE FROM entries WHERE account_id = ANY(%s)", (list(account_ids),))


async def list_entries(conn: Connection, account_id: int, from_id: int, below_id: int, limit: int) -> list[Entry]:
    """Return what has been pushed to an account, with ids from one bound to below another, newest first."""
    async with conn.cursor(row_factory=class_row(Entry)) as cursor:
        await cursor.execute(
            "SELECT entry_id, author_id FROM entries WHERE account_id = %s AND entry_id >= %s AND entry_id < %s"
            " ORDER BY entry_id DESC LIMIT %s",
            (account_id, from_id, below_id, limit),
        )
        return await cursor.fetchall()


@dataclass(frozen=True)
class HomeFacts:
    """What is stored about a home timeline."""

    pushed_from: int
    active_at: datetime
    is_dormant: bool
    pushed_entries: int
    pulled_authors: list[int]


async def describe_home(conn: Connection, account_id: int, dormant_days: int) -> HomeFacts | None:
    """Return what is stored about a home timeline; None for who has never read."""
    async with conn.cursor(row_factory=class_row(HomeFacts)) as cursor:
        await cursor.execute(
            "SELECT CASE WHEN pushed_from = %(never)s THEN pushed_from ELSE greatest(pushed_from, floor_id) END AS pushed_from,"
            " active_at, active_at < now() - make_interval(days => %(dormant_days)s - 1) AS is_dormant,"
            " (SELECT count(*) FROM entries AS e"
            "  WHERE e.account_id = h.account_id AND e.entry_id >= greatest(pushed_from, floor_id)) AS pushed_entries,"
            " ARRAY(SELECT author_id FROM pulled_authors) AS pulled_authors"
            " FROM homes AS h CROSS JOIN retention WHERE account_id = %(account_id)s",
            {"account_id": account_id, "dormant_days": dormant_days, "never": NEVER_PUSHED},
        )
        return await cursor.fetchone()


async def list_homes(conn: Connection, after_id: int, limit: int) -> list[int]:
    """Return accounts that have a home, ascending, with ids above one."""
    cursor = await conn.execute(
        "SELECT account_id FROM homes WHERE account_id > %s ORDER BY account_id LIMIT %s", (after_id, limit)
    )
    return [row[0] for row in await cursor.fetchall()]


async def raise_floor(conn: Connection, keep_days: int) -> int:
    """Rely on nothing that is older than so many days, to the partition, and return the floor."""
    cursor = await conn.execute(
        "UPDATE retention SET floor_id = greatest(floor_id, partition_start(%s)) RETURNING floor_id", (keep_days,)
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def drop_partitions(conn: Connection, floor_id: int) -> int:
    """Drop the partitions below the floor, in the caller's transaction; return how many."""
    await conn.execute("SELECT pg_advisory_xact_lock('entries'::regclass::bigint)")  # one at a time
    await conn.execute(
        "SET LOCAL lock_timeout = '500ms'"
    )  # who waits for the table's lock holds up everybody after them
    cursor = await conn.execute("SELECT drop_partitions_below(%s)", (floor_id,))
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def delete_deliveries(conn: Connection, floor_id: int) -> int:
    """Delete up to 10,000 markers of posts below the floor, which are never fanned out again; return how many."""
    cursor = await conn.execute(
        "DELETE FROM deliveries WHERE entry_id IN ("
        " SELECT entry_id FROM deliveries WHERE entry_id < %s ORDER BY entry_id LIMIT %s FOR UPDATE SKIP LOCKED)",
        (floor_id, DELIVERIES_STEP),
    )
    return cursor.rowcount
