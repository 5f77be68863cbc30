"""Use case: have everybody's suggestions computed, follow that, stop it, and clear away what is old."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from chassis import ledger
from chassis.database import Connection, Pool, connection, transaction
from chassis.ledger import Bell
from services.social_graph import generation_store as store
from services.social_graph import outcome_store, suggestion_store
from services.social_graph.generation_store import Generation
from services.social_graph.outcome_store import Outcome
from services.social_graph.suggestion_store import StoredSuggestions

TASKS = (
    "suggestions.refresh",
    "suggestions.measure",
    "suggestions.snapshot",
    "suggestions.tune",
    "suggestions.compute",
)


@dataclass(frozen=True)
class Progress:
    """How far suggestions are, and how well members are served with them."""

    open_tasks: int
    members: int
    """With friends."""
    members_computed: int
    current: Generation | None
    latest: Generation | None
    refreshed_members: int
    """Computed for themselves since the current generation read the friendships."""
    outcomes: Sequence[Outcome]


class Generations:
    """Requests, follows and ends the computations of everybody's suggestions."""

    def __init__(self, pool: Pool, bell: Bell, *, hours: int) -> None:
        self._pool = pool
        self._bell = bell
        self._hours = hours

    async def request(self) -> tuple[Generation, bool]:
        """Have a generation computed where none is at work; return the one that is, and whether it is new."""
        async with transaction(self._pool) as conn:
            is_new = await _request(conn)
            latest = await store.find_latest(conn)
        assert latest is not None
        if is_new:
            self._bell.ring()
        return latest, is_new

    async def cancel(self) -> int:
        """Stop what is at work; return its id, 0 where nothing is. What was read before still is."""
        async with connection(self._pool) as conn:
            return await store.cancel(conn)

    async def progress(self) -> Progress:
        """Return how far it is."""
        async with connection(self._pool) as conn:
            lags = await ledger.lag(conn)
            members, computed = await suggestion_store.count_members(conn)
            return Progress(
                open_tasks=sum(lag.open_rows for lag in lags if lag.task in TASKS),
                members=members,
                members_computed=computed,
                current=await store.find_current(conn),
                latest=await store.find_latest(conn),
                refreshed_members=await store.count_refreshed(conn),
                outcomes=await outcome_store.list_outcomes(conn),
            )

    async def export(self) -> AsyncIterator[list[StoredSuggestions]]:
        """Yield what is stored for members, in groups, by ascending id."""
        after_id = 0
        while True:
            async with connection(self._pool) as conn:
                group = await suggestion_store.list_members_after(conn, after_id)
                stored = await suggestion_store.find_stored(conn, group)
            if not group:
                return
            yield [stored[account_id] for account_id in group if account_id in stored]
            after_id = group[-1]

    async def schedule_step(self, conn: Connection) -> int:
        """Do the chore `suggestions.schedule`: give up what nobody works on, and request what is due."""
        done = await store.fail_abandoned(conn)
        if self._hours and await store.is_due(conn, self._hours):
            async with conn.transaction():
                is_new = await _request(conn)
            if is_new:
                self._bell.ring()
                done += 1
        return done

    async def clear_step(self, conn: Connection) -> int:
        """Do a step of the chore `suggestions.clear`: let go of what a newer generation has replaced."""
        async with conn.transaction():
            dropped = await store.drop_table(conn)
        return dropped + await store.delete_replaced(conn) + await outcome_store.delete_forgotten(conn)

    async def sample_step(self, conn: Connection) -> int:
        """Do the chore `suggestions.sample`: have drift measured, where there is a generation."""
        current = await store.find_current(conn)
        if current is not None:
            await ledger.append(conn, "suggestions.sampled", [{"generation": current.id}])
            self._bell.ring()
        return 0  # so that it is not asked for again at once


async def _request(conn: Connection) -> bool:
    generation = await store.insert_generation(conn)
    if generation:
        await ledger.append(conn, "suggestions.requested", [{"generation": generation}])
    return bool(generation)
