"""The Celery tasks of this service: each an adapter of a few lines over a use case. Payloads are hints; state is read anew."""

from collections.abc import Sequence
from dataclasses import dataclass

from chassis.task_app import Handler, Payload
from services.social_graph.batch import Batch
from services.social_graph.domain import Pair
from services.social_graph.refreshing import Refreshing


@dataclass(frozen=True)
class Computing:
    """What the tasks work with."""

    batch: Batch
    refreshing: Refreshing


async def refresh(computing: Computing, payloads: Sequence[Payload]) -> None:
    """Compute the suggestions of both ends of changed friendships, or of single members, each once."""
    pairs = {Pair.of(payload["account_id"], payload["friend_id"]) for payload in payloads if "friend_id" in payload}
    ends = {account_id for pair in pairs for account_id in (pair.low, pair.high)}
    await computing.refreshing.refresh(ends | {payload["account_id"] for payload in payloads})
    if pairs:
        await computing.refreshing.spread(pairs)


async def measure(computing: Computing, payloads: Sequence[Payload]) -> None:
    """Measure how far stored suggestions have drifted, once."""
    if payloads:
        await computing.refreshing.measure()


async def take_snapshot(computing: Computing, payloads: Sequence[Payload]) -> None:
    """Read all friendships for generations."""
    for payload in payloads:
        await computing.batch.take_snapshot(payload["generation"])


async def tune(computing: Computing, payloads: Sequence[Payload]) -> None:
    """Choose the models of generations."""
    for payload in payloads:
        await computing.batch.tune(payload["generation"], payload["snapshot"])


async def compute(computing: Computing, payloads: Sequence[Payload]) -> None:
    """Compute blocks of generations."""
    for payload in payloads:
        await computing.batch.compute(payload["generation"], payload["snapshot"], payload["block"])


HANDLERS: dict[str, Handler[Computing]] = {
    "suggestions.refresh": refresh,
    "suggestions.measure": measure,
    "suggestions.snapshot": take_snapshot,
    "suggestions.tune": tune,
    "suggestions.compute": compute,
}
