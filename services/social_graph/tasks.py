"""The Celery tasks of this service: each an adapter of a few lines over a use case. Payloads are hints; state is read anew."""

from collections.abc import Sequence

from chassis.task_app import Handler, Payload
from services.social_graph.computing import Computing


async def refresh(computing: Computing, payloads: Sequence[Payload]) -> None:
    """Compute the suggestions of both ends of changed friendships, or of single members, each once."""
    await computing.refresh(
        {payload[end] for payload in payloads for end in ("account_id", "friend_id") if end in payload}
    )


async def compute(computing: Computing, payloads: Sequence[Payload]) -> None:
    """Compute the suggestions of blocks of members."""
    for payload in payloads:
        await computing.compute(payload["after_id"], payload["until_id"])


HANDLERS: dict[str, Handler[Computing]] = {
    "suggestions.refresh": refresh,
    "suggestions.compute": compute,
}
