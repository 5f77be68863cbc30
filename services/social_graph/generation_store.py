"""Every SQL text about generations, which are computations of everybody's suggestions."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncCopy, sql
from psycopg.rows import class_row

from chassis.database import Connection
from services.social_graph.rows import HEADER, TRAILER, read_friends

LONG_SECONDS = 280
"""How long a worker's statement may take that reads all friendships or writes a block; below its task's time limit."""
KEPT_GENERATIONS = 20
REFRESHED_STEP = 10_000


@dataclass(frozen=True)
class Generation:
    """One computation of everybody's suggestions."""

    id: int
    state: str
    requested_at: datetime
    finished_at: datetime | None
    snapshot_number: int
    snapshot_at: datetime | None
    members: int
    friendships: int
    model_json: str
    """Empty before it has been chosen."""
    error: str
    """What went wrong last; empty where nothing did."""
    drift: float | None
    drift_members: int
    drift_at: datetime | None
    blocks: int
    blocks_done: int
    covered_members: int
    """With at least ten suggestions, of the blocks that are done."""

    @property
    def is_at_work(self) -> bool:
        """It has not ended."""
        return self.state in ("requested", "snapshotting", "tuning", "computing")


@dataclass(frozen=True)
class Block:
    """Rows of a snapshot that are computed together."""

    number: int
    start_row: int
    stop_row: int


async def find_current(conn: Connection) -> Generation | None:
    """Return the generation that is read; none before the first is done."""
    async with conn.cursor(row_factory=class_row(Generation)) as cursor:
        await cursor.execute("SELECT * FROM described_generations WHERE state = 'done' ORDER BY id DESC LIMIT 1")
        return await cursor.fetchone()


async def find_latest(conn: Connection) -> Generation | None:
    """Return the generation that was requested last."""
    async with conn.cursor(row_factory=class_row(Generation)) as cursor:
        await cursor.execute("SELECT * FROM described_generations ORDER BY id DESC LIMIT 1")
        return await cursor.fetchone()


async def insert_generation(conn: Connection) -> int:
    """Request a generation; return its id, 0 where one is at work."""
    cursor = await conn.execute("INSERT INTO generations DEFAULT VALUES ON CONFLICT DO NOTHING RETURNING id")
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def is_due(conn: Connection, hours: int) -> bool:
    """Tell whether the last request is so many hours old, one where it failed, or was never made; and whether there are friends."""
    cursor = await conn.execute(
        "SELECT NOT EXISTS (SELECT FROM generations WHERE requested_at > clock_timestamp()"
        " - CASE WHEN state = 'failed' THEN 1 ELSE %s END * interval '1 hour') AND EXISTS (SELECT FROM friendships)",
        (hours,),
    )
    return await cursor.fetchone() == (True,)


async def cancel(conn: Connection) -> int:
    """End the generation that is at work; return its id, 0 where there is none."""
    cursor = await conn.execute(
        "UPDATE generations SET state = 'cancelled', finished_at = clock_timestamp()"
        " WHERE state IN ('requested', 'snapshotting', 'tuning', 'computing') RETURNING id"
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def fail_abandoned(conn: Connection) -> int:
    """Give up a generation that nothing in the ledger goes on with; return how many that were."""
    cursor = await conn.execute(
        """
        UPDATE generations SET state = 'failed', finished_at = clock_timestamp(), error = CASE
            WHEN error <> '' THEN error ELSE 'Its work was given up or discarded; see kodama ops dead.' END
        WHERE state IN ('requested', 'snapshotting', 'tuning', 'computing') AND NOT EXISTS (
            SELECT FROM ledger WHERE dead_at IS NULL
            AND task IN ('suggestions.snapshot', 'suggestions.tune', 'suggestions.compute')
            AND (payload ->> 'generation')::bigint = generations.id
        )
        """
    )
    return cursor.rowcount


async def fail(conn: Connection, generation: int, error: str) -> None:
    """Give a generation up that is at work."""
    await conn.execute(
        "UPDATE generations SET state = 'failed', finished_at = clock_timestamp(), error = %s"
        " WHERE id = %s AND state IN ('requested', 'snapshotting', 'tuning', 'computing')",
        (error[:1000], generation),
    )


async def note_error(conn: Connection, generation: int, error: str) -> None:
    """Keep what went wrong last."""
    await conn.execute("UPDATE generations SET error = %s WHERE id = %s", (error[:1000].replace("\0", ""), generation))


async def begin_snapshot(conn: Connection, generation: int) -> int:
    """Let a snapshot be taken and return its number; 0 where the generation is past that, or has ended."""
    cursor = await conn.execute(
        "UPDATE generations SET state = 'snapshotting', snapshot_number = snapshot_number + 1"
        " WHERE id = %s AND state IN ('requested', 'snapshotting') RETURNING snapshot_number",
        (generation,),
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


@asynccontextmanager
async def reading_friendships(conn: Connection) -> AsyncIterator[tuple[datetime, AsyncIterator[tuple[int, bytes]]]]:
    """Lend all friendships as of one moment, and the moment: (account, its friends' ids, eight bytes each, ascending), ascending.

    In the caller's transaction, which must not have read anything yet.
    """
    await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    await conn.execute("SELECT set_config('statement_timeout', %s, true)", (f"{LONG_SECONDS}s",))
    cursor = await conn.execute("SELECT statement_timestamp()")
    [(read_at,)] = await cursor.fetchall()
    async with conn.cursor().copy(
        "COPY (SELECT account_id, string_agg(int8send(friend_id), ''::bytea ORDER BY friend_id)"
        " FROM friendships GROUP BY account_id ORDER BY account_id) TO STDOUT (FORMAT binary)"
    ) as copy:
        yield read_at, _friends(copy)


async def _friends(copy: AsyncCopy) -> AsyncIterator[tuple[int, bytes]]:
    async for data in copy:
        friends = read_friends(data)
        if friends is not None:
            yield friends


async def finish_snapshot(
    conn: Connection, generation: int, number: int, read_at: datetime, members: int, friendships: int
) -> bool:
    """Note what a snapshot has; tell whether it is the one to go on with."""
    cursor = await conn.execute(
        "UPDATE generations SET state = 'tuning', snapshot_at = %(read_at)s, members = %(members)s,"
        " friendships = %(friendships)s"
        " WHERE id = %(generation)s AND state = 'snapshotting' AND snapshot_number = %(number)s",
        {
            "generation": generation,
            "number": number,
            "read_at": read_at,
            "members": members,
            "friendships": friendships,
        },
    )
    return cursor.rowcount > 0


async def restart(conn: Connection, generation: int, number: int, why: str) -> bool:
    """Let a generation begin anew because its snapshot is gone; tell whether it was at work with that."""
    cursor = await conn.execute(
        "UPDATE generations SET state = 'requested', error = %(why)s"
        " WHERE id = %(generation)s AND state IN ('tuning', 'computing') AND snapshot_number = %(number)s",
        {"generation": generation, "number": number, "why": why[:1000]},
    )
    if cursor.rowcount:
        await conn.execute("DELETE FROM generation_blocks WHERE generation = %s", (generation,))
    return cursor.rowcount > 0


async def is_tuning(conn: Connection, generation: int, number: int) -> bool:
    """Tell whether a generation waits for its model, with this snapshot."""
    cursor = await conn.execute(
        "SELECT FROM generations WHERE id = %s AND snapshot_number = %s AND state = 'tuning'", (generation, number)
    )
    return cursor.rowcount > 0


async def find_computing(conn: Connection, generation: int, number: int) -> str | None:
    """Return the model, as JSON, of a generation that is being computed from this snapshot."""
    cursor = await conn.execute(
        "SELECT model::text FROM generations WHERE id = %s AND snapshot_number = %s AND state = 'computing'",
        (generation, number),
    )
    row = await cursor.fetchone()
    return str(row[0]) if row else None


async def begin_computing(
    conn: Connection,
    generation: int,
    number: int,
    *,
    model_json: bytes,
    tuning_json: bytes,
    popular_ids: Sequence[int],
    blocks: Sequence[Block],
) -> bool:
    """Make the table that the blocks are written into; tell whether this generation waits for that."""
    cursor = await conn.execute(
        "SELECT FROM generations WHERE id = %s AND snapshot_number = %s AND state = 'tuning' FOR UPDATE",
        (generation, number),
    )
    if not cursor.rowcount:
        return False
    await conn.execute("SELECT make_generation_table(%s)", (generation,))
    await conn.execute(
        "UPDATE generations SET state = 'computing', model = %(model)s::jsonb, tuning = %(tuning)s::jsonb,"
        " popular_ids = %(popular_ids)s::bigint[] WHERE id = %(generation)s",
        {
            "generation": generation,
            "model": model_json.decode(),
            "tuning": tuning_json.decode(),
            "popular_ids": list(popular_ids),
        },
    )
    await conn.execute(
        "INSERT INTO generation_blocks (generation, number, start_row, stop_row)"
        " SELECT %(generation)s, number, start_row, stop_row"
        " FROM unnest(%(numbers)s::integer[], %(starts)s::integer[], %(stops)s::integer[])"
        " AS block(number, start_row, stop_row)",
        {
            "generation": generation,
            "numbers": [block.number for block in blocks],
            "starts": [block.start_row for block in blocks],
            "stops": [block.stop_row for block in blocks],
        },
    )
    return True


async def lock_block(conn: Connection, generation: int, number: int) -> Block | None:
    """Lock a block until the transaction ends; none where it is computed or no longer there."""
    async with conn.cursor(row_factory=class_row(Block)) as cursor:
        await cursor.execute(
            "SELECT number, start_row, stop_row FROM generation_blocks"
            " WHERE generation = %s AND number = %s AND computed_at IS NULL FOR UPDATE",
            (generation, number),
        )
        return await cursor.fetchone()


@asynccontextmanager
async def writing_rows(conn: Connection, generation: int) -> AsyncIterator[AsyncCopy]:
    """Lend what takes rows of a generation, as `rows.to_copy` makes them, in the caller's transaction."""
    await conn.execute("SELECT set_config('statement_timeout', %s, true)", (f"{LONG_SECONDS}s",))
    table = sql.Identifier(f"suggestions_{generation}")
    async with conn.cursor().copy(
        sql.SQL("COPY {} (generation, account_id, suggested_ids, scores, sources) FROM STDIN (FORMAT binary)").format(
            table
        )
    ) as copy:
        await copy.write(HEADER)
        yield copy
        await copy.write(TRAILER)


async def finish_block(conn: Connection, generation: int, number: int, covered_members: int) -> None:
    """Note that a block's rows are written, in the transaction that writes them."""
    await conn.execute(
        "UPDATE generation_blocks SET computed_at = clock_timestamp(), covered_members = %s"
        " WHERE generation = %s AND number = %s",
        (covered_members, generation, number),
    )


async def swap(conn: Connection, generation: int) -> bool:
    """Let a generation be read whose blocks are all computed; tell whether it is from now on.

    In one transaction, so that a reader finds either the old one or this.
    """
    cursor = await conn.execute(
        "SELECT FROM generations WHERE id = %(generation)s AND state = 'computing' AND NOT EXISTS ("
        " SELECT FROM generation_blocks WHERE generation = %(generation)s AND computed_at IS NULL) FOR UPDATE",
        {"generation": generation},
    )
    if not cursor.rowcount:
        return False
    await conn.execute("SELECT attach_generation_table(%s)", (generation,))
    await conn.execute(
        "UPDATE generations SET state = 'done', error = '', finished_at = clock_timestamp() WHERE id = %s",
        (generation,),
    )
    return True


async def drop_table(conn: Connection) -> int:
    """Drop the table of one generation that nobody reads or writes any more; return how many that were. In the caller's transaction."""
    await conn.execute("SET LOCAL lock_timeout = '500ms'")  # who waits for the lock holds up every reader behind them
    cursor = await conn.execute("SELECT drop_generation_table()")
    [(dropped,)] = await cursor.fetchall()
    return int(dropped)


async def delete_replaced(conn: Connection) -> int:
    """Delete up to 10,000 lists of single members that the current generation knows better, and generations of long ago."""
    cursor = await conn.execute(
        "DELETE FROM refreshed_suggestions WHERE account_id IN ("
        " SELECT account_id FROM refreshed_suggestions WHERE computed_at <= ("
        " SELECT snapshot_at FROM generations WHERE state = 'done' ORDER BY id DESC LIMIT 1)"
        " ORDER BY computed_at LIMIT %s FOR UPDATE SKIP LOCKED)",
        (REFRESHED_STEP,),
    )
    deleted = cursor.rowcount
    cursor = await conn.execute(
        "DELETE FROM generations WHERE id < (SELECT max(id) FROM generations) - %s"
        " AND state IN ('done', 'cancelled', 'failed') AND to_regclass('suggestions_' || id) IS NULL",
        (KEPT_GENERATIONS,),
    )
    return deleted + cursor.rowcount


async def list_popular(conn: Connection) -> list[int]:
    """Return those with the most friends as of the current generation, the most first; any who have friends before there is one."""
    cursor = await conn.execute("SELECT popular_ids FROM generations WHERE state = 'done' ORDER BY id DESC LIMIT 1")
    row = await cursor.fetchone()
    if row is not None and row[0]:
        return list(row[0])
    cursor = await conn.execute(
        "SELECT account_id FROM (SELECT account_id, friends_count FROM members WHERE friends_count > 0"
        " ORDER BY account_id LIMIT 200) AS anybody ORDER BY friends_count DESC, account_id"
    )
    return [account_id for (account_id,) in await cursor.fetchall()]


async def note_drift(conn: Connection, generation: int, drift: float, members: int) -> None:
    """Keep how far the stored suggestions of so many members were from what is computed anew."""
    await conn.execute(
        "UPDATE generations SET drift = %s, drift_members = %s, drift_at = clock_timestamp() WHERE id = %s",
        (drift, members, generation),
    )


async def count_refreshed(conn: Connection) -> int:
    """Return how many members' suggestions are later than the current generation."""
    cursor = await conn.execute(
        "SELECT count(*) FROM refreshed_suggestions WHERE computed_at > coalesce(("
        " SELECT snapshot_at FROM generations WHERE state = 'done' ORDER BY id DESC LIMIT 1), '-infinity')"
    )
    [(count,)] = await cursor.fetchall()
    return int(count)
