"""Messages that a worker can do nothing with: each becomes a dead letter, and the queue goes on."""

import asyncio
from typing import Any

import kombu

from chassis import broker, topology
from chassis.task_app import make_task_app
from tests.integration.chassis.broker_parts import take_all
from tests.integration.chassis.conftest import PRODUCER, QUEUE, eventually
from tests.integration.chassis.test_worker import Network, a_worker, network

__all__ = ["network"]  # the fixture

SECONDS = 180
"""A worker imports a lot before it takes its first message."""
RAW = {"serializer": None, "content_encoding": "binary"}
JSON = {**RAW, "content_type": "application/json"}


def a_task(network: Network, **changes: Any) -> dict[str, Any]:
    """The parts of a message that is sound but for these changes."""
    made = make_task_app(network.settings, "test").amqp.as_task_v2(
        "7c4b3d1e-0000-4000-8000-000000000001",
        "timeline.fan_out",
        kwargs={"source": PRODUCER, "row_ids": [1], "payloads": [{"entry_id": 1}]},
        ignore_result=True,
    )
    sound = {"body": made.body, "serializer": "json", "headers": dict(made.headers)}
    return {**sound, **changes, "headers": {**sound["headers"], **changes.get("headers", {})}}


def unreadable(network: Network) -> dict[str, dict[str, Any]]:
    """Messages that no worker of this version can do anything with, by what is wrong with them."""
    without_id = a_task(network)
    del without_id["headers"]["id"]
    return {
        "an unknown task": a_task(network, headers={"task": "timeline.novelty"}),
        "broken JSON": a_task(network, body=b"{broken", **JSON),
        "no text": a_task(network, body=b'"\xff\xfe"', **JSON),
        "a pickle": a_task(network, body=b"cos\nsystem\n", **RAW, content_type="application/x-python-serialize"),
        "missing arguments": a_task(network, body=[[], {"unknown": 1}, {}]),
        "a number": a_task(network, body=7),
        "nothing": a_task(network, body=b"", **JSON),
        "two parts of three": a_task(network, body=[[], {}]),
        "no id": without_id,
        "no time to start at": a_task(network, headers={"eta": "soon"}),
        "a task of no name": a_task(network, headers={"task": None}),
        "a task whose name is a list": a_task(network, headers={"task": ["timeline.fan_out"]}),
        "no task": {"body": {"nothing": "of a task"}, "serializer": "json"},
        "no task, no text": {"body": b"\xff\xfe", "content_type": "text/plain", **RAW},
        "no task, broken JSON": {"body": b"\xff{", **JSON},
    }


async def test_what_a_worker_cannot_read_is_a_dead_letter_and_the_queue_goes_on(network: Network) -> None:
    messages = unreadable(network)
    url = network.settings.require_broker_url()

    def publish() -> None:
        with kombu.Connection(url) as connection:
            broker.declare(connection)
            for what, message in messages.items():
                headers = {**message.get("headers", {}), "what": what}
                connection.Producer().publish(
                    exchange=broker.EXCHANGE, routing_key=QUEUE, **{**message, "headers": headers}
                )

    async with a_worker(network.settings) as worker:
        await asyncio.to_thread(publish)
        await network.work.publish_statuses(3)
        await asyncio.to_thread(network.relay)
        await eventually(network.all_done, SECONDS)
        found: list[str] = []

        async def all_are_dead_letters() -> bool:
            found.extend(
                letter.headers["what"] for letter in await asyncio.to_thread(take_all, url, topology.DEAD_LETTER_QUEUE)
            )
            return len(found) >= len(messages)

        await eventually(all_are_dead_letters, SECONDS)
        assert worker.returncode is None
    assert sorted(found) == sorted(messages)
    assert network.waiting() == 0
    assert network.effects() == [1, 2, 3]
