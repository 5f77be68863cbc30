"""The parts of a network whose decisions are tried, all of them the real ones, on tables and a broker in memory."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from chassis import relay
from chassis.errors import Conflict
from chassis.publisher import PublishError
from chassis.task_app import do_work
from services.timeline import activation, fan_out, home, open_work, upkeep
from services.timeline.activation import Activation
from services.timeline.fan_out import FanOut
from services.timeline.home import HomeReading
from services.timeline.open_work import OpenWorkList
from services.timeline.tasks import HANDLERS, UseCases
from services.timeline.upkeep import Upkeep
from tests.simulation import broker, ledger_store, timeline_store
from tests.simulation.broker import Broker, Delivery
from tests.simulation.loop import Clock, SteppedLoop
from tests.simulation.owners import OwnedFriends, OwnedLedgers, OwnedPublications, Wire
from tests.simulation.tables import Tables, Transaction

DORMANT_DAYS = 14
LEASE_SECONDS = 90
MAX_ATTEMPTS = 8
MAX_FAILING_HOURS = 24
FILL_ENTRIES = 3
CLOCK = Clock(0)
STOPPED = Clock(0)
"""What a reader goes by who gives up after a second: here no read takes any time, whatever happens meanwhile."""
SETTINGS: Any = SimpleNamespace(
    relay_lease_seconds=LEASE_SECONDS, relay_max_attempts=MAX_ATTEMPTS, relay_max_failing_hours=MAX_FAILING_HOURS
)


@contextmanager
def in_memory() -> Iterator[None]:
    """Have the real parts of this process work on memory and on its clock until the block ends."""
    log = SimpleNamespace(warning=_silent, error=_silent, info=_silent, exception=_silent)
    parts: list[tuple[Any, str, Any]] = [
        (activation, "ledger", ledger_store),
        (open_work, "time", CLOCK),
        (relay, "relay_store", ledger_store),
        (relay, "to_message", broker.to_message),
        (relay, "time", CLOCK),
        (relay, "log", log),
    ]
    for module in (home, activation, fan_out, upkeep):
        replaced = {"store": timeline_store, "transaction": _transaction, "connection": _connection, "time": STOPPED}
        parts += [(module, name, by) for name, by in replaced.items() if hasattr(module, name)]
    with replacing(parts):
        yield


@contextmanager
def replacing(parts: Sequence[tuple[Any, str, Any]]) -> Iterator[None]:
    """Put others in the places (where, name, what) until the block ends."""
    before = [(where, name, where.__dict__[name]) for where, name, _ in parts]
    for where, name, by in parts:
        setattr(where, name, by)
    try:
        yield
    finally:
        for where, name, by in reversed(before):
            setattr(where, name, by)


def _transaction(pool: Any) -> Transaction:
    return Transaction(pool, is_auto=False)


def _connection(pool: Any) -> Transaction:
    return Transaction(pool, is_auto=True)


def _silent(*_: object, **__: object) -> None: ...


class Receipts:
    """What one run of a task reports to a ledger."""

    def __init__(self, tables: Tables, reported: set[int]) -> None:
        self._tables = tables
        self._reported = reported
        self.is_dead = False

    async def complete(self, source: str, row_ids: Sequence[int]) -> None:
        await asyncio.sleep(0)
        for row_id in row_ids:
            self._tables.ledgers[source].pop(row_id, None)
        await asyncio.sleep(0)

    async def fail(self, source: str, row_ids: Sequence[int], error: BaseException) -> None:
        if not self.is_dead:
            await asyncio.sleep(0)
            is_transient = type(error).__name__ in ("Unavailable", "Conflict")
            self._reported.update(row_ids)
            ledger_store.record_failure(
                self._tables.ledgers[source], row_ids, self._tables.clock.ms, is_transient=is_transient
            )


class Network:
    """Services, workers and relays of one network in which nothing happens unless somebody says so."""

    def __init__(self, *, max_age_ms: int, max_pushed_friends: int) -> None:
        CLOCK.ms = 1_800_000_000_000
        ledger_store.forget_locks()
        self.tables = Tables(CLOCK)
        self.loop = SteppedLoop(CLOCK)  # type: ignore[abstract]  # of an event loop only what is needed
        asyncio._set_running_loop(self.loop)
        self.broker, self.wire = Broker(), Wire()
        self.reported: set[int] = set()
        pool: Any = self.tables
        asked: Any = (pool, OwnedPublications(self.tables, self.wire), OwnedFriends(self.tables, self.wire))
        bell: Any = _Bell()
        self.activation = Activation(pool, bell, DORMANT_DAYS)
        self.reading = HomeReading(
            *asked,
            open_work=OpenWorkList(OwnedLedgers(self.tables, self.wire), max_age_ms, clock=CLOCK.monotonic),
            activation=self.activation,
            dormant_days=DORMANT_DAYS,
        )
        self.work = UseCases(
            FanOut(*asked, dormant_days=DORMANT_DAYS, max_pushed_friends=max_pushed_friends),
            Upkeep(*asked, dormant_days=DORMANT_DAYS, fill_entries=FILL_ENTRIES),
            None,  # type: ignore[arg-type]  # nobody is notified here
        )
        self._memories = {producer: relay.Memory() for producer in self.tables.ledgers}

    def relay(self, producer: str, *, dies: bool = False) -> bool:
        """Let a relay of a ledger do one pass; tell whether it lived through it."""
        if not self.tables.ledgers[producer]:
            return True
        conn: Any = ledger_store.RelayConnection(self.tables, producer)
        conn.dies_before_commit = dies
        try:
            relay.relay_due(conn, self.broker, None, producer, SETTINGS, self._memories[producer])
        except PublishError:
            return False
        return not dies

    def do(self, delivery: Delivery) -> "tuple[asyncio.Task[None], Receipts]":
        """Let a worker begin with a message, as a worker's process does."""
        receipts: Any = Receipts(self.tables, self.reported)
        doing = do_work(
            self.work, receipts, HANDLERS[delivery.task], delivery.producer, delivery.row_ids, delivery.payloads
        )
        return self.loop.create_task(doing), receipts

    def break_a_deadlock(self) -> bool:
        """End one of those who wait for each other, as PostgreSQL does; tell whether there was one."""
        for futures in self.tables.waiting.values():
            for waiting in futures:
                if not waiting.done():
                    waiting.set_exception(Conflict("planted by a deadlock"))
                    return True
        return False


class _Bell:
    def ring(self) -> None: ...
