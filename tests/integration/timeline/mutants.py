"""Parts of a timeline with one fault each: each breaks one rule that the design rests on."""

from chassis.database import Pool, transaction
from chassis.paging import Page
from services.timeline import store
from services.timeline.activation import Activation
from services.timeline.clients import Clients, Friends, Publications
from services.timeline.domain import Entry, Home
from services.timeline.fan_out import FanOut
from services.timeline.upkeep import Upkeep
from tests.integration.timeline.stage import DORMANT_DAYS, InterruptedReading, Parts


class Mutant(Parts):
    """Nobody has too many friends here, so that everything is pushed."""

    max_pushed_friends = 1000


class CachedFriends(Friends):
    """A fault: friends are remembered for ever."""

    def __init__(self, friends: Friends) -> None:
        self._inner = friends
        self._known: dict[int, list[int]] = {}

    async def of(self, account_ids):  # type: ignore[no-untyped-def]  # a fault, put in from outside
        for account_id in account_ids:
            if account_id not in self._known:
                self._known |= {account_id: (await self._inner.of([account_id])).get(account_id, [])}
        return {account_id: self._known[account_id] for account_id in account_ids if self._known[account_id]}


class FanOutWithCachedFriends(Mutant):
    """The fan-out remembers friends."""

    def fan_out(self, pool: Pool, clients: Clients) -> FanOut:
        friends = CachedFriends(clients.friends)
        return FanOut(pool, clients.publications, friends, dormant_days=DORMANT_DAYS, max_pushed_friends=1000)


class CarelessPurge(Upkeep):
    """A fault: what a purge finds is deleted, whether they are friends again or not."""

    async def purge(self, account_id: int, friend_id: int) -> None:
        async with transaction(self._pool) as conn:
            far = await store.now_id(conn) * 2
            await store.delete_author(conn, account_id, friend_id, far)
            await store.delete_author(conn, friend_id, account_id, far)


class PurgeRacesRefriending(Mutant):
    """A purge that comes after a re-friending takes its entries away."""

    def upkeep(self, pool: Pool, clients: Clients) -> Upkeep:
        return CarelessPurge(pool, clients.publications, clients.friends, dormant_days=DORMANT_DAYS)


class LazyUpkeep(Upkeep):
    """A fault: work is reported as done that was not."""

    async def backfill(self, account_id: int, friend_id: int) -> None:
        """Do nothing."""

    async def rebase(self, account_ids):  # type: ignore[no-untyped-def]  # a fault, put in from outside
        """Do nothing."""


class NoBackfill(Mutant):
    """New friends' posts are not pushed."""

    def upkeep(self, pool: Pool, clients: Clients) -> Upkeep:
        return LazyUpkeep(pool, clients.publications, clients.friends, dormant_days=DORMANT_DAYS)


class StruckTooEarly(Mutant):
    """The ledger's row goes before the entries are committed."""

    strikes_before_work = True


class LateLook(InterruptedReading):
    """A fault: the ledgers are looked at after the entries have been read."""

    async def page(self, account_id: int, page: Page) -> list[Entry]:
        self._early = await InterruptedReading._read_pushed(self, account_id, page)
        return await super().page(account_id, page)

    async def _read_pushed(self, account_id: int, page: Page) -> tuple[Home | None, list[Entry]]:
        return self._early

    async def interrupt(self) -> None:
        """Let it happen between the entries and the look at the ledgers: after the entries are read."""
        interruption, self.interruption = self.interruption, None
        if interruption is not None:
            self._pending = interruption


class OpenWorkAfterEntries(Mutant):
    """Open work is read after pushed entries."""

    def reading(self, pool: Pool, clients: Clients) -> InterruptedReading:
        made = super().reading(pool, clients)
        made.__class__ = LateLook
        looking = made._open_work.current

        async def late_look():  # type: ignore[no-untyped-def]  # a fault, put in from outside
            pending = getattr(made, "_pending", None)
            made._pending = None  # type: ignore[attr-defined]  # a fault, put in from outside
            if pending is not None:
                await pending()
            return await looking()

        made._open_work.current = late_look  # type: ignore[method-assign, assignment]  # a fault, put in from outside
        return made


class Credulous(Publications):
    """A fault: whatever was found may be shown."""

    async def on_home(self, viewer_id, entry_ids):  # type: ignore[no-untyped-def]  # a fault, put in from outside
        return set(entry_ids)


class NoFilter(Mutant):
    """What may stand on the timeline is not asked."""

    def reading(self, pool: Pool, clients: Clients) -> InterruptedReading:
        made = super().reading(pool, clients)
        made._publications = Credulous(clients.publications._sources)
        return made


class HastyActivation(Activation):
    """A fault: everything counts as pushed from the moment on that a member reads."""

    async def activate(self, account_id: int) -> None:
        await super().activate(account_id)
        async with self._pool.connection() as conn:
            await conn.execute("UPDATE homes SET pushed_from = 0 WHERE account_id = %s", (account_id,))


class PushedFromTheBeginning(Mutant):
    """Activation does not wait for what was not pushed."""

    def reading(self, pool: Pool, clients: Clients) -> InterruptedReading:
        made = super().reading(pool, clients)
        made._activation = HastyActivation(pool, made._activation._bell)
        return made


class SleeperTrusted(Mutant):
    """What was pushed to a member who has not read for weeks counts as complete."""

    def reading(self, pool: Pool, clients: Clients) -> InterruptedReading:
        made = super().reading(pool, clients)
        made._dormant_days = 100_000
        return made


class NoOpenWork(Mutant):
    """What is not delivered yet is not looked for."""

    def reading(self, pool: Pool, clients: Clients) -> InterruptedReading:
        made = super().reading(pool, clients)
        made._open_work._max_age_seconds = float("inf")
        return made


class HeavyAuthorsForgotten(Mutant):
    """Authors with too many friends are pushed to nobody and pulled by nobody."""

    def fan_out(self, pool: Pool, clients: Clients) -> FanOut:
        return FanOut(pool, clients.publications, clients.friends, dormant_days=DORMANT_DAYS, max_pushed_friends=0)

    def reading(self, pool: Pool, clients: Clients) -> InterruptedReading:
        made = super().reading(pool, clients)

        async def forgetful(account_id: int, page: Page) -> tuple[Home | None, list[Entry]]:
            home, pushed = await InterruptedReading._read_pushed(made, account_id, page)
            return (None if home is None else Home(home.pushed_from, home.is_stale, home.is_dormant), pushed)

        made._read_pushed = forgetful  # type: ignore[method-assign]  # a fault, put in from outside
        return made


MUTANTS: tuple[type[Mutant], ...] = (
    FanOutWithCachedFriends,
    PurgeRacesRefriending,
    NoBackfill,
    StruckTooEarly,
    OpenWorkAfterEntries,
    NoFilter,
    PushedFromTheBeginning,
    SleeperTrusted,
    NoOpenWork,
    HeavyAuthorsForgotten,
)
