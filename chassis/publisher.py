"""Publishing with proof: what `publish` returns is on the broker's disk, everything else must be published again."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import kombu
import msgspec
import structlog

from chassis import broker

log = structlog.get_logger(__name__)

DEADLINE_SECONDS = 5.0
NOT_FOUND = 404
FULL = "the broker refused it: its queue is full"
UNROUTABLE = "the broker refused it: its queue is missing"


@dataclass(frozen=True)
class Message:
    """A Celery task message (protocol 2), ready for the wire."""

    queue: str
    headers: dict[str, Any]
    properties: dict[str, Any]
    body: Any


class PublishError(Exception):
    """The broker did not confirm in time, or went away. The publisher must be thrown away."""


Refusals = Mapping[int, str]
"""Why messages were not taken, by their place among those that were published."""


class Publisher(Protocol):
    """Publishes task messages durably."""

    def publish(self, messages: Sequence[Message]) -> Refusals:
        """Return when all are confirmed or refused, and which were refused: their queue is full, or there is none.

        Raises PublishError; then any of them may have been published.
        """

    def ready(self, queue: str) -> int:
        """Return how many messages of a queue no worker has. Raises PublishError."""

    def is_congested(self) -> bool:
        """Tell whether messages wait for a worker in a queue that was last published to. Raises PublishError."""

    def keep_alive(self) -> None:
        """Answer the broker's heartbeats; call it every few seconds while there is nothing to publish."""

    def close(self) -> None:
        """Give the connection back."""


class BrokerConnection(Publisher, Protocol):
    """A publisher that can also tell whether the broker is still the same, and what it gives back."""

    def has_mark(self, name: str) -> bool:
        """Tell whether the broker has a mark that was left on it. Raises PublishError."""

    def leave_mark(self, name: str) -> None:
        """Leave a mark on the broker, for as long as it keeps its messages. Raises PublishError."""

    def take_returned(self, producer: str, limit: int) -> list[tuple[dict[str, Any], str | bytes]]:
        """Return (headers, body) of messages that have come back to a ledger; they come again until `forget_returned` is called.

        Raises PublishError.
        """

    def forget_returned(self) -> None:
        """Let go of what `take_returned` has returned last. Raises PublishError."""


class AmqpPublisher:
    """Pipelines confirms on a channel of its own and matches them by delivery tag.

    py-amqp's own confirming publish takes any acknowledgement for its own, so after one timeout the next message passes for
    confirmed (RabbitMQ 3.10, amqp 5.4). Hence: tags are counted here, unroutable messages are returned and noticed, there is one
    deadline for a whole batch, and after any failure this object and its connection are of no more use.
    """

    def __init__(self, url: str, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._deadline_seconds = deadline_seconds
        self._connection = kombu.Connection(
            url,
            heartbeat=10,
            connect_timeout=5,
            transport_options={"read_timeout": deadline_seconds, "write_timeout": deadline_seconds},
        )
        self._published = 0
        self._last_queues: set[str] = set()
        self._unconfirmed: set[int] = set()
        self._refused: dict[int, str] = {}
        self._returned_tag = 0
        self._faults = (*self._connection.connection_errors, *self._connection.channel_errors, OSError)
        try:
            self._channel = self._open_channel()
        except BaseException:
            self._connection.close()
            raise

    def _open_channel(self) -> Any:
        self._connection.connect()
        broker.declare(self._connection)
        channel: Any = self._connection.channel()
        channel.confirm_select()
        channel.events["basic_ack"].add(self._on_ack)
        channel.events["basic_nack"].add(self._on_nack)
        channel.events["basic_return"].add(self._on_return)
        return channel

    def publish(self, messages: Sequence[Message]) -> Refusals:
        """Return when all are confirmed or refused, and which were refused: their queue is full, or there is none.

        A queue that is missing is declared, for the next time. Raises PublishError; then any of them may have been published.
        """
        deadline = time.monotonic() + self._deadline_seconds
        self._last_queues = {message.queue for message in messages}
        self._refused = {}
        first = self._published + 1
        try:
            for message in messages:
                self._send(message, _time_left(deadline))
            while self._unconfirmed:
                self._connection.drain_events(timeout=_time_left(deadline))
            if UNROUTABLE in self._refused.values():
                broker.declare(self._connection)
        except TimeoutError as error:
            raise PublishError(f"{len(self._unconfirmed)} of {len(messages)} messages unconfirmed in time") from error
        except self._faults as error:
            raise PublishError(f"the broker went away: {type(error).__name__}: {error}") from error
        return {tag - first: reason for tag, reason in self._refused.items()}

    def _send(self, message: Message, timeout_seconds: float) -> None:
        self._published += 1
        self._unconfirmed.add(self._published)
        prepared = self._channel.prepare_message(
            msgspec.json.encode(message.body).decode(),
            content_type="application/json",
            content_encoding="utf-8",
            headers=message.headers,
            properties={**message.properties, "delivery_mode": 2, "message_id": str(self._published)},
        )
        self._channel.basic_publish(
            prepared,
            exchange=broker.EXCHANGE.name,
            routing_key=message.queue,
            mandatory=True,
            timeout=timeout_seconds,
        )

    def _on_ack(self, delivery_tag: int, multiple: bool) -> None:
        self._unconfirmed -= self._tags(delivery_tag, multiple)

    def _on_nack(self, delivery_tag: int, multiple: bool) -> None:
        tags = self._tags(delivery_tag, multiple)
        self._unconfirmed -= tags
        self._refused.update(dict.fromkeys(tags, FULL))

    def _tags(self, delivery_tag: int, multiple: bool) -> set[int]:
        return {tag for tag in self._unconfirmed if tag <= delivery_tag} if multiple else {delivery_tag}

    def _on_return(self, error: Exception, exchange: str, routing_key: str, message: Any) -> None:
        self._refused[int(message.properties["message_id"])] = UNROUTABLE  # it is confirmed as well

    def ready(self, queue: str) -> int:
        """Return how many messages of a queue no worker has. Raises PublishError."""
        with self._faults_told():
            return int(self._channel.queue_declare(queue, passive=True).message_count)

    def is_congested(self) -> bool:
        """Tell whether messages wait for a worker in a queue that was last published to. Raises PublishError."""
        return any(self.ready(queue) for queue in self._last_queues)

    def has_mark(self, name: str) -> bool:
        """Tell whether the broker has a mark that was left on it. Raises PublishError."""
        with self._faults_told(), self._connection.channel() as channel:
            try:
                broker.mark(name).bind(channel).queue_declare(passive=True)
            except self._connection.channel_errors as error:
                if error.reply_code != NOT_FOUND:
                    raise
                return False
            return True

    def leave_mark(self, name: str) -> None:
        """Leave a mark on the broker, for as long as it keeps its messages. Raises PublishError."""
        with self._faults_told(), self._connection.channel() as channel:
            broker.mark(name).bind(channel).queue_declare()

    def take_returned(self, producer: str, limit: int) -> list[tuple[dict[str, Any], str | bytes]]:
        """Return (headers, body) of messages that have come back to a ledger; they come again until `forget_returned` is called.

        Raises PublishError.
        """
        taken: list[tuple[dict[str, Any], str | bytes]] = []
        with self._faults_told():
            while (
                len(taken) < limit and (letter := self._channel.basic_get(broker.returned_queue(producer))) is not None
            ):
                self._returned_tag = letter.delivery_tag
                taken.append((letter.headers or {}, letter.body))
        return taken

    def forget_returned(self) -> None:
        """Let go of what `take_returned` has returned last. Raises PublishError."""
        with self._faults_told():
            self._channel.basic_ack(self._returned_tag, multiple=True)

    @contextmanager
    def _faults_told(self) -> Iterator[None]:
        """Turn what the driver raises into PublishErrors."""
        try:
            yield
        except self._faults as error:
            raise PublishError(f"the broker went away: {type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Give the connection back, whatever state it is in."""
        self._connection.close()

    def keep_alive(self) -> None:
        """Answer the broker's heartbeats; call it every few seconds while there is nothing to publish."""
        try:
            self._connection.heartbeat_check()
            self._connection.drain_events(timeout=0.001)
        except TimeoutError:
            pass
        except self._faults as error:
            raise PublishError(f"the broker went away: {type(error).__name__}: {error}") from error


def _time_left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class TransportPublisher:
    """Publishes through kombu's own transport, for the fallback on PostgreSQL, where each message is a committed row."""

    def __init__(self, url: str) -> None:
        self._connection = kombu.Connection(url, transport_options=broker.transport_options(url))
        self._connection.connect()
        self._queues = {queue.name: queue for queue in broker.task_queues(url)}
        self._producer = self._connection.Producer(auto_declare=False)

    def publish(self, messages: Sequence[Message]) -> Refusals:
        """Return when all are stored; these queues are never full. Raises PublishError; then any of them may have been published."""
        try:
            for message in messages:
                self._producer.publish(
                    message.body,
                    exchange=broker.EXCHANGE,
                    routing_key=message.queue,
                    declare=[
                        self._queues[message.queue]
                    ],  # this transport drops what no queue of this process is bound for
                    serializer="json",
                    headers=message.headers,
                    **message.properties,
                )
        except Exception as error:  # the transport passes on whatever its driver raises
            raise PublishError(f"the broker went away: {type(error).__name__}: {error}") from error
        return {}

    def ready(self, queue: str) -> int:
        """Return how many messages are in a queue, those that workers have too. Raises PublishError."""
        try:
            with self._connection.channel() as channel:
                return int(
                    channel._size(queue)
                )  # what a passive declaration asks, which would make a missing queue as well
        except Exception as error:  # the transport passes on whatever its driver raises
            raise PublishError(f"the broker went away: {type(error).__name__}: {error}") from error

    def has_mark(self, name: str) -> bool:
        """It is always the same broker: its queues are in PostgreSQL, where they are lost with everything or not at all."""
        return True

    def leave_mark(self, name: str) -> None:
        """Nothing to do."""

    def take_returned(self, producer: str, limit: int) -> list[tuple[dict[str, Any], str | bytes]]:
        """Nothing comes back: there are no dead letters. What a worker drops is published again after its lease."""
        return []

    def forget_returned(self) -> None:
        """Nothing to do."""

    def is_congested(self) -> bool:
        """It is not known: this transport does not tell apart what waits and what is being worked on."""
        return False

    def keep_alive(self) -> None:
        """Nothing to do: there are no heartbeats."""

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


@contextmanager
def open_publisher(url: str) -> Iterator[BrokerConnection]:
    """Connect to the first node of the broker that works, and lend its publisher. Raises PublishError where none answers."""
    with closing(_connect(url)) as publisher:
        yield publisher


def _connect(url: str) -> BrokerConnection:
    """Try each node once: kombu itself would try two, and none but the first where a node lets in and does nothing then."""
    for place, node in enumerate(broker.hosts(url), 1):
        try:
            return AmqpPublisher(node) if broker.is_amqp(node) else TransportPublisher(node)
        except Exception as error:  # whatever the transport raises while connecting
            reason = f"{type(error).__name__}: {error}"
            if place == len(broker.hosts(url)):
                raise PublishError(f"the broker does not answer: {reason}") from error
            log.warning("a node of the broker does not answer", place=place, error=reason)
    raise AssertionError("a URL names at least one node")
