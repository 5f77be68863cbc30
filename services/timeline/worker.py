"""Wiring of the workers: the Celery app with this service's tasks, and what they work with."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chassis import caller
from chassis.pool_health import open_watched_pool
from chassis.settings import Settings
from chassis.task_app import TaskApp, make_worker_app
from services.timeline.announcing import open_announcer
from services.timeline.clients import open_clients
from services.timeline.fan_out import FanOut
from services.timeline.notifying import Notifying
from services.timeline.tasks import HANDLERS, UseCases
from services.timeline.upkeep import Upkeep


@asynccontextmanager
async def open_use_cases(settings: Settings) -> AsyncIterator[UseCases]:
    """Open a pool and the channels of one worker process."""
    url = settings.service_database_url("timeline")
    async with (
        open_watched_pool(url, size=settings.database_pool_size, application="kodama-timeline-worker") as pool,
        open_clients(settings, caller.WORKER) as clients,
    ):
        announcer = open_announcer(settings.broker_url)
        asked = (pool, clients.publications, clients.friends)
        dormant_days = settings.timeline_dormant_days
        try:
            yield UseCases(
                FanOut(
                    *asked,
                    dormant_days=dormant_days,
                    max_pushed_friends=settings.timeline_max_pushed_friends,
                    announcer=announcer,
                ),
                Upkeep(*asked, dormant_days=dormant_days, announcer=announcer),
                Notifying(pool, clients.readers, announcer),
            )
        finally:
            await asyncio.to_thread(announcer.close)


def make_app(settings: Settings) -> TaskApp:
    """Return the app that `kodama worker` runs for the queues of this service."""
    return make_worker_app(settings, __name__, open_use_cases, HANDLERS)
