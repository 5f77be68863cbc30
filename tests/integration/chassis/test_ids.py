"""Ids as PostgreSQL makes them."""

import asyncio
import time

from chassis import ids
from chassis.database import Pool, connection, make_pool
from chassis.settings import Settings

WRITERS = 8
IDS_EACH = 1250


async def test_an_id_tells_its_kind_and_when_it_was_made(pool: Pool) -> None:
    async with connection(pool) as conn:
        for kind in ids.Kind:
            before = time.time_ns() // 1_000_000
            cursor = await conn.execute("SELECT next_id(%s) FROM generate_series(1, 100)", (kind.value,))
            made = [an_id for (an_id,) in await cursor.fetchall()]
            after = time.time_ns() // 1_000_000
            assert {ids.kind_of(an_id) for an_id in made} == {kind}
            assert all(before - 1 <= ids.created_at_ms(an_id) <= after + 1 for an_id in made)
            assert all(ids.first_id_at(before - 1) <= an_id < ids.first_id_at(after + 2) for an_id in made)


async def test_ids_of_many_writers_are_distinct(settings: Settings) -> None:
    async def write(pool: Pool, statements: int) -> list[int]:
        made: list[int] = []
        async with connection(pool) as conn:
            for _ in range(statements):
                cursor = await conn.execute(
                    "SELECT next_id(%s) FROM generate_series(1, %s)", (ids.Kind.STATUS.value, IDS_EACH // statements)
                )
                made.extend(an_id for (an_id,) in await cursor.fetchall())
        return made

    async with make_pool(settings.service_database_url("status"), size=WRITERS, application="test") as pool:
        written = await asyncio.gather(*(write(pool, 50) for _ in range(WRITERS)))
    everything = [an_id for made in written for an_id in made]
    assert len(everything) == WRITERS * IDS_EACH == len(set(everything))
    assert all(0 < an_id <= ids.MAX_ID for an_id in everything)


async def test_ids_of_one_writer_grow_with_time(pool: Pool) -> None:
    async with connection(pool) as conn:
        made: list[tuple[object, ...]] = []
        for _ in range(20):
            cursor = await conn.execute("SELECT next_id(1), pg_sleep(0.002)")
            made.extend(await cursor.fetchall())
    assert made == sorted(made, key=lambda row: str(row[0]))
