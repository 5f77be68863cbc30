"""Who of all that streams do may ask the services now: a few at once, after everybody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.gateway.shedding import Shedder, Urgency

MAX_AT_ONCE = 16


class Turns:
    """Lets a few look at once, of however many streams there are, and none where people wait who have asked for something."""

    def __init__(self, shedder: Shedder) -> None:
        self._shedder = shedder
        self._few = asyncio.Semaphore(MAX_AT_ONCE)

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for a turn. Raises Unavailable where there is too much to do; then try again later."""
        async with self._few:
            ticket = await self._shedder.enter(Urgency.BACKGROUND)
            try:
                yield
            finally:
                self._shedder.leave(ticket)
