"""A broker in memory that does to messages what brokers do at their worst."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chassis import topology
from chassis.ledger import payloads_of
from chassis.publisher import PublishError
from chassis.relay_plan import Batch


@dataclass(eq=False)
class Delivery:
    """A message: a batch of one ledger's rows."""

    producer: str
    task: str
    row_ids: list[int]
    payloads: list[dict[str, int]]

    @property
    def queue(self) -> str:
        """Return where it waits."""
        return topology.TASKS[self.task].queue


def to_message(app: Any, producer: str, batch: Batch) -> Delivery:
    """Return a message of a batch, as chassis/relay.py does."""
    payloads = [payload for row in batch.rows for payload in payloads_of(row.payload)]
    return Delivery(producer, batch.task, batch.row_ids, payloads)


class Broker:
    """The publisher of all relays, and what workers are given."""

    def __init__(self) -> None:
        self.waiting: list[Delivery] = []
        self.past: list[Delivery] = []
        self.published = 0
        self.arrives = 10**9
        """So many messages of the next batch arrive; no confirmation does where it is fewer than all."""
        self.refuses: str = ""
        """A queue that is full."""

    def publish(self, messages: Sequence[Any]) -> dict[int, str]:
        arrives, self.arrives = self.arrives, 10**9
        refused = {place: "it is full" for place, one in enumerate(messages) if one.queue == self.refuses}
        taken = [one for place, one in enumerate(messages) if place not in refused][:arrives]
        self.waiting += taken
        self.published += len(taken)
        if arrives < len(messages):
            raise PublishError("the broker went away")
        return refused

    def ready(self, queue: str) -> int:
        return sum(one.queue == queue for one in self.waiting)

    def is_congested(self) -> bool:
        return False

    def keep_alive(self) -> None: ...

    def close(self) -> None: ...
