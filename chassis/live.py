"""Live events: hints from workers to those gateways whose members have streams open at this moment.

They are transient, unconfirmed and bounded everywhere, and nobody waits for them. One that is lost delays an event until the gateway
looks for itself (docs/decisions/0025-live-streams.md). They travel over a topic exchange under the shard of their recipients, so that a
gateway gets those of its own members' shards only. Without RabbitMQ there are none.
"""

import queue
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate, cycle
from typing import Any, Final, Literal

import kombu
import msgspec
import numpy as np
import structlog

from chassis import broker
from chassis.ids import TIME_SHIFT

log = structlog.get_logger(__name__)

EXCHANGE = kombu.Exchange("kodama.live", type="topic", durable=True)
SHARDS: Final = 4
MAX_WAITING = 100
"""Pieces of work that are to be told of."""
MAX_QUEUE_LENGTH = 10_000
LOOK_SECONDS = 0.1
HEARTBEAT_SECONDS = 10
MAX_PAUSE_SECONDS = 5.0
IO_SECONDS = 5.0
CLOSE_SECONDS = 2.0

RECIPIENT: Final = np.dtype("<i8")
CONTENT_TYPE = "application/x-msgpack"

Kind = Literal["post", "edit", "delete", "notification"]


@dataclass(frozen=True)
class Item:
    """One thing that has happened, and whom it concerns of the message's shard."""

    id: int
    """Of the post, or of the notification."""
    recipients: list[int]
    """Account ids."""


class Message(msgspec.Struct, frozen=True):
    """What one piece of work has done to the members of one shard: flat, since a batch of posts has tens of thousands of recipients."""

    kind: Kind
    ids: list[int]
    """Of posts, or of notifications."""
    counts: list[int]
    """How many recipients each has."""
    recipients: bytes
    """Account ids, eight bytes each, the lowest first: those of the first id, then those of the second, and so on. As numbers they would
    cost workers a sixth of their time."""

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.counts) or len(self.recipients) != sum(self.counts) * RECIPIENT.itemsize:
            raise ValueError("a live event names fewer or more recipients than it says")

    def items(self) -> Iterator[Item]:
        """Return what has happened, one by one."""
        account_ids = np.frombuffer(self.recipients, RECIPIENT)
        for an_id, count, end in zip(self.ids, self.counts, accumulate(self.counts), strict=True):
            yield Item(an_id, account_ids[end - count : end].tolist())


def shard_of(account_id: Any) -> Any:
    """Return the shard of an account, or of an array of them.

    From what is evenly spread of an id: the millisecond of members who come one by one, the count of those who are imported together.
    """
    return ((account_id >> 2) + (account_id >> TIME_SHIFT)) % SHARDS


def routing_key(shard: int) -> str:
    """Return the key that the messages for a shard are published under."""
    return f"member.{shard}"


class LivePublisher:
    """Publishes messages from a thread of its own, so that no task waits or fails; what too many wait before is dropped."""

    def __init__(self, url: str) -> None:
        self._hosts = cycle(broker.hosts(url))  # after every failure the next
        self._waiting: queue.Queue[Sequence[tuple[int, Message]] | None] = queue.Queue(MAX_WAITING)
        self._unsent: Sequence[tuple[int, Message]] | None = None
        """What a connection broke down over; the next one begins with it."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live-publisher", daemon=True)
        self._thread.start()

    def publish(self, messages: Sequence[tuple[int, Message]]) -> None:
        """Have the messages of one piece of work, (shard, message) each, published soon, or never."""
        with suppress(queue.Full):
            self._waiting.put_nowait(messages)

    def close(self) -> None:
        """Publish what waits, as far as that takes no longer than two seconds."""
        self._stop.set()
        with suppress(queue.Full):
            self._waiting.put_nowait(None)
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        pause = 0.1
        while not self._stop.is_set():
            started_at = time.monotonic()
            try:
                with _connect(next(self._hosts)) as connection:
                    self._publish_on(connection)
                    return
            except Exception as error:  # the transport passes on whatever its driver raises; here nothing may ever fail
                log.info("live events interrupted", error=f"{type(error).__name__}: {error}")
                pause = _next_pause(pause, started_at)
                self._stop.wait(pause)

    def _publish_on(self, connection: kombu.Connection) -> None:
        """Publish until told to close."""
        channel: Any = connection.channel()
        EXCHANGE.bind(channel).declare()
        while True:
            try:
                waiting = self._unsent or self._waiting.get(timeout=HEARTBEAT_SECONDS / 4)
            except queue.Empty:
                _keep_alive(connection, 0.001)
                continue
            if waiting is None:
                return
            self._unsent = waiting
            for shard, message in waiting:
                prepared = channel.prepare_message(
                    msgspec.msgpack.encode(message),
                    content_type=CONTENT_TYPE,
                    content_encoding="binary",
                    properties={"delivery_mode": 1},
                )
                channel.basic_publish(prepared, exchange=EXCHANGE.name, routing_key=routing_key(shard))
            self._unsent = None


class LiveListener:
    """Receives the messages of some shards in a thread of its own, over a queue that goes with its connection."""

    def __init__(
        self,
        url: str,
        *,
        on_message: Callable[[Message], None],
        on_listening: Callable[[frozenset[int]], None],
        on_lost: Callable[[], None],
    ) -> None:
        """All three are called in the thread: with each message, when the shards that are listened to have changed, and when the
        connection has gone."""
        self._hosts = cycle(broker.hosts(url))  # after every failure the next
        self._on_message = on_message
        self._on_listening = on_listening
        self._on_lost = on_lost
        self._wanted: frozenset[int] = frozenset()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live-listener", daemon=True)
        self._thread.start()

    def want(self, shards: Collection[int]) -> None:
        """Listen to these shards, and no others, from some moment soon."""
        self._wanted = frozenset(shards)

    def close(self) -> None:
        """Stop listening."""
        self._stop.set()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        pause = 0.1
        while not self._stop.is_set():
            started_at = time.monotonic()
            try:
                with _connect(next(self._hosts)) as connection:
                    self._listen_on(connection)
            except Exception as error:  # the transport passes on whatever its driver raises
                log.warning("live events lost", error=f"{type(error).__name__}: {error}")
                self._on_lost()
                pause = _next_pause(pause, started_at)
                self._stop.wait(pause)

    def _listen_on(self, connection: kombu.Connection) -> None:
        channel = connection.channel()
        EXCHANGE.bind(channel).declare()
        inbox = kombu.Queue(
            f"kodama.live.{uuid.uuid4().hex}",
            exchange=EXCHANGE,
            durable=False,
            exclusive=True,
            auto_delete=True,
            # Who is slower than the network loses the oldest; nothing piles up.
            queue_arguments={"x-max-length": MAX_QUEUE_LENGTH, "x-overflow": "drop-head"},
        ).bind(channel)
        inbox.queue_declare()
        consumer = kombu.Consumer(
            channel, [inbox], on_message=self._receive, no_ack=True, auto_declare=False, accept=[CONTENT_TYPE]
        )
        consumer.consume()
        bound: frozenset[int] | None = None
        while not self._stop.is_set():
            wanted = self._wanted
            if wanted != bound:
                for shard in wanted - (bound or frozenset()):
                    inbox.bind_to(EXCHANGE, routing_key=routing_key(shard))
                for shard in (bound or frozenset()) - wanted:
                    inbox.unbind_from(EXCHANGE, routing_key=routing_key(shard))
                bound = wanted
                self._on_listening(bound)
            _keep_alive(connection, LOOK_SECONDS)

    def _receive(self, message: Any) -> None:
        try:
            decoded = msgspec.msgpack.decode(message.body, type=Message)
        except msgspec.MsgspecError as error:
            log.warning("live event not understood", error=str(error))
            return
        self._on_message(decoded)


def _connect(url: str) -> kombu.Connection:
    return kombu.Connection(
        url,
        heartbeat=HEARTBEAT_SECONDS,
        connect_timeout=IO_SECONDS,
        transport_options={"write_timeout": IO_SECONDS},
    )


def _next_pause(pause: float, started_at: float) -> float:
    """Return how long to wait before the next try: twice as long each time, and short again after one that has worked for a while."""
    return 0.1 if time.monotonic() - started_at > MAX_PAUSE_SECONDS else min(pause * 2, MAX_PAUSE_SECONDS)


def _keep_alive(connection: kombu.Connection, timeout_seconds: float) -> None:
    """Handle what arrives within the time, and answer the broker's heartbeats."""
    connection.heartbeat_check()
    with suppress(TimeoutError):
        connection.drain_events(timeout=timeout_seconds)


def can_be_live(url: str) -> bool:
    """Tell whether there are live events with this broker."""
    return bool(url) and broker.is_amqp(url)
