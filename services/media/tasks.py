"""The Celery tasks of this service: each an adapter of a few lines over a use case. Payloads are hints; state is read anew."""

from collections.abc import Sequence

from chassis.task_app import Handler, Payload
from services.media.discarding import Discarding


async def discard(discarding: Discarding, payloads: Sequence[Payload]) -> None:
    """Take away pictures that are shown no more."""
    await discarding.discard([payload["media_id"] for payload in payloads])


HANDLERS: dict[str, Handler[Discarding]] = {
    "media.discard": discard,
}
