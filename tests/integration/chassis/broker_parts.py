"""What a consumer sees of the broker."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import kombu

from chassis.publisher import Message


def a_message(number: int, queue: str) -> Message:
    """A message with a number in its body."""
    return Message(queue=queue, headers={"number": number}, properties={"correlation_id": str(number)}, body=number)


@contextmanager
def channel_of(url: str) -> Iterator[Any]:
    """A channel of a connection of its own."""
    with kombu.Connection(url, connect_timeout=5) as connection, connection.channel() as channel:
        yield channel


def messages_in(url: str, queue: str) -> int:
    """How many messages wait in a queue."""
    with channel_of(url) as channel:
        return int(channel.queue_declare(queue, passive=True).message_count)


def take_all(url: str, queue: str) -> list[Any]:
    """Take the messages out of a queue."""
    taken: list[Any] = []
    with channel_of(url) as channel:
        while (message := channel.basic_get(queue, no_ack=True)) is not None:
            taken.append(message)
    return taken
