"""A node of a RabbitMQ of three is lost under work: relay and worker go on with the others, and nothing is lost."""

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import kombu
import psycopg
import pytest

from chassis import broker
from chassis.process import open_server
from chassis.settings import Settings
from tests.conftest import SECRET
from tests.integration.chassis.conftest import PRODUCER, QUEUE, Ledger, eventually, pool, relay_conn, work
from tests.integration.chassis.test_ledger_service import build
from tests.integration.chassis.test_process import environment_of
from tests.integration.chassis.test_relay_process import relaying
from tests.integration.cluster.broker_cluster import Cluster, open_cluster

__all__ = ["pool", "relay_conn", "work"]
ENOUGH = 300
SECONDS = 120.0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with open_cluster(tmp_path) as opened:
        yield opened


@asynccontextmanager
async def a_worker(settings: Settings, log: Path) -> AsyncIterator[None]:
    """A worker process whose output is kept."""
    command = [sys.executable, "-m", "tests.integration.chassis.worker_under_test", "threads"]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, env=environment_of(settings), stdout=output, stderr=output
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 60)
        finally:
            if process.returncode is None:
                process.kill()


class Effects:
    """What the tasks of the worker have done."""

    def __init__(self, url: str) -> None:
        self._admin = psycopg.connect(url, autocommit=True)
        self._admin.execute("CREATE TABLE timeline.effects (number bigint NOT NULL)")
        self._admin.execute("GRANT SELECT, INSERT ON timeline.effects TO kodama_timeline")

    def numbers(self) -> set[int]:
        return {number for (number,) in self._admin.execute("SELECT number FROM timeline.effects").fetchall()}

    def close(self) -> None:
        self._admin.close()


@pytest.fixture
def effects(settings: Settings) -> Iterator[Effects]:
    made = Effects(settings.database_url)
    yield made
    made.close()


async def test_on_it_goes_when_the_leader_of_a_queue_is_lost(
    settings: Settings, work: Ledger, cluster: Cluster, effects: Effects, tmp_path: Path
) -> None:
    settings = settings.model_copy(
        update={"broker_url": Settings(secret=SECRET, broker_url=cluster.url).broker_url, "relay_lease_seconds": 10}
    )
    written = itertools.count(1)

    async def write(enough: int) -> int:
        for number in itertools.islice(written, enough):
            await work.publish_statuses(1, first=number)
            await asyncio.sleep(0.01)
        return enough

    async def has_done(number: int) -> bool:
        return number in await asyncio.to_thread(effects.numbers)

    async def is_empty() -> bool:
        return await work.count() == 0

    async with open_server(PRODUCER, settings, build), a_worker(settings, tmp_path / "worker.log"), relaying(settings):
        await write(20)
        await eventually(lambda: has_done(20), SECONDS)
        leader, members = await asyncio.to_thread(cluster.members, QUEUE)
        assert members == {node.name for node in cluster.nodes}, "the queue is not on all nodes"
        writing = asyncio.create_task(write(ENOUGH))
        await eventually(lambda: has_done(50), SECONDS)
        await asyncio.to_thread(cluster.lose, leader)
        await writing
        await write(1)
        await eventually(lambda: has_done(20 + ENOUGH + 1), SECONDS)
        await eventually(is_empty, SECONDS)
        assert (await asyncio.to_thread(cluster.members, QUEUE))[0] != leader
    assert effects.numbers() == set(range(1, 20 + ENOUGH + 2))
    with kombu.Connection(settings.broker_url) as connection:  # whoever starts now finds the two that are left
        broker.declare(connection)
        kombu.Queue("kodama.new", queue_arguments={"x-queue-type": "quorum"}).bind(connection.channel()).declare()
    password = str(urlsplit(cluster.url).password)
    assert password not in (tmp_path / "worker.log").read_text()
