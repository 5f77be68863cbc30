"""Ids as PostgreSQL makes them."""

import asyncio
import random
import time

import psycopg
import pytest

from chassis import ids
from chassis.database import Pool, connection, make_pool
from chassis.errors import Unavailable
from chassis.settings import Settings
from tests.integration.chassis.conftest import PRODUCER
from tests.world import set_clock

WRITERS = 8
IDS_EACH = 1250
CLOCK_IDS = 400


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


async def test_ids_go_on_while_the_clock_goes_back_and_forth(settings: Settings, admin: psycopg.Connection) -> None:
    """Each writer's ids grow, whatever the clock does, and what begins after another has ended is later than it."""
    chance = random.Random(19)
    last = 0
    seen: set[int] = set()

    async def write(pool: Pool) -> None:
        nonlocal last
        for _ in range(CLOCK_IDS):
            before = last
            async with connection(pool) as conn:
                row = await (await conn.execute("SELECT next_id(1)")).fetchone()
            assert row is not None
            assert row[0] > before
            assert row[0] not in seen
            seen.add(row[0])
            last = max(last, row[0])

    async with make_pool(settings.service_database_url(PRODUCER), size=WRITERS, application="test") as pool:
        writers = [asyncio.create_task(write(pool)) for _ in range(WRITERS)]
        while not all(writer.done() for writer in writers):
            set_clock(admin, PRODUCER, seconds=chance.uniform(-600, 0))
            await asyncio.sleep(0.05)
        await asyncio.gather(*writers)
    assert len(seen) == WRITERS * CLOCK_IDS


async def test_a_clock_that_is_far_behind_is_refused_with_a_sentence(pool: Pool, admin: psycopg.Connection) -> None:
    async def make() -> int:
        async with connection(pool) as conn:
            row = await (await conn.execute("SELECT next_id(1)")).fetchone()
        assert row is not None
        return int(row[0])

    first = await make()
    set_clock(admin, PRODUCER, seconds=-ids.MAX_AHEAD_MS / 1000 + 60)
    second = await make()
    assert second > first
    set_clock(admin, PRODUCER, seconds=-ids.MAX_AHEAD_MS / 1000 - 60)
    for _ in range(3):
        with pytest.raises(Unavailable, match="clock of the database has gone back"):
            await make()
    set_clock(admin, PRODUCER, seconds=0)
    assert await make() > second
