"""What the tests of the ground share: the ledger of the status service, as the service and as the relay see it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow, dict_row
from psycopg.types.json import Jsonb

from chassis import ledger, topology
from chassis.database import Pool, connection, make_pool
from chassis.publisher import FULL, Refusals
from chassis.settings import Settings
from deploy.local.command import call
from deploy.local.rabbitmq import RabbitMQ

PRODUCER = "status"
WAIT_SECONDS = 30.0


async def eventually(condition: Callable[[], Awaitable[Any]], seconds: float = WAIT_SECONDS) -> Any:
    """Wait until a condition gives something true, and return it."""
    async with asyncio.timeout(seconds):
        while not (found := await condition()):
            await asyncio.sleep(0.02)
    return found


async def lend_all(pool: Pool) -> None:
    """Lend all connections that a pool may have at once, however long that takes to connect."""
    timeout, pool.timeout = pool.timeout, WAIT_SECONDS
    everybody = asyncio.Barrier(pool.max_size)

    async def borrow() -> None:
        async with connection(pool) as conn:
            await everybody.wait()
            await conn.execute("SELECT 1")

    try:
        await asyncio.gather(*(borrow() for _ in range(pool.max_size)))
    finally:
        pool.timeout = timeout


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    """The pool of the status service."""
    async with make_pool(settings.service_database_url(PRODUCER), size=4, application="test") as opened:
        yield opened


@pytest.fixture
def relay_conn(settings: Settings) -> Iterator[psycopg.Connection]:
    """A connection as the relay has it."""
    with psycopg.connect(settings.service_database_url(PRODUCER), autocommit=True) as conn:
        yield conn


@dataclass
class Ledger:
    """The ledger of the status service."""

    pool: Pool

    async def append(self, event: str, *payloads: dict[str, int]) -> None:
        async with connection(self.pool) as conn:
            await ledger.append(conn, event, payloads)

    async def publish_statuses(self, count: int, first: int = 1) -> None:
        """Insert so many rows of `timeline.fan_out`, numbered in their payloads."""
        await self.append("status.published", *({"entry_id": number} for number in range(first, first + count)))

    async def share(self, *numbers: int) -> None:
        """Insert a row of `timeline.fan_out` that these changes share."""
        async with connection(self.pool) as conn:
            await conn.execute(
                "INSERT INTO ledger (task, queue, payload) VALUES ('timeline.fan_out', 'timeline.live', %s)",
                (Jsonb([{"entry_id": number} for number in numbers]),),
            )

    async def rows(self) -> list[dict[str, Any]]:
        """All rows by id; `is_due` tells whether the relay would take them now."""
        async with connection(self.pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute("SELECT *, dead_at IS NULL AND due_at <= now() AS is_due FROM ledger ORDER BY id")
            return await cursor.fetchall()

    async def count(self) -> int:
        return len(await self.rows())

    async def make_due(self) -> None:
        """Let all leases and pauses run out."""
        async with connection(self.pool) as conn:
            await conn.execute("UPDATE ledger SET due_at = now()")

    async def fail(
        self, error: str = "RuntimeError: planted", *, is_transient: bool = False, seconds_ago: int = 0
    ) -> None:
        """Have all rows fail that are published, so many seconds ago, and be due again."""
        async with connection(self.pool) as conn:
            cursor = await conn.execute("SELECT id FROM ledger WHERE published_at IS NOT NULL")
            ids = [row[0] for row in await cursor.fetchall()]
            await ledger.record_failure(conn, ids, error, is_transient=is_transient)
            await conn.execute(
                "UPDATE ledger SET due_at = now(), failing_since = failing_since - %s * interval '1 second'",
                (seconds_ago,),
            )


@pytest.fixture
def work(pool: Pool) -> Ledger:
    """The ledger of the status service."""
    return Ledger(pool)


@dataclass
class Recorder:
    """A publisher that keeps what it is given, or fails; for the tests that are about the ledger alone."""

    sent: list[Any] = field(default_factory=list)
    error: Exception | None = None
    before: Callable[[], None] = lambda: None
    waiting: dict[str, int] = field(default_factory=dict)
    """How many messages are said to be ready in a queue."""
    full: set[str] = field(default_factory=set)

    def publish(self, messages: Any) -> Refusals:
        self.before()
        if self.error is not None:
            raise self.error
        refused = {place: FULL for place, message in enumerate(messages) if message.queue in self.full}
        self.sent.extend(message for place, message in enumerate(messages) if place not in refused)
        return refused

    def ready(self, queue: str) -> int:
        return self.waiting.get(queue, 0)

    def is_congested(self) -> bool:
        return False

    def keep_alive(self) -> None: ...

    def close(self) -> None: ...

    def batches(self) -> list[list[int]]:
        """The numbers in the payloads of each message."""
        return [[payload["entry_id"] for payload in message.body[1]["payloads"]] for message in self.sent]

    def numbers(self) -> list[int]:
        return [number for batch in self.batches() for number in batch]


@pytest.fixture
def admin(settings: Settings) -> Iterator[psycopg.Connection[TupleRow]]:
    """A connection of the database's administrator."""
    with psycopg.connect(settings.database_url, autocommit=True) as conn:
        yield conn


def rabbitmqctl(node: RabbitMQ, *arguments: str) -> str:
    """Run the node's own tool and return what it prints."""
    program = Path(node.software.server).with_name("rabbitmqctl")
    done = call([str(program), "--quiet", *arguments], seconds=60, env=node.environment, cwd=node.home)
    assert done.returncode == 0, done.stderr
    return done.stdout


QUEUE = topology.TASKS["timeline.fan_out"].queue
