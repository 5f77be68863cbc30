"""PostgreSQL as far as timelines and ledgers lean on it: committed rows, transactions that are seen whole or not at all, and their locks.

Isolation is READ COMMITTED: every statement sees what is committed when it runs. A statement on its own commits at once.
"""

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from chassis.ids import MAX_ID
from tests.simulation.loop import Clock

Payload = dict[str, int]


@dataclass
class Row:
    """A row of a ledger."""

    id: int
    task: str
    payload: Any
    created_ms: int
    due_ms: int
    state: dict[str, Any] = field(default_factory=dict)
    """What only the relay's rules look at."""
    is_dead: bool = False
    failures: int = 0
    failing_since_ms: int | None = None
    failed_ms: int | None = None
    published_ms: float | None = None


@dataclass
class Home:
    """A row of `homes`."""

    pushed_from: int
    active_ms: int


class Tables:
    """All schemas of one network."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.statuses: dict[int, int] = {}
        """Id → author."""
        self.friends: dict[int, set[int]] = {}
        self.entries: dict[int, dict[int, int]] = {}
        """Account → entry → author."""
        self.homes: dict[int, Home] = {}
        self.delivered: set[int] = set()
        self.pulled_authors: set[int] = set()
        self.ledgers: dict[str, dict[int, Row]] = {"status": {}, "social_graph": {}, "timeline": {}}
        self.locks: dict[Hashable, Transaction] = {}
        self.waiting: dict[Hashable, list[asyncio.Future[None]]] = {}
        self.uncommitted: set[Transaction] = set()
        self.on_commit: Callable[[], None] = lambda: None
        self._last_id = 0
        self._last_row = 0

    def next_id(self) -> int:
        """Return the next id, as a statement that inserts takes it: before it commits."""
        self._last_id += 1
        return (self.clock.ms << 16) | (self._last_id << 2) | 1

    def take_row_id(self) -> int:
        """Return the next id of a row of a ledger, as a statement takes it: before it commits."""
        self._last_row += 1
        return self._last_row

    def true_home(self, account_id: int) -> set[int]:
        """Return what stands on a member's home timeline, as of what is committed."""
        authors = self.friends.get(account_id, set()) | {account_id}
        return {status_id for status_id, author in self.statuses.items() if author in authors}


class Transaction:
    """A transaction, or with `is_auto` a connection whose statements are one each."""

    def __init__(self, tables: Tables, *, is_auto: bool) -> None:
        self.tables = tables
        self.is_auto = is_auto
        self._writes: list[Callable[[], Any]] = []
        self._locks: list[Hashable] = []

    async def __aenter__(self) -> "Transaction":
        await asyncio.sleep(0)
        if not self.is_auto:
            self.tables.uncommitted.add(self)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.is_auto:
            return
        try:
            if kind is None:
                await asyncio.sleep(0)  # until here whoever dies takes it along
                for write in self._writes:
                    write()
        finally:
            self.end()
        if kind is None:
            self.tables.on_commit()
            await asyncio.sleep(0)

    def transaction(self) -> "Transaction":
        """Begin one on this connection."""
        return Transaction(self.tables, is_auto=False)

    def end(self) -> None:
        """Let go of all locks."""
        self.tables.uncommitted.discard(self)
        for key in self._locks:
            del self.tables.locks[key]
            for waiting in self.tables.waiting.pop(key, ()):
                if not waiting.done():
                    waiting.set_result(None)
        self._locks.clear()

    async def lock(self, key: Hashable) -> None:
        """Wait until nobody else holds a lock; a transaction then holds it until its end."""
        while self.tables.locks.get(key, self) is not self:
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.tables.waiting.setdefault(key, []).append(waiting)
            await waiting
        if not self.is_auto and key not in self.tables.locks:
            self.tables.locks[key] = self
            self._locks.append(key)

    def write(self, change: Callable[[], Any]) -> None:
        """Change something when the transaction commits, which is now for a statement on its own."""
        if self.is_auto:
            change()
            self.tables.on_commit()
        else:
            self._writes.append(change)

    def append(self, producer: str, task: str, payload: Any) -> None:
        """Insert a row into a ledger."""
        clock = self.tables.clock
        row = Row(self.tables.take_row_id(), task, payload, clock.ms, clock.ms)
        self.write(lambda: self.tables.ledgers[producer].__setitem__(row.id, row))


NEVER = MAX_ID
