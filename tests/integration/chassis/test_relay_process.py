"""The relay as a process runs it: it wakes at the bell, lives through faults, and ends when told to."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import kombu
import psycopg
import pytest

from chassis import broker, ledger, relay
from chassis.database import Pool
from chassis.relay import run_relays
from chassis.settings import Settings
from deploy.local.broker import PGMQ_ROLE, Broker, BrokerKind
from deploy.local.rabbitmq import RabbitMQ
from tests.integration.chassis.broker_parts import messages_in
from tests.integration.chassis.conftest import PRODUCER, QUEUE, Ledger, eventually, rabbitmqctl


@asynccontextmanager
async def relaying(settings: Settings) -> AsyncIterator[None]:
    """Run the relay of the status service in a thread; at the end it must stop by itself."""
    stop = threading.Event()
    thread = threading.Thread(target=run_relays, args=(settings, [PRODUCER], stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        await asyncio.to_thread(thread.join, 20)
        assert not thread.is_alive()


class Relayed:
    """Rows that reach the broker, however many messages they share."""

    def __init__(self, settings: Settings, work: Ledger) -> None:
        self.settings, self._work = settings, work

    async def all_published(self) -> bool:
        return all(row["published_at"] is not None for row in await self._work.rows())

    async def publish_one(self) -> None:
        before = await asyncio.to_thread(messages_in, self.settings.broker_url, QUEUE)
        await self._work.publish_statuses(1)
        await eventually(self.all_published)
        assert await asyncio.to_thread(messages_in, self.settings.broker_url, QUEUE) > before


@pytest.fixture
def relayed(settings: Settings, broker_url: str, work: Ledger) -> Relayed:
    return Relayed(settings.model_copy(update={"broker_url": broker_url}), work)


async def test_it_wakes_at_the_bell(
    relayed: Relayed, work: Ledger, pool: Pool, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "POLL_SECONDS", 3600)
    bell = ledger.Bell(pool)

    async def is_listening() -> bool:
        found = admin.execute("SELECT FROM pg_stat_activity WHERE application_name = 'relay-status' AND state = 'idle'")
        return found.rowcount == 1

    async with relaying(relayed.settings):
        await eventually(is_listening)
        await work.publish_statuses(1)
        bell.ring()
        await eventually(relayed.all_published)
        await work.publish_statuses(1)
        monkeypatch.setattr(relay, "POLL_SECONDS", 0.01)
        bell.ring()
        await eventually(relayed.all_published)
    await bell.close()


async def test_it_needs_no_bell(relayed: Relayed) -> None:
    async with relaying(relayed.settings):
        await relayed.publish_one()


async def test_it_lives_through_lost_connections_to_postgresql_and_broker(
    relayed: Relayed, admin: psycopg.Connection, rabbitmq_node: RabbitMQ
) -> None:
    async with relaying(relayed.settings):
        await relayed.publish_one()
        ended = admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'relay-status'"
        )
        assert ended.fetchall() == [(True,)]
        await relayed.publish_one()
        await asyncio.to_thread(rabbitmqctl, rabbitmq_node, "close_all_connections", "planted")
        await relayed.publish_one()


async def test_it_works_the_same_on_the_fallback_broker(settings: Settings, work: Ledger) -> None:
    url = urlsplit(settings.database_url)
    place = url._replace(scheme="pgmq", netloc=f"{PGMQ_ROLE}:a1b2c3@{url.netloc.rpartition('@')[2]}").geturl()
    Broker(BrokerKind.PGMQ, place, "").install(settings.database_url)
    relayed = Relayed(settings.model_copy(update={"broker_url": place}), work)
    await work.publish_statuses(3)
    async with relaying(relayed.settings):
        await eventually(relayed.all_published)
    with (
        kombu.Connection(place, transport_options=broker.transport_options(place)) as connection,
        connection.SimpleQueue(broker.task_queues(place)[0]) as queue,
    ):
        message = queue.get(timeout=10)
        message.ack()
    assert message.headers["task"] == "timeline.fan_out"
    assert message.payload[1]["payloads"] == [{"entry_id": number} for number in (1, 2, 3)]
