"""All services in an event loop of their own, for tests that are no coroutines, and scenes on which histories are played."""

import asyncio
import importlib
import threading
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, TypeVar, cast

from chassis.caller import TIMELINE
from chassis.database import Pool, make_pool
from chassis.process import open_server
from chassis.settings import SERVICES, Settings
from chassis.task_app import make_task_app, open_receipts
from services.timeline.clients import open_clients
from services.timeline.worker import open_use_cases
from tests.integration.timeline.parts import Parts
from tests.integration.timeline.scene import MortalPool, Relaying, Scene
from tests.world import World

Result = TypeVar("Result")
SECONDS = 60
NO_BROKER = "amqp://nobody@127.0.0.1:1/"
"""Messages are made for RabbitMQ; they never get there."""


class Stage:
    """The services of one network, and the parts of its timelines in this process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings.model_copy(update={"broker_url": NO_BROKER})
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._stack = AsyncExitStack()
        self._relaying = Relaying(self.settings, make_task_app(self.settings, "relay"))
        self.run(self._open())

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine on the stage's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SECONDS)

    async def _open(self) -> None:
        for name in SERVICES:
            build = importlib.import_module(f"services.{name}.__main__").build
            await self._stack.enter_async_context(open_server(name, self.settings, build))
        url = self.settings.service_database_url("timeline")
        self._pool = await self._stack.enter_async_context(make_pool(url, size=4, application="stage"))
        self._clients = await self._stack.enter_async_context(open_clients(self.settings, TIMELINE))
        self._receipts = await self._stack.enter_async_context(open_receipts(self.settings))
        self._use_cases = await self._stack.enter_async_context(open_use_cases(self.settings))
        self._world = World(self.settings, self._use_cases)

    def play(self, parts: Parts) -> Scene:
        """Return a scene with these parts, and a world in which nothing has happened yet."""

        async def make() -> Scene:
            mortal = MortalPool(self._pool)
            pool = cast(Pool, mortal)
            return Scene(
                self._world,
                parts.reading(self._pool, self._clients),
                parts,
                use_cases=replace(
                    self._use_cases,
                    fan_out=parts.fan_out(pool, self._clients),
                    upkeep=parts.upkeep(pool, self._clients),
                ),
                pool=mortal,
                receipts=self._receipts,
                relaying=self._relaying,
            )

        return self.run(make())

    def close(self) -> None:
        """Stop everything."""
        self._relaying.close()
        self.run(self._world.close())
        self.run(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
