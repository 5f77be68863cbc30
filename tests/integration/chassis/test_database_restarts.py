"""A restart of PostgreSQL costs callers the time that it takes, and no error after it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import pytest

from chassis.database import Pool, connection, make_pool
from chassis.errors import Unavailable
from tests.database_switch import Switch
from tests.integration.chassis.conftest import lend_all

SIZE = 8
OUTAGE_SECONDS = 4
"""Long enough that psycopg's own pauses between attempts would have grown."""


@asynccontextmanager
async def _warm_pool(switch: Switch) -> AsyncIterator[Pool]:
    """Open a pool, and all of its connections."""
    async with make_pool(switch.server.url, size=SIZE, application="test") as pool:
        await lend_all(pool)
        assert pool.get_stats()["pool_available"] == SIZE
        yield pool


async def _ask(pool: Pool) -> int:
    async with connection(pool) as conn:
        row = await (await conn.execute("SELECT 1, pg_sleep(0)")).fetchone()
    assert row is not None
    return int(row[0])


async def test_after_a_restart_nobody_is_lent_a_stale_connection(switch: Switch) -> None:
    async with _warm_pool(switch) as pool:
        await asyncio.to_thread(switch.off)
        await asyncio.to_thread(switch.on)
        for _ in range(SIZE):
            assert await _ask(pool) == 1
        assert await asyncio.gather(*(_ask(pool) for _ in range(SIZE * 4))) == [1] * SIZE * 4


async def test_during_an_outage_callers_are_told_so_and_soon_after_it_they_are_served(switch: Switch) -> None:
    async with _warm_pool(switch) as pool:
        await asyncio.to_thread(switch.off)
        outage_ends = monotonic() + OUTAGE_SECONDS
        while monotonic() < outage_ends:
            asked_at = monotonic()
            with pytest.raises(Unavailable):
                await _ask(pool)
            assert monotonic() - asked_at < pool.timeout + 1
        await asyncio.to_thread(switch.on)
        assert await asyncio.gather(*(_ask(pool) for _ in range(SIZE * 4))) == [1] * SIZE * 4


async def test_a_sound_connection_is_lent_without_asking_the_server(switch: Switch) -> None:
    async with make_pool(switch.server.url, size=1, application="test") as pool:
        assert await _ask(pool) == 1
        async with connection(pool):
            pass  # a round trip would stand here as the last thing that was asked
        async with (
            make_pool(switch.server.url, size=1, application="watcher") as watching,
            connection(watching) as conn,
        ):
            cursor = await conn.execute("SELECT query FROM pg_stat_activity WHERE application_name = 'test'")
            assert "pg_sleep" in str(await cursor.fetchall())
