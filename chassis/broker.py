"""The broker as Kodama declares it: quorum queues with a delivery limit, dead letters, bounded lengths."""

from typing import Any
from urllib.parse import urlsplit

import kombu

from chassis import topology

EXCHANGE = kombu.Exchange("kodama.tasks", type="direct", durable=True)
_DEAD_LETTERS = kombu.Exchange(topology.DEAD_LETTER_EXCHANGE, type="fanout", durable=True)
_RETURNS = kombu.Exchange(topology.RETURN_EXCHANGE, type="headers", durable=True)
SEVEN_DAYS_MS = 7 * 24 * 3600 * 1000
KEPT = {"x-queue-type": "quorum", "x-max-length": 100_000, "x-message-ttl": SEVEN_DAYS_MS}
LEDGER_HEADER = "ledger"
"""Says whose rows a message carries, so that it can come back to them."""


def is_amqp(url: str) -> bool:
    """Tell whether the broker speaks AMQP, that is, is RabbitMQ and not the fallback on PostgreSQL."""
    return urlsplit(url).scheme in ("amqp", "amqps")


def hosts(url: str) -> list[str]:
    """Return the URL of each node of the broker, in the order of preference."""
    return url.split(";")


def transport_options(url: str) -> dict[str, Any]:
    """Return kombu's options for this broker."""
    if is_amqp(url):
        return {"confirm_publish": True}
    return {
        "init_extension": False,  # its SQL is installed by `kodama up`; the extension is in no wheel
        # Seconds until a message whose worker died is delivered again. It is fixed when the message is read, so it has to be
        # longer than any task may wait and run.
        "visibility_timeout": 150,
        "wait_time_seconds": 0,  # long polling would hold a pooled connection per queue
        "use_notify": True,
        "notify_throttle_interval_ms": 0,
        "polling_interval": 1.0,  # only a missed notification waits this long
        "pool_timeout": 5,  # seconds for a connection to PostgreSQL; the transport's own 30 hold up the end of a process
    }


def task_queues(url: str) -> list[kombu.Queue]:
    """Return the queues of all tasks, ready to be declared."""
    arguments: dict[str, Any] = {}
    if is_amqp(url):
        arguments = {
            "x-queue-type": "quorum",
            "x-delivery-limit": topology.DELIVERY_LIMIT,
            "x-dead-letter-exchange": topology.DEAD_LETTER_EXCHANGE,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
            "x-max-length": topology.MAX_QUEUE_LENGTH,
        }
    return [
        kombu.Queue(name, exchange=EXCHANGE, routing_key=name, durable=True, queue_arguments=arguments)
        for name in topology.QUEUES
    ]


def returned_queue(producer: str) -> str:
    """Return the name of the queue of what comes back to a ledger."""
    return f"{topology.RETURN_EXCHANGE}.{producer}"


def _returned(producer: str) -> kombu.Queue:
    return kombu.Queue(
        returned_queue(producer),
        exchange=_RETURNS,
        durable=True,
        queue_arguments=KEPT,
        binding_arguments={"x-match": "all", LEDGER_HEADER: producer},
    )


def mark(name: str) -> kombu.Queue:
    """Return a queue that stays empty and tells whether this is the broker that it was left on (chassis/marks.py)."""
    return kombu.Queue(f"kodama.mark.{name}", durable=True, queue_arguments={"x-queue-type": "quorum"})


def declare(connection: kombu.Connection) -> None:
    """Declare all queues, and on RabbitMQ the dead letters. Idempotent.

    Dead letters are kept a week and at most 100,000, for people to look at: what they would have done is still in the ledger. A copy of
    each goes back to the relay of the ledger that it is from, which notes the failure.
    """
    url = connection.as_uri(include_password=True)
    with connection.channel() as channel:
        if is_amqp(url):
            kombu.Queue(
                topology.DEAD_LETTER_QUEUE,
                exchange=_DEAD_LETTERS,
                durable=True,
                queue_arguments=KEPT,
            ).bind(channel).declare()
            _RETURNS.bind(channel).declare()
            _RETURNS.bind(channel).bind_to(_DEAD_LETTERS)
            for producer in topology.PRODUCERS:
                _returned(producer).bind(channel).declare()
        for queue in task_queues(url):
            queue.bind(channel).declare()
