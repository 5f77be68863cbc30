"""A broker that does as a history says: it keeps, repeats, reorders, loses and replays what the real relay publishes."""

from collections.abc import Sequence
from dataclasses import dataclass

from chassis import topology
from chassis.publisher import Message, PublishError, Refusals
from services.timeline.tasks import HANDLERS


@dataclass(frozen=True)
class Delivery:
    """A message as a worker gets it: a micro-batch of rows of one ledger."""

    task: str
    source: str
    row_ids: tuple[int, ...]
    payloads: tuple[dict[str, int], ...]

    def is_about(self, entry_id: int) -> bool:
        """Tell whether a row of it is about this entry."""
        return any(payload.get("entry_id") == entry_id for payload in self.payloads)


class WaywardBroker:
    """A publisher, as the relay knows one, and what workers are given of it: anything that waits, in any order, as often as one likes."""

    def __init__(self) -> None:
        self.waiting: list[Delivery] = []
        self.past: list[Delivery] = []
        """What workers have acknowledged."""
        self.is_breaking = False
        """The next batch arrives by half, and no confirmation of it does."""

    def publish(self, messages: Sequence[Message]) -> Refusals:
        """Take messages, and forget those for other services' workers. Raises PublishError where the broker breaks down."""
        is_breaking, self.is_breaking = self.is_breaking, False
        arrived = messages[: (len(messages) + 1) // 2] if is_breaking else messages
        self.waiting += [_delivery_of(message) for message in arrived if message.headers["task"] in HANDLERS]
        if is_breaking:
            raise PublishError("the broker went away")
        return {}

    def ready(self, queue: str) -> int:
        """Return how many deliveries wait in a queue."""
        return sum(topology.TASKS[delivery.task].queue == queue for delivery in self.waiting)

    def is_congested(self) -> bool:
        """Never: what waits here waits for the history."""
        return False

    def keep_alive(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""

    def acknowledge(self, delivery: Delivery) -> None:
        """Let go of what a worker has done; a delivery that was repeated waits once less."""
        if delivery in self.waiting:
            self.waiting.remove(delivery)
        self.past.append(delivery)


def _delivery_of(message: Message) -> Delivery:
    told = message.body[1]
    return Delivery(message.headers["task"], told["source"], tuple(told["row_ids"]), tuple(told["payloads"]))
