"""Wiring of the workers: the Celery app with this service's tasks, and what they work with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chassis import caller
from chassis.pool_health import open_watched_pool
from chassis.settings import Settings
from chassis.task_app import TaskApp, make_worker_app
from services.media.clients import open_showing
from services.media.discarding import Discarding
from services.media.tasks import HANDLERS

POOL_SIZE = 2  # a process of this worker does one task at a time


@asynccontextmanager
async def open_context(settings: Settings) -> AsyncIterator[Discarding]:
    """Open the pool and the channel of one worker process."""
    url = settings.service_database_url("media")
    async with (
        open_watched_pool(url, size=POOL_SIZE, application="kodama-media-worker") as pool,
        open_showing(settings, caller.WORKER) as showing,
    ):
        yield Discarding(pool, showing)


def make_app(settings: Settings) -> TaskApp:
    """Return the app that `kodama worker` runs for the queue of this service."""
    return make_worker_app(settings, __name__, open_context, HANDLERS)
