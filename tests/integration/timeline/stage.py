"""All services in an event loop of their own, for tests that are no coroutines, and parts that can be replaced by faulty ones."""

import asyncio
import importlib
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from chassis.caller import TIMELINE
from chassis.database import Pool, make_pool
from chassis.ledger import Bell
from chassis.paging import Page
from chassis.process import open_server
from chassis.settings import SERVICES, Settings
from services.timeline.activation import Activation
from services.timeline.clients import Clients, open_clients
from services.timeline.domain import Entry, Home
from services.timeline.fan_out import FanOut
from services.timeline.home import HomeReading
from services.timeline.open_work import OpenWorkList
from services.timeline.tasks import UseCases
from services.timeline.upkeep import Upkeep
from tests.world import World

Result = TypeVar("Result")
DORMANT_DAYS = 14
SECONDS = 60


class InterruptedReading(HomeReading):
    """Reads home timelines, and lets something happen in the middle of each: after the look at the ledgers, before the entries are read."""

    interruption: Callable[[], Awaitable[None]] | None = None

    async def _read_pushed(self, account_id: int, page: Page) -> tuple[Home | None, list[Entry]]:
        await self.interrupt()
        return await super()._read_pushed(account_id, page)

    async def interrupt(self) -> None:
        """Let it happen, once."""
        interruption, self.interruption = self.interruption, None
        if interruption is not None:
            await interruption()


class Parts:
    """How the parts of a timeline are made; mutants override one of these."""

    def reading(self, pool: Pool, clients: Clients) -> InterruptedReading:
        return InterruptedReading(
            pool,
            clients.publications,
            clients.friends,
            open_work=OpenWorkList(clients.ledgers, 0),
            activation=Activation(pool, Bell(pool)),
            dormant_days=DORMANT_DAYS,
        )

    def fan_out(self, pool: Pool, clients: Clients) -> FanOut:
        return FanOut(
            pool,
            clients.publications,
            clients.friends,
            dormant_days=DORMANT_DAYS,
            max_pushed_friends=self.max_pushed_friends,
        )

    def upkeep(self, pool: Pool, clients: Clients) -> Upkeep:
        return Upkeep(pool, clients.publications, clients.friends, dormant_days=DORMANT_DAYS)

    max_pushed_friends = 2
    """So low that some authors are pushed and some pulled."""
    strikes_before_work = False
    """A fault: the ledger's row goes before the work is done, and the worker can die in between."""


class Stage:
    """The services of one network, and the parts of its timelines in this process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._stack = AsyncExitStack()
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

    def play(self, parts: Parts) -> tuple[World, InterruptedReading]:
        """Return a world whose work is done by these parts, and the reading of its home timelines."""

        async def make() -> tuple[World, InterruptedReading]:
            use_cases = UseCases(parts.fan_out(self._pool, self._clients), parts.upkeep(self._pool, self._clients))
            return self._world(use_cases), parts.reading(self._pool, self._clients)

        return self.run(make())

    _made: World | None = None

    def _world(self, use_cases: UseCases) -> World:
        if self._made is None:
            self._made = World(self.settings, use_cases)
        self._made.use_cases = use_cases
        return self._made

    def close(self) -> None:
        """Stop everything."""
        if self._made is not None:
            self.run(self._made.close())
        self.run(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
