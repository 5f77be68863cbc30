"""The parts of a timeline that can be replaced by faulty ones, as they are when they are sound."""

from collections.abc import Awaitable, Callable

import celery
import psycopg

from chassis import relay
from chassis.database import Pool
from chassis.ledger import Bell
from chassis.paging import Page
from chassis.publisher import Publisher
from chassis.settings import Settings
from services.timeline.activation import Activation
from services.timeline.clients import Clients
from services.timeline.domain import Entry, Home
from services.timeline.fan_out import FanOut
from services.timeline.home import HomeReading
from services.timeline.open_work import OpenWorkList
from services.timeline.upkeep import Upkeep

DORMANT_DAYS = 14
FILL_ENTRIES = 4
"""So few that pages reach across where pushing begins."""


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
            activation=Activation(pool, Bell(pool), DORMANT_DAYS),
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
        return Upkeep(
            pool,
            clients.publications,
            clients.friends,
            dormant_days=DORMANT_DAYS,
            fill_entries=FILL_ENTRIES,
        )

    def relay_due(
        self, conn: psycopg.Connection, publisher: Publisher, app: celery.Celery, producer: str, settings: Settings
    ) -> int:
        return relay.relay_due(conn, publisher, app, producer, settings).changes

    max_pushed_friends = 2
    """So low that some authors are pushed and some pulled."""
    strikes_before_work = False
    """A fault: the ledger's rows go before the work is done, and the worker can die in between."""
    raises_floor = True
    """Else a fault: old entries go, and readers are not told."""


class Mutant(Parts):
    """Nobody has too many friends here, so that everything is pushed."""

    max_pushed_friends = 1000
