"""A worker whose tasks do what their payloads say: `python -m tests.integration.chassis.worker_under_test POOL`.

Effects are rows of the table `effects`, which the test makes. A payload of `timeline.fan_out` has the number of its effect and,
where it is asked for, one of: `fail` (raise before the effect), `hold` (wait until the effect with this number is there), `slow` (a
statement that takes longer than it may), `keep` (after the effect, borrow all connections of the pool for good).
"""

import asyncio
import dataclasses
import importlib
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from chassis import topology
from chassis.database import Pool, connection
from chassis.logs import configure_logging
from chassis.pool_health import open_watched_pool
from chassis.settings import Settings, load_settings
from chassis.task_app import Payload, TaskApp, make_worker_app

NAME = "tests.integration.chassis.worker_under_test"
SHORT = dataclasses.replace(topology.TASKS["timeline.retract"], time_limit_seconds=1)


@asynccontextmanager
async def open_pool(settings: Settings) -> AsyncIterator[Pool]:
    async with open_watched_pool(settings.service_database_url("timeline"), size=4, application="worker") as pool:
        yield pool


async def note(pool: Pool, number: int) -> None:
    async with connection(pool) as conn:
        await conn.execute("INSERT INTO effects (number) VALUES (%s)", (number,))


async def has_effect(pool: Pool, number: int) -> bool:
    async with connection(pool) as conn:
        cursor = await conn.execute("SELECT FROM effects WHERE number = %s", (number,))
        return cursor.rowcount > 0


async def take_too_long(pool: Pool) -> None:
    async with connection(pool) as conn:
        await conn.execute("SELECT set_config('statement_timeout', '100ms', true)")
        await conn.execute("SELECT pg_sleep(60)")


async def fan_out(pool: Pool, payloads: Sequence[Payload]) -> None:
    for payload in payloads:
        if "fail" in payload:
            await note(pool, payload["fail"])
            raise RuntimeError(f"planted failure of {payload['entry_id']} \ud800")
        if "slow" in payload:
            await take_too_long(pool)
        if "hold" in payload:
            await note(pool, -payload["hold"])
            while not await has_effect(pool, payload["hold"]):
                await asyncio.sleep(0.02)
        await note(pool, payload["entry_id"])
        if "keep" in payload:
            for _ in range(pool.max_size):
                await pool.getconn()


async def retract(pool: Pool, payloads: Sequence[Payload]) -> None:
    """Takes longer than it may."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await note(pool, -payloads[0]["entry_id"])
        raise


def make_app(settings: Settings) -> TaskApp:
    topology.TASKS[SHORT.name] = SHORT
    return make_worker_app(settings, NAME, open_pool, {"timeline.fan_out": fan_out, "timeline.retract": retract})


def main() -> None:
    settings = load_settings()
    configure_logging(settings, "worker")
    importlib.import_module(NAME).make_app(settings).worker_main(
        [
            "worker",
            "--queues=timeline.live,housekeeping",
            f"--pool={sys.argv[1]}",
            "--concurrency=2",
            "--without-gossip",
            "--without-mingle",
            "--loglevel=info",
        ]
    )


if __name__ == "__main__":
    main()
