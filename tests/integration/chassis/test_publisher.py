"""Publishing with proof: what returns is in the queue, and whatever may not be there is an error in time."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import kombu
import psycopg
import pytest

from chassis import broker
from chassis.publisher import FULL, UNROUTABLE, AmqpPublisher, PublishError, open_publisher
from chassis.relay import relay_due
from chassis.settings import Settings
from chassis.task_app import make_task_app
from deploy.local.ports import free_port
from deploy.local.rabbitmq import RabbitMQ
from tests.integration.chassis.broker_parts import a_message, channel_of, messages_in, take_all
from tests.integration.chassis.conftest import PRODUCER, QUEUE, Ledger, eventually, rabbitmqctl


def test_what_was_published_is_in_its_queue_durably(broker_url: str) -> None:
    with open_publisher(broker_url) as publisher:
        publisher.publish([a_message(number, QUEUE) for number in range(300)])
        publisher.publish([a_message(300, "housekeeping")])
    taken = take_all(broker_url, QUEUE)
    assert [message.headers["number"] for message in taken] == list(range(300))
    assert {message.properties["delivery_mode"] for message in taken} == {2}
    assert {message.properties["content_type"] for message in taken} == {"application/json"}
    assert [message.body for message in take_all(broker_url, "housekeeping")] == ["300"]


def test_nothing_to_publish_is_nothing_to_wait_for(broker_url: str) -> None:
    with open_publisher(broker_url) as publisher:
        publisher.publish([])
        publisher.keep_alive()


async def test_it_is_congested_while_something_waits_where_it_last_published(broker_url: str) -> None:
    with open_publisher(broker_url) as publisher:
        assert not publisher.is_congested()
        publisher.publish([a_message(1, QUEUE)])

        async def is_congested(expected: bool = True) -> bool:
            return publisher.is_congested() is expected

        await eventually(is_congested)
        publisher.publish([a_message(2, "housekeeping")])
        assert len(take_all(broker_url, "housekeeping")) == 1
        await eventually(lambda: is_congested(False))  # what waits elsewhere is not asked for


def test_a_publisher_declares_what_a_wiped_broker_has_lost(broker_url: str) -> None:
    with channel_of(broker_url) as channel:
        channel.queue_delete(QUEUE)
    with open_publisher(broker_url) as publisher:
        publisher.publish([a_message(1, QUEUE)])
    assert messages_in(broker_url, QUEUE) == 1


async def test_a_message_without_a_queue_is_refused_and_the_others_are_not(
    broker_url: str, settings: Settings, work: Ledger, relay_conn: psycopg.Connection
) -> None:
    app = make_task_app(settings.model_copy(update={"broker_url": broker_url}), "relay")
    await work.publish_statuses(3)
    await work.append("status.deleted", {"entry_id": 9})
    with open_publisher(broker_url) as publisher:
        with channel_of(broker_url) as channel:
            channel.queue_delete(QUEUE)
        assert relay_due(relay_conn, publisher, app, PRODUCER, settings).changes == 1
        assert messages_in(broker_url, "housekeeping") == 1
        assert [(row["publications"], row["last_error"]) for row in (await work.rows())[:3]] == [(0, UNROUTABLE)] * 3
        await work.make_due()
        assert relay_due(relay_conn, publisher, app, PRODUCER, settings).changes >= 3, "the queue was declared anew"
    assert messages_in(broker_url, QUEUE) == 1


def make_shorter(url: str, queue: str, length: int) -> None:
    """Let a queue take no more than about so many messages."""
    arguments = {**broker.task_queues(url)[0].queue_arguments, "x-max-length": length}
    with channel_of(url) as channel:
        channel.queue_delete(queue)
        kombu.Queue(queue, broker.EXCHANGE, queue, queue_arguments=arguments).bind(channel).declare()


def test_a_full_queue_refuses_and_others_take_what_is_theirs(broker_url: str) -> None:
    with open_publisher(broker_url) as publisher:
        make_shorter(broker_url, QUEUE, 2)
        for number in range(1000):  # the limit reaches publishers with a delay
            refused = publisher.publish([a_message(number, QUEUE), a_message(number, "housekeeping")])
            if refused:
                break
        assert refused == {0: FULL}
        assert messages_in(broker_url, "housekeeping") == number + 1
        assert publisher.publish([a_message(1001, "housekeeping")]) == {}
        take_all(broker_url, QUEUE)


def test_queues_that_were_declared_otherwise_are_an_error_that_says_so(broker_url: str) -> None:
    with channel_of(broker_url) as channel:
        channel.queue_delete(QUEUE)
        kombu.Queue(QUEUE, broker.EXCHANGE, QUEUE, durable=True).bind(channel).declare()
    with pytest.raises(PublishError, match="PRECONDITION_FAILED"), open_publisher(broker_url):
        raise AssertionError


@pytest.mark.parametrize("how", [socket.SHUT_RDWR, socket.SHUT_RD])
def test_a_lost_connection_is_an_error_while_publishing_and_while_idle(broker_url: str, how: int) -> None:
    def publish(publisher: AmqpPublisher) -> None:
        publisher.publish([a_message(1, QUEUE)])

    for attempt in (publish, AmqpPublisher.keep_alive):
        publisher = AmqpPublisher(broker_url)
        publisher.keep_alive()
        publisher._connection.connection.transport.sock.shutdown(how)
        with pytest.raises(PublishError, match="the broker went away"):
            attempt(publisher)
        publisher.close()


def test_a_broker_that_has_gone_silent_is_an_error_while_idle(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher = AmqpPublisher(broker_url)
    publisher.keep_alive()
    connection = publisher._connection.connection
    connection.last_heartbeat_received = time.monotonic() - 10 * connection.heartbeat
    connection.prev_recv = connection.bytes_recv
    with pytest.raises(PublishError, match="the broker went away"):
        publisher.keep_alive()
    publisher.close()


def test_an_unknown_exchange_is_an_error(broker_url: str) -> None:
    with open_publisher(broker_url) as publisher:
        with channel_of(broker_url) as channel:
            channel.exchange_delete("kodama.tasks")
        with pytest.raises(PublishError, match="NOT_FOUND"):
            publisher.publish([a_message(1, QUEUE)])


def test_a_broker_that_is_not_there_is_an_error() -> None:
    with (
        pytest.raises(PublishError, match="the broker does not answer"),
        open_publisher(f"amqp://nobody:none@127.0.0.1:{free_port()}/none"),
    ):
        raise AssertionError


@contextmanager
def memory_alarm(node: RabbitMQ) -> Iterator[None]:
    """Let the broker be short of memory: it takes nothing more from publishers, and confirms nothing."""
    rabbitmqctl(node, "set_vm_memory_high_watermark", "absolute", "1")
    try:
        yield
    finally:
        rabbitmqctl(node, "set_vm_memory_high_watermark", "absolute", "512MiB")


async def test_confirms_are_matched_by_tag_when_the_broker_is_short_of_memory(
    broker_url: str, rabbitmq_node: RabbitMQ, settings: Settings, work: Ledger, relay_conn: psycopg.Connection
) -> None:
    """The trap of py-amqp: after a timeout the late confirm of one message passes for that of the next."""
    app = make_task_app(settings.model_copy(update={"broker_url": broker_url}), "relay")
    await work.publish_statuses(1)
    publisher = AmqpPublisher(broker_url, deadline_seconds=0.3)
    with memory_alarm(rabbitmq_node), pytest.raises(PublishError, match="1 of 1 messages unconfirmed in time"):
        relay_due(relay_conn, publisher, app, PRODUCER, settings)
    assert [(row["is_due"], row["publications"]) for row in await work.rows()] == [(True, 0)]

    async def first_has_arrived_late() -> bool:
        return messages_in(broker_url, QUEUE) == 1

    await eventually(first_has_arrived_late)
    with memory_alarm(rabbitmq_node), pytest.raises(PublishError, match="1 of 1 messages unconfirmed in time"):
        publisher.publish([a_message(2, "suggestions")])  # reads the first one's confirm, which is not its own
    publisher.close()
    with open_publisher(broker_url) as anew:
        assert relay_due(relay_conn, anew, app, PRODUCER, settings).changes == 1
    assert messages_in(broker_url, QUEUE) == 2
    assert [row["publications"] for row in await work.rows()] == [1]
