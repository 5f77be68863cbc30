"""Parts of a timeline with one fault each: each breaks one rule that the design rests on."""

import time
from collections.abc import AsyncIterator, Sequence

import numpy as np

from chassis.database import Pool, transaction
from chassis.ids import created_at_ms
from chassis.paging import Page
from services.timeline import store
from services.timeline.activation import Activation
from services.timeline.clients import Clients, Friends
from services.timeline.domain import Entry, Home, HomePage
from services.timeline.fan_out import FanOut
from services.timeline.publications import Publications
from services.timeline.rows import Ids, all_members, make_rows
from services.timeline.upkeep import Upkeep
from tests.integration.timeline.parts import DORMANT_DAYS, InterruptedReading, Mutant
from tests.integration.timeline.relay_mutants import RelayWithIdCursor, RelayWithoutConfirms, RelayWithoutLeases

REPLICA_LAG_MS = 5000


class CachedFriends(Friends):
    """A fault: friends are remembered for ever."""

    def __init__(self, friends: Friends) -> None:
        self._inner = friends
        self._known: dict[int, Ids] = {}

    async def arrays_of(self, account_ids):  # type: ignore[no-untyped-def]  # a fault, put in from outside
        for account_id in account_ids:
            if account_id not in self._known:
                found = await self._inner.arrays_of([account_id])
                self._known |= {account_id: found.get(account_id, np.empty(0, dtype=np.int64))}
        return {account_id: self._known[account_id] for account_id in account_ids if len(self._known[account_id])}


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

    async def page(self, account_id: int, page: Page) -> HomePage:
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
        return dict.fromkeys(entry_ids)


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
        made._activation = HastyActivation(pool, made._activation._bell, DORMANT_DAYS)
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


class HastyFanOut(FanOut):
    """A fault: posts are marked as fanned out before their entries are written."""

    async def _deliver_part(self, entries: Sequence[Entry], friends: dict[int, Ids]) -> int:
        async with transaction(self._pool) as conn:
            rows = await self._claim_rows(conn, entries, friends)
        async with transaction(self._pool) as conn:
            return await store.insert_entries(conn, rows) if len(rows) else 0


class MarkerWithoutEntries(Mutant):
    """A post's marker commits before its entries."""

    def fan_out(self, pool: Pool, clients: Clients) -> FanOut:
        return HastyFanOut(
            pool, clients.publications, clients.friends, dormant_days=DORMANT_DAYS, max_pushed_friends=1000
        )


class CopyOnlyFanOut(FanOut):
    """A fault: every delivery of a post is believed to be the first."""

    async def _deliver_part(self, entries: Sequence[Entry], friends: dict[int, Ids]) -> int:
        async with transaction(self._pool) as conn:
            members = all_members(friends, (entry.author_id for entry in entries))
            rows = make_rows(list(entries), friends, await store.list_active(conn, members, self._dormant_days))
            if len(rows):
                await store.copy_entries(conn, rows)
            return len(rows)


class NoMarker(Mutant):
    """A post that is delivered twice is written twice."""

    def fan_out(self, pool: Pool, clients: Clients) -> FanOut:
        return CopyOnlyFanOut(
            pool, clients.publications, clients.friends, dormant_days=DORMANT_DAYS, max_pushed_friends=1000
        )


class LaggingReplica(Publications):
    """A fault: posts are read from a copy that is some seconds behind."""

    async def pull_pages(self, viewer_id: int, author_ids: Sequence[int], *, above: int) -> AsyncIterator[list[Entry]]:
        async for entries in super().pull_pages(viewer_id, author_ids, above=above):
            newest = time.time() * 1000 - REPLICA_LAG_MS
            yield [entry for entry in entries if created_at_ms(entry.entry_id) < newest]


class BackfillFromReplica(Mutant):
    """The backfill of a friendship does not see what was committed before it."""

    def upkeep(self, pool: Pool, clients: Clients) -> Upkeep:
        replica = LaggingReplica(clients.publications._sources)
        return Upkeep(pool, replica, clients.friends, dormant_days=DORMANT_DAYS)


class Remembering(Publications):
    """A fault: what was allowed once is allowed for ever."""

    def __init__(self, publications: Publications) -> None:
        super().__init__(publications._sources)
        self._allowed: dict[int, set[int]] = {}

    async def on_home(self, viewer_id, entry_ids):  # type: ignore[no-untyped-def]  # a fault, put in from outside
        allowed = self._allowed.setdefault(viewer_id, set())
        allowed |= set(await super().on_home(viewer_id, [an_id for an_id in entry_ids if an_id not in allowed]))
        return dict.fromkeys(allowed & set(entry_ids))


class CachedRelations(Mutant):
    """What may stand on the timeline is asked once."""

    def reading(self, pool: Pool, clients: Clients) -> InterruptedReading:
        made = super().reading(pool, clients)
        made._publications = Remembering(clients.publications)
        return made


class CachedVisibility(CachedRelations):
    """Whoever could see a status once can see it for ever, whatever its author does."""


class Friendly(Publications):
    """A fault: what friends have published may stand there, without asking who may see it."""

    def __init__(self, publications: Publications, friends: Friends) -> None:
        super().__init__(publications._sources)
        self._friends = friends

    async def on_home(self, viewer_id, entry_ids):  # type: ignore[no-untyped-def]  # a fault, put in from outside
        authors = {viewer_id, *(await self._friends.of([viewer_id])).get(viewer_id, [])}
        return {entry.entry_id: None for entry in await self.published(entry_ids) if entry.author_id in authors}


class FriendshipIsEnough(Mutant):
    """Mutes are not applied."""

    def reading(self, pool: Pool, clients: Clients) -> InterruptedReading:
        made = super().reading(pool, clients)
        made._publications = Friendly(clients.publications, clients.friends)
        return made


class TrimWithoutFloor(Mutant):
    """Old entries go, and readers rely on them still."""

    raises_floor = False


class HastyFill(Upkeep):
    """A fault: older posts count as pushed before they are."""

    async def fill(self, account_id: int) -> None:
        async with transaction(self._pool) as conn:
            await store.lower_pushed_from(conn, account_id, 0)
        await super().fill(account_id)


class FillAfterPromise(Mutant):
    """A worker that dies over the filling of a home timeline leaves a promise behind that nobody keeps."""

    def upkeep(self, pool: Pool, clients: Clients) -> Upkeep:
        return HastyFill(pool, clients.publications, clients.friends, dormant_days=DORMANT_DAYS)


class CountingTwice(InterruptedReading):
    """A fault: what is both pushed and pulled fills two places of a page."""

    @staticmethod
    def _is_full(page: Page, found: Sequence[Entry], pushed_from: int) -> bool:
        return len([entry for entry in found if entry.entry_id >= pushed_from]) >= page.limit


class CountedTwice(Mutant):
    """A page ends where pushing began, though there is room on it."""

    def reading(self, pool: Pool, clients: Clients) -> InterruptedReading:
        made = super().reading(pool, clients)
        made.__class__ = CountingTwice
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
    RelayWithIdCursor,
    RelayWithoutLeases,
    RelayWithoutConfirms,
    MarkerWithoutEntries,
    NoMarker,
    BackfillFromReplica,
    CachedRelations,
    CachedVisibility,
    FriendshipIsEnough,
    TrimWithoutFloor,
    FillAfterPromise,
    CountedTwice,
)
