"""The relay and a real broker, while workers are away, messages are lost, and what no worker can do comes back."""

import asyncio
import threading
from typing import Any

import kombu
import psycopg
import pytest

from chassis import broker, relay, relay_store, topology
from chassis.relay import run_relays
from chassis.settings import Settings
from tests.integration.chassis.broker_parts import channel_of, messages_in, take_all
from tests.integration.chassis.conftest import PRODUCER, QUEUE, Ledger, eventually
from tests.integration.chassis.test_relay_process import relaying

BATCHES = 6


class Backlog:
    """Posts that the relay has published in a few batches, and that nobody works on."""

    def __init__(self, settings: Settings, work: Ledger) -> None:
        self.settings, self.work = settings, work

    async def publish(self) -> None:
        """Make batches, one after the other."""
        for number in range(BATCHES):
            await self.work.publish_statuses(50, first=1 + 50 * number)
            await self.settle()

    async def settle(self) -> None:
        """Wait until the relay has seen to all that is due."""

        async def nothing_is_due() -> bool:
            rows = await self.work.rows()
            return not any(row["is_due"] for row in rows if row["dead_at"] is None) and all(
                row["published_at"] for row in rows
            )

        await eventually(nothing_is_due)

    async def end_leases(self) -> None:
        await self.work.make_due()
        await self.settle()

    def messages(self) -> int:
        return messages_in(self.settings.broker_url, QUEUE)

    async def has_messages(self, number: int) -> bool:
        return await asyncio.to_thread(self.messages) >= number

    def batches(self) -> list[list[int]]:
        """Take the messages out and return whose changes are in each, in order."""
        taken = take_all(self.settings.broker_url, QUEUE)
        decoded = [kombu.serialization.loads(message.body, "application/json", "utf-8") for message in taken]
        return sorted([payload["entry_id"] for payload in body[1]["payloads"]] for body in decoded)


@pytest.fixture
def backlog(settings: Settings, broker_url: str, work: Ledger, monkeypatch: pytest.MonkeyPatch) -> Backlog:
    monkeypatch.setattr(relay, "POLL_SECONDS", 0.1)
    return Backlog(settings.model_copy(update={"broker_url": broker_url, "relay_lease_seconds": 300}), work)


WANTED = [list(range(1 + 50 * number, 51 + 50 * number)) for number in range(BATCHES)]


async def test_a_backlog_keeps_its_batches_for_twenty_leases_and_kills_nothing(
    backlog: Backlog, broker_url: str
) -> None:
    async with relaying(backlog.settings):
        await backlog.publish()
        for _ in range(20):
            await backlog.end_leases()
        assert backlog.messages() <= 2 * BATCHES
        assert [row["dead_at"] for row in await backlog.work.rows()] == [None] * 50 * BATCHES

        # Then the queue loses what it has.
        with channel_of(broker_url) as channel:
            channel.queue_purge(QUEUE)
        await asyncio.sleep(relay.LOOK_SECONDS)
        await backlog.end_leases()
        await eventually(lambda: backlog.has_messages(BATCHES))
    assert backlog.batches() == WANTED


async def test_a_broker_that_was_wiped_is_recognised_whatever_others_have_put_into_it_since(
    backlog: Backlog, broker_url: str, relay_conn: psycopg.Connection
) -> None:
    """No lease ends: the mark is gone, and so is all that was published before."""
    async with relaying(backlog.settings):
        await backlog.publish()
    name = relay_store.read_mark(relay_conn)
    with channel_of(broker_url) as channel:
        channel.queue_purge(QUEUE)
        channel.queue_delete(broker.mark(f"{PRODUCER}.{name}").name)
        for number in range(100):
            kombu.Producer(channel).publish({"another": number}, exchange=broker.EXCHANGE, routing_key=QUEUE)
    async with relaying(backlog.settings):
        await eventually(lambda: backlog.has_messages(100 + BATCHES))
        await backlog.settle()
    async with relaying(backlog.settings):  # it is the same broker now
        await backlog.end_leases()
    taken = [message for message in take_all(broker_url, QUEUE) if message.headers.get("ledger") == PRODUCER]
    assert len(taken) == BATCHES
    assert {row["publications"] for row in await backlog.work.rows()} == {2}


def give_back(url: str, *, requeue: bool) -> None:
    """Be workers that are killed with each message as often as the broker delivers it, or one that rejects each."""
    with channel_of(url) as channel:
        while (message := channel.basic_get(QUEUE)) is not None:
            channel.basic_reject(message.delivery_tag, requeue=requeue)


@pytest.mark.parametrize(("requeue", "failures", "word"), [(True, 1, "killed"), (False, 0, "does not know the task")])
async def test_what_no_worker_can_end_comes_back_as_a_failure(
    backlog: Backlog, *, requeue: bool, failures: int, word: str
) -> None:
    await backlog.work.publish_statuses(3)
    async with relaying(backlog.settings):
        await eventually(lambda: backlog.has_messages(1))
        await asyncio.to_thread(give_back, backlog.settings.broker_url, requeue=requeue)

        async def has_failed() -> list[dict[str, Any]] | None:
            rows = await backlog.work.rows()
            return rows if all(row["failing_since"] for row in rows) else None

        rows = await eventually(has_failed)
        assert {row["failures"] for row in rows} == {failures}
        assert all(word in row["last_error"] for row in rows)
        await eventually(lambda: backlog.has_messages(1))
        assert len({row["message_id"] for row in await backlog.work.rows()}) == 1, "they travel together still"
    assert messages_in(backlog.settings.broker_url, topology.DEAD_LETTER_QUEUE) == 1, "people have a copy"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_relay_whose_thread_ends_ends_the_others_and_says_so(
    settings: Settings, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.model_copy(update={"broker_url": broker_url})
    sound = relay.Relay._relay

    def end(self: relay.Relay, *arguments: Any) -> None:
        if self._producer == "blog":
            raise SystemExit
        sound(self, *arguments)

    monkeypatch.setattr(relay.Relay, "_relay", end)
    with pytest.raises(SystemExit, match="the relay of blog has ended by itself"):
        await asyncio.to_thread(run_relays, settings, ["status", "blog"], threading.Event())


async def test_a_pass_that_fails_of_anything_is_tried_again(backlog: Backlog, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = iter([ZeroDivisionError("planted"), KeyError("planted")])
    sound = relay.relay_due

    def relay_due(*arguments: Any) -> relay.Passed:
        error = next(failing, None)
        if error:
            raise error
        return sound(*arguments)

    monkeypatch.setattr(relay, "relay_due", relay_due)
    async with relaying(backlog.settings):
        await backlog.publish()
    assert backlog.batches() == WANTED


async def test_a_full_queue_holds_up_neither_others_nor_the_connection(
    backlog: Backlog, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[str] = []
    sound = relay.Relay._relay

    def count(self: relay.Relay, *arguments: Any) -> None:
        connected.append(self._producer)
        sound(self, *arguments)

    monkeypatch.setattr(relay.Relay, "_relay", count)
    full = broker.task_queues(broker_url)[list(topology.QUEUES).index(QUEUE)]
    async with relaying(backlog.settings):
        await eventually(lambda: asyncio.sleep(0, connected))
        with channel_of(broker_url) as channel:
            channel.queue_delete(QUEUE)
            kombu.Queue(
                QUEUE, broker.EXCHANGE, QUEUE, queue_arguments={**full.queue_arguments, "x-max-length": 1}
            ).bind(channel).declare()
        number = 0

        async def refused() -> bool:
            nonlocal number
            number += 1
            await backlog.work.publish_statuses(1, first=number)
            return any("full" in row["last_error"] for row in await backlog.work.rows())

        await eventually(refused)
        for other in range(1, 6):
            await backlog.work.append("status.deleted", {"entry_id": other})

            async def arrived(wanted: int = other) -> bool:
                return await asyncio.to_thread(messages_in, broker_url, "housekeeping") >= 1 and all(
                    row["published_at"] for row in await backlog.work.rows() if row["task"] == "timeline.retract"
                )

            await eventually(arrived)
        assert connected == [PRODUCER]
        await asyncio.to_thread(take_all, broker_url, QUEUE)
        await eventually(lambda: _drained(backlog, broker_url))


async def _drained(backlog: Backlog, broker_url: str) -> bool:
    """Work on the queue, and tell whether all has been published."""
    await asyncio.to_thread(take_all, broker_url, QUEUE)
    return all(row["published_at"] for row in await backlog.work.rows())
