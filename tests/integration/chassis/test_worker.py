"""From a ledger's rows through the relay and RabbitMQ to a real Celery worker and back."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chassis import failpoints, topology
from chassis.process import open_server
from chassis.publisher import open_publisher
from chassis.relay import relay_due
from chassis.settings import Settings
from chassis.task_app import make_task_app
from deploy.local.rabbitmq import VHOST, RabbitMQ
from tests.integration.chassis.broker_parts import messages_in
from tests.integration.chassis.conftest import PRODUCER, QUEUE, Ledger, eventually, rabbitmqctl
from tests.integration.chassis.test_ledger_service import build
from tests.integration.chassis.test_process import environment_of


class Network:
    """A served ledger, a broker, and a table that the worker's tasks write what they did into."""

    def __init__(self, settings: Settings, work: Ledger, conn: psycopg.Connection, admin: psycopg.Connection) -> None:
        self.settings, self.work, self._conn, self._admin = settings, work, conn, admin
        self._app = make_task_app(settings, "relay")
        admin.execute("CREATE TABLE timeline.effects (number bigint NOT NULL)")
        admin.execute("GRANT SELECT, INSERT ON timeline.effects TO kodama_timeline")

    def relay(self) -> int:
        with open_publisher(self.settings.broker_url) as publisher:
            return relay_due(self._conn, publisher, self._app, PRODUCER, self.settings).changes

    def note(self, number: int) -> None:
        self._admin.execute("INSERT INTO timeline.effects VALUES (%s)", (number,))

    def effects(self) -> list[int]:
        return [n for (n,) in self._admin.execute("SELECT number FROM timeline.effects ORDER BY number").fetchall()]

    async def has(self, number: int) -> bool:
        return number in self.effects()

    async def all_done(self) -> bool:
        return await self.work.count() == 0

    def waiting(self, queue: str = QUEUE) -> int:
        return messages_in(self.settings.broker_url, queue)


@pytest.fixture
async def network(
    settings: Settings, broker_url: str, work: Ledger, relay_conn: psycopg.Connection, admin: psycopg.Connection
) -> AsyncIterator[Network]:
    settings = settings.model_copy(update={"broker_url": broker_url})
    async with open_server(PRODUCER, settings, build):
        yield Network(settings, work, relay_conn, admin)


@asynccontextmanager
async def a_worker(settings: Settings, pool: str = "threads") -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker process; stopped at the end, however that is. What it logs is shown where a test fails."""
    module = "tests.integration.chassis.worker_under_test"
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, pool, env=environment_of(settings))
    try:
        yield process
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_rows_become_effects_and_go_and_failures_are_kept(network: Network) -> None:
    work = network.work
    async with a_worker(network.settings):
        await work.publish_statuses(450)
        assert await asyncio.to_thread(network.relay) == 450
        await eventually(network.all_done)
        assert network.effects() == list(range(1, 451))

        await work.append("status.published", {"entry_id": 501, "fail": 1001})
        await work.append("status.deleted", {"entry_id": 601})
        await asyncio.to_thread(network.relay)

        async def reported() -> list[dict[str, Any]] | None:
            rows = await work.rows()
            return rows if all(row["last_error"] for row in rows) else None

        failed, slow = await eventually(reported)
        assert failed["last_error"].startswith("RuntimeError: planted failure of 501")
        assert slow["last_error"].startswith("cancelled: it took longer than its time limit")
        assert network.effects().count(-601) == 1, "the slow task was not cancelled"
        for row in (failed, slow):
            assert (row["publications"], row["failures"], row["published_at"], row["dead_at"]) == (1, 1, None, None)

        async def both_are_dead_letters() -> bool:
            return network.waiting(topology.DEAD_LETTER_QUEUE) == 2

        await eventually(both_are_dead_letters)
        assert network.waiting() == 0
        assert network.effects().count(1001) == 1, "a failed message came back by itself"

        await work.make_due()
        await asyncio.to_thread(network.relay)

        async def tried_again() -> bool:
            return network.effects().count(1001) == 2

        await eventually(tried_again)


async def test_a_worker_declares_nothing_at_the_broker(network: Network, rabbitmq_node: RabbitMQ) -> None:
    def declared() -> set[str]:
        kinds = ("queues", "exchanges")
        return {
            name for kind in kinds for name in rabbitmqctl(rabbitmq_node, f"list_{kind}", "-p", VHOST, "name").split()
        }

    before = declared()
    await network.work.publish_statuses(1)
    async with a_worker(network.settings):
        await asyncio.to_thread(network.relay)
        await eventually(network.all_done)
        assert await asyncio.to_thread(declared) == before


async def test_a_pool_of_processes_does_the_same_work(network: Network) -> None:
    await network.work.publish_statuses(3)
    await network.work.append("status.published", {"entry_id": 501, "fail": 1001})
    async with a_worker(network.settings, "prefork"):
        await asyncio.to_thread(network.relay)

        async def only_failed_rows_are_left() -> bool:
            return {row["last_error"][:21] for row in await network.work.rows()} == {"RuntimeError: planted"}

        await eventually(only_failed_rows_are_left)


async def test_a_worker_that_is_killed_in_the_middle_loses_nothing(network: Network) -> None:
    work = network.work
    await work.append("status.published", {"entry_id": 1, "hold": 99})
    await asyncio.to_thread(network.relay)
    async with a_worker(network.settings) as killed:
        await eventually(lambda: network.has(-99))
        killed.kill()
        await killed.wait()
    assert network.effects() == [-99]
    network.note(99)
    async with a_worker(network.settings):
        await eventually(network.all_done)
    assert network.effects() == [-99, -99, 1, 99]


@asynccontextmanager
async def mortal(settings: Settings, plan: dict[str, str], *command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process with failpoints, killed at the end where none has done it."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", *command, env=environment_of(settings) | plan)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_relay_that_is_killed_between_publishing_and_marking_publishes_twice(
    network: Network, tmp_path: Path
) -> None:
    work = network.work
    await work.publish_statuses(3)
    plan = {failpoints.PLAN: f"relay.after_publish/{PRODUCER}:kill", failpoints.FOLDER: str(tmp_path)}
    command = ("services.cli", "relay", PRODUCER)
    async with mortal(network.settings, plan, *command) as relay:
        assert await relay.wait() == -signal.SIGKILL
    assert [row["published_at"] for row in await work.rows()] == [None] * 3

    async def all_published() -> bool:
        return all(row["published_at"] is not None for row in await work.rows())

    async with mortal(network.settings, plan, *command):
        await eventually(all_published)
    assert network.waiting() == 2


async def test_a_worker_that_is_killed_between_effect_and_receipt_does_it_twice(
    network: Network, tmp_path: Path
) -> None:
    await network.work.publish_statuses(1)
    await asyncio.to_thread(network.relay)
    plan = {failpoints.PLAN: "worker.after_effect/fan_out:kill", failpoints.FOLDER: str(tmp_path)}
    command = ("tests.integration.chassis.worker_under_test", "threads")
    async with mortal(network.settings, plan, *command) as worker:
        assert await worker.wait() == -signal.SIGKILL
    assert (await network.work.count(), network.effects()) == (1, [1])
    async with mortal(network.settings, plan, *command):
        await eventually(network.all_done)
    assert network.effects() == [1, 1]


async def test_a_worker_whose_pool_lends_nothing_ends(network: Network) -> None:
    async with a_worker(network.settings) as process:
        await network.work.append("status.published", {"entry_id": 1, "keep": 1})
        await asyncio.to_thread(network.relay)
        await eventually(lambda: network.has(1))
        async with asyncio.timeout(180):
            await process.wait()
    assert process.returncode == 0
