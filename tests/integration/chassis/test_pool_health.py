"""A service's health is its pool's: what heals by itself is waited for, what does not ends the process."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from chassis import pool_health
from chassis.database import Pool, connection, make_pool
from chassis.errors import Unavailable
from chassis.pool_health import Outcome, PoolHealth, look
from chassis.process import open_server
from chassis.settings import Settings
from tests.database_switch import Switch
from tests.integration.chassis.conftest import PRODUCER, eventually, lend_all
from tests.integration.chassis.test_process import Building, environment_of, is_serving

SIZE = 4


async def _is_not_serving(address: str) -> bool:
    return not await is_serving(address)


async def test_health_follows_postgresql_and_the_service_stays(settings: Settings, switch: Switch) -> None:
    own = settings.model_copy(update={"status_database_url": switch.server.url})
    address = settings.address(PRODUCER)
    ended: list[bool] = []
    async with open_server(PRODUCER, own, Building(), on_stuck=lambda: ended.append(True)):
        assert await is_serving(address)
        for _ in range(2):
            await asyncio.to_thread(switch.off)
            await eventually(lambda: _is_not_serving(address))
            await asyncio.to_thread(switch.on)
            await eventually(lambda: is_serving(address))
    assert not ended


@asynccontextmanager
async def _told(pool: Pool, told: list[bool], stuck: asyncio.Event) -> AsyncIterator[PoolHealth]:
    async def tell(works: bool) -> None:
        told.append(works)

    health = PoolHealth(pool, tell, stuck.set)
    async with health.watching():
        yield health


async def test_a_pool_that_lends_nothing_is_told_from_a_server_that_is_away(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_health, "STUCK_SECONDS", 1.0)
    told: list[bool] = []
    stuck = asyncio.Event()
    async with make_pool(switch.server.url, size=SIZE, application="test") as pool:
        await lend_all(pool)
        await asyncio.to_thread(switch.off)
        async with _told(pool, told, stuck):
            await eventually(lambda: _has(told, False, times=pool_health.STUCK_LOOKS + 1))
            assert not stuck.is_set()  # away, not stuck
            await asyncio.to_thread(switch.on)
            await eventually(lambda: _has(told, True))
            lost = [await pool.getconn() for _ in range(SIZE)]  # as if they had been lost
            async with asyncio.timeout(60):
                await stuck.wait()
        assert told[-1] is False
        for conn in lost:
            await pool.putconn(conn)


async def _has(told: list[bool], works: bool, times: int = 1) -> bool:
    return told.count(works) >= times


async def test_a_pool_that_a_crowd_uses_up_is_alive(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_health, "STUCK_SECONDS", 0.0)
    monkeypatch.setattr(pool_health, "PAUSE_SECONDS", 0.01)
    told: list[bool] = []
    stuck = asyncio.Event()
    is_over = False
    async with make_pool(settings.service_database_url(PRODUCER), size=SIZE, application="test") as pool:
        pool.timeout = 0.5
        await lend_all(pool)

        async def borrow_always() -> None:
            while not is_over:
                try:
                    async with connection(pool) as conn:
                        await conn.execute("SELECT pg_sleep(0.2)")
                except Unavailable:
                    await asyncio.sleep(0.01)

        crowd = [asyncio.create_task(borrow_always()) for _ in range(pool.max_waiting)]
        async with _told(pool, told, stuck):
            for _ in range(5):
                await eventually(lambda: _was_busy(pool))
            assert not stuck.is_set()
            assert False not in told
            is_over = True
            await asyncio.gather(*crowd)
            await eventually(lambda: _has(told, True))


async def _was_busy(pool: Pool) -> bool:
    return await look(pool) is Outcome.BUSY


STUCK = """
import asyncio, importlib, sys
from chassis.process import run_services
from chassis.settings import load_settings
from tests.integration.chassis.probe import probe_service

async def build(settings, pool, stack):
    async def lose():
        await asyncio.sleep(1)
        while True:
            try:
                await pool.getconn()
            except Exception:
                pass
    stack.lost = asyncio.create_task(lose())
    return [probe_service()]

run_services({"status": build}, load_settings())
"""


async def test_a_process_whose_pool_lends_nothing_ends_with_a_sentence(settings: Settings) -> None:
    small = settings.model_copy(update={"database_pool_size": 2})
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STUCK, env=environment_of(small), stderr=subprocess.PIPE
    )
    _, logged = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 1, logged.decode()
    assert "has lent no connection for some time although PostgreSQL answers" in logged.decode()
    assert settings.derive(f"database/{PRODUCER}") not in logged.decode()
