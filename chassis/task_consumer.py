"""How a worker takes messages from the broker: Celery's consumer, which loses nothing that it cannot read, comes back soon, and declares
nothing that nobody uses."""

from collections.abc import Callable
from typing import Any, ClassVar

import kombu
import structlog
from celery.utils.log import get_logger
from celery.worker import state
from celery.worker.consumer import Consumer

log = structlog.get_logger(__name__)
_celery_log = get_logger(__name__)

FIRST_PAUSE_SECONDS = 1
MAX_PAUSE_SECONDS = 3
"""The longest pause between two tries to reach the broker. Celery's grow to 30 s, in which all that is published waits."""
MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What Celery raises of a message that decodes and is of another shape than it takes for granted; unhandled, it ends the worker."""


class TaskConsumer(Consumer):  # type: ignore[misc]  # Celery is untyped
    """Celery's consumer, but for two answers: to a message that it cannot read, and to a broker that is away.

    And without its step for delayed delivery, for which every worker, each time it comes to a broker, declares 28 exchanges and 28 quorum
    queues: nothing here has a countdown, and a broker that has just come back has better things to do.
    """

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]  # Celery is untyped
        """The steps of which a consumer consists."""

        default_steps: ClassVar = [step for step in Consumer.Blueprint.default_steps if "delayed_delivery" not in step]

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], None]:
        """Return what handles a message, or rejects it where it is malformed in a way that Celery does not foresee."""
        handle = super().create_task_handler(*args, **options)

        def handle_or_reject(message: Any) -> None:
            try:
                handle(message)
            except MALFORMED as error:
                if message.acknowledged:
                    raise
                self.on_decode_error(message, error)

        return handle_or_reject

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Reject a message, so that it becomes a dead letter. Celery acknowledges it, and nobody hears of it again."""
        log.error("message unreadable", error=f"{type(exc).__name__}: {exc}", content_type=message.content_type)
        message.reject_log_error(_celery_log, self.connection_errors)

    def ensure_connected(self, conn: kombu.Connection) -> kombu.Connection:
        """Connect, however long that takes; between tries are pauses of at most MAX_PAUSE_SECONDS. Ends where the worker is stopped."""

        def tell(error: Exception, pause_seconds: float) -> None:
            log.warning("broker away", broker=conn.as_uri(), error=str(error), pause_seconds=pause_seconds)

        connected = conn.ensure_connection(
            tell,
            interval_start=FIRST_PAUSE_SECONDS,
            interval_step=1,
            interval_max=MAX_PAUSE_SECONDS,
            callback=state.maybe_shutdown,
        )
        self.first_connection_attempt = False
        return connected
