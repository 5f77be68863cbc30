"""The queues as declared: durable, replicated, with an end to redelivery and a place for what is given up."""

import time
from typing import Any

import kombu
import pytest

from chassis import broker, topology
from chassis.publisher import open_publisher
from tests.integration.chassis.broker_parts import a_message, channel_of, messages_in, take_all
from tests.integration.chassis.conftest import QUEUE

QUORUM = {
    "x-queue-type": "quorum",
    "x-delivery-limit": 5,
    "x-dead-letter-exchange": "kodama.dead_letters",
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
    "x-max-length": 1_000_000,
}


def test_every_queue_of_the_topology_is_declared_alike() -> None:
    queues = broker.task_queues("amqp://host/")
    assert [queue.name for queue in queues] == list(topology.QUEUES)
    for queue in queues:
        assert queue.queue_arguments == QUORUM
        assert (queue.durable, queue.exclusive, queue.auto_delete) == (True, False, False)
        assert (queue.exchange.name, queue.exchange.type, queue.exchange.durable) == ("kodama.tasks", "direct", True)
        assert queue.routing_key == queue.name


@pytest.mark.parametrize("name", [*topology.QUEUES, topology.DEAD_LETTER_QUEUE])
def test_the_broker_has_them_and_declaring_again_changes_nothing(broker_url: str, name: str) -> None:
    with kombu.Connection(broker_url) as connection:
        broker.declare(connection)
    assert messages_in(broker_url, name) == 0


@pytest.mark.parametrize("argument", QUORUM)
def test_the_broker_holds_the_queue_to_each_argument(broker_url: str, argument: str) -> None:
    without = {name: value for name, value in QUORUM.items() if name != argument}
    with channel_of(broker_url) as channel:
        queue = kombu.Queue(QUEUE, broker.EXCHANGE, QUEUE, queue_arguments=without).bind(channel)
        with pytest.raises(channel.connection.channel_errors, match="PRECONDITION_FAILED"):
            queue.queue_declare()


def redeliver(url: str, number: int) -> int:
    """Take the message and put it back until it does not come again; return how often it came."""
    deliveries = 0
    with channel_of(url) as channel:
        while (message := channel.basic_get(QUEUE)) is not None:
            assert message.headers["number"] == number
            deliveries += 1
            assert deliveries < 50, "it comes back for ever"
            channel.basic_reject(message.delivery_tag, requeue=True)
    return deliveries


def dead_letter(url: str) -> Any:
    """Wait for the one dead letter: RabbitMQ moves it by itself, after the rejection is answered."""
    deadline = time.monotonic() + 10
    while not (messages := take_all(url, topology.DEAD_LETTER_QUEUE)) and time.monotonic() < deadline:
        time.sleep(0.05)
    (message,) = messages
    return message


def test_a_message_that_nobody_can_handle_ends_among_the_dead_letters(broker_url: str) -> None:
    with open_publisher(broker_url) as publisher:
        publisher.publish([a_message(7, QUEUE)])
    assert redeliver(broker_url, 7) == topology.DELIVERY_LIMIT + 1
    message = dead_letter(broker_url)
    assert (message.headers["number"], message.body) == (7, "7")
    assert [(death["queue"], death["reason"]) for death in message.headers["x-death"]] == [(QUEUE, "delivery_limit")]


def test_a_rejected_message_is_a_dead_letter_without_being_tried_again(broker_url: str) -> None:
    with open_publisher(broker_url) as publisher:
        publisher.publish([a_message(8, QUEUE)])
    with channel_of(broker_url) as channel:
        message = channel.basic_get(QUEUE)
        channel.basic_reject(message.delivery_tag, requeue=False)
    assert [(death["queue"], death["reason"]) for death in dead_letter(broker_url).headers["x-death"]] == [
        (QUEUE, "rejected")
    ]
