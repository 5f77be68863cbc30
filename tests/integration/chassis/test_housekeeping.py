"""Chores are done once per interval by one process, however many there are, and by the next where one dies or fails."""

import asyncio

import psycopg
import pytest

from chassis.database import Connection, Pool, connection
from chassis.errors import NotFound
from chassis.housekeeping import begin, repeat
from tests.integration.chassis.conftest import eventually

NAME = "claims.forget"


async def _begin(pool: Pool, interval_seconds: float = 3600) -> bool:
    async with connection(pool) as conn:
        return await begin(conn, NAME, interval_seconds, 60)


async def _chore(pool: Pool) -> tuple[bool, str]:
    """Whether the chore has ever been done, and its last error."""
    async with connection(pool) as conn:
        cursor = await conn.execute("SELECT done_at IS NOT NULL, last_error FROM chores WHERE name = %s", (NAME,))
        row = await cursor.fetchone()
    return (False, "") if row is None else (bool(row[0]), str(row[1]))


async def test_of_all_who_look_one_begins(pool: Pool) -> None:
    assert sorted(await asyncio.gather(*(_begin(pool) for _ in range(20)))) == [False] * 19 + [True]
    assert sorted(await asyncio.gather(*(_begin(pool) for _ in range(20)))) == [False] * 20


async def test_who_dies_over_a_chore_leaves_it_to_the_next_interval(pool: Pool, admin: psycopg.Connection) -> None:
    assert await _begin(pool)
    admin.execute("UPDATE status.chores SET begun_at = begun_at - interval '59 minutes'")
    assert not await _begin(pool)
    admin.execute("UPDATE status.chores SET begun_at = begun_at - interval '1 minute'")
    assert await _begin(pool)


async def test_what_failed_is_noted_and_tried_again_soon(pool: Pool, admin: psycopg.Connection) -> None:
    is_repaired = asyncio.Event()
    steps_left = 3

    async def step(_conn: Connection) -> int:
        nonlocal steps_left
        if not is_repaired.is_set():
            raise NotFound("the broom is broken")
        steps_left = max(0, steps_left - 1)
        return steps_left

    async with repeat(NAME, step, pool, interval_seconds=0.02):
        await eventually(lambda: _has_failed(pool))
        is_repaired.set()
        await eventually(lambda: _is_done(pool))
    assert steps_left == 0
    admin.execute("UPDATE status.chores SET last_error = 'x', begun_at = begun_at - interval '2 minutes'")
    assert await _begin(pool)


async def _has_failed(pool: Pool) -> bool:
    return await _chore(pool) == (False, "NotFound: the broom is broken")


async def _is_done(pool: Pool) -> bool:
    return await _chore(pool) == (True, "")


async def test_chores_are_those_of_the_topology(pool: Pool) -> None:
    async def nothing(_conn: Connection) -> int:
        return 0

    with pytest.raises(KeyError):
        async with repeat("windows.clean", nothing, pool):
            pass
