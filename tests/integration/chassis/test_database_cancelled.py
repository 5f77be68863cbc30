"""Whoever borrows a connection can be cancelled at any moment, twice as well, and the pool has all of its connections again."""

import asyncio
import random
from collections.abc import AsyncIterator

import psycopg
import pytest

from chassis.database import Pool, connection, make_pool, transaction
from chassis.errors import Unavailable
from chassis.settings import Settings
from tests.database_switch import Switch
from tests.integration.chassis.conftest import PRODUCER, eventually, lend_all

SIZE = 8
BORROWERS = 40
ROUNDS = 60
LONGEST_SECONDS = 0.02
LATEST_CANCEL_SECONDS = 0.05


@pytest.fixture
async def small(settings: Settings) -> AsyncIterator[Pool]:
    """A pool of the size that services have."""
    async with make_pool(settings.service_database_url(PRODUCER), size=SIZE, application="test") as opened:
        yield opened


async def _borrow(pool: Pool, seconds: float) -> None:
    async with connection(pool) as conn:
        await conn.execute("SELECT pg_sleep(%s)", (seconds,))


async def _change(pool: Pool, seconds: float) -> None:
    async with transaction(pool) as conn:
        await conn.execute("SELECT pg_sleep(%s)", (seconds,))


async def _borrow_and_be_cancelled(pool: Pool, chance: random.Random, cancels: int) -> int:
    """Borrow again and again, each time in a task that is cancelled; return how often it was in time to be cancelled."""
    cancelled = 0
    for _ in range(ROUNDS):
        work = chance.choice((_borrow, _change))
        task = asyncio.create_task(work(pool, chance.uniform(0, LONGEST_SECONDS)))
        for _ in range(cancels):
            await asyncio.sleep(chance.uniform(0, LATEST_CANCEL_SECONDS / cancels))
            task.cancel()
        [outcome] = await asyncio.gather(task, return_exceptions=True)
        assert outcome is None or isinstance(outcome, asyncio.CancelledError | Unavailable), outcome
        cancelled += isinstance(outcome, asyncio.CancelledError)
    return cancelled


async def _has_everything(pool: Pool) -> bool:
    """Tell whether all connections are there and nobody is in the line."""
    stats = pool.get_stats()
    return stats["pool_available"] == stats["pool_size"] and stats.get("requests_waiting", 0) == 0


@pytest.mark.parametrize("cancels", [1, 2, 3])
async def test_who_is_cancelled_loses_no_connection(small: Pool, cancels: int) -> None:
    chance = random.Random(cancels)
    seeds = [random.Random(chance.random()) for _ in range(BORROWERS)]
    counts = await asyncio.gather(*(_borrow_and_be_cancelled(small, seed, cancels) for seed in seeds))
    assert sum(counts) > BORROWERS * ROUNDS / 10  # it did happen
    await eventually(lambda: _has_everything(small))
    await lend_all(small)


async def test_a_crowd_that_came_in_vain_leaves_the_line_free(switch: Switch) -> None:
    async with make_pool(switch.server.url, size=SIZE, application="test") as pool:
        await lend_all(pool)
        await asyncio.to_thread(switch.off)
        pool.timeout = 0.05
        for _ in range(3):  # three times as many as may wait
            outcomes = await asyncio.gather(
                *(_borrow(pool, 0) for _ in range(pool.max_waiting)), return_exceptions=True
            )
            assert {type(outcome) for outcome in outcomes} == {Unavailable}
        pool.timeout = 2
        await asyncio.to_thread(switch.on)
        await eventually(lambda: _is_lent(pool))
        await lend_all(pool)


async def _is_lent(pool: Pool) -> bool:
    try:
        await _borrow(pool, 0)
    except Unavailable:
        return False
    return True


async def test_who_is_cancelled_while_stale_connections_are_found_loses_none(switch: Switch) -> None:
    async with make_pool(switch.server.url, size=SIZE, application="test") as pool:
        for seed in range(10):
            chance = random.Random(seed)
            await lend_all(pool)
            with psycopg.connect(switch.server.url, autocommit=True) as admin:
                admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test'")
            tasks = [asyncio.create_task(_borrow(pool, 0.001)) for _ in range(SIZE)]
            for task in tasks:
                await asyncio.sleep(chance.uniform(0, 0.0005))
                task.cancel()
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await eventually(lambda: _has_everything(pool))
        await lend_all(pool)


async def test_closing_waits_for_what_is_given_back(settings: Settings) -> None:
    for turns in range(6):
        pool = make_pool(settings.service_database_url(PRODUCER), size=1, application="test")
        async with pool:
            task = asyncio.create_task(_borrow(pool, 0))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert pool.closed
        assert not pool.errands


async def test_a_connection_that_a_second_cancel_closes_is_replaced(small: Pool) -> None:
    await lend_all(small)
    tasks = [asyncio.create_task(_borrow(small, 60)) for _ in range(SIZE)]
    await eventually(lambda: _all_are_lent(small))
    for task in tasks:
        task.cancel()
    await asyncio.sleep(0)  # one turn of the event loop: they cancel their queries
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await eventually(lambda: _has_everything(small))
    await lend_all(small)


async def _all_are_lent(pool: Pool) -> bool:
    stats = pool.get_stats()
    return stats["pool_size"] == SIZE and stats["pool_available"] == 0 and not stats["requests_waiting"]
