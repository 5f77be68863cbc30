"""What members of a simulated network do: post, delete, become friends and strangers, and read."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from chassis.errors import Conflict, Unavailable
from chassis.ids import MAX_ID
from chassis.paging import Page
from tests.simulation.broker import Delivery
from tests.simulation.choices import Choices
from tests.simulation.network import Network
from tests.simulation.tables import Transaction
from tests.simulation.watching import Truth, Wrong, compare

MEMBERS = (1, 2, 3)


class Members:
    """Everything that clients ask for; what a schedule is made of besides belongs to the schedule."""

    choices: Choices
    seen: Counter[str]
    network: Network
    truth: Truth
    held: str
    _clients: dict[asyncio.Task[Any], str]
    _failure: Wrong | None

    def _work(self, delivery: Delivery) -> None:
        raise NotImplementedError

    def _start(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        task = self.network.loop.create_task(work)
        self._clients[task] = what
        task.add_done_callback(self._client_is_done)

    def _client_is_done(self, task: "asyncio.Task[None]") -> None:
        self._clients.pop(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Wrong):
            self._failure = self._failure or error
        elif error is not None and not isinstance(error, Unavailable | Conflict):
            self._failure = self._failure or Wrong(f"a client got {error!r}")

    def post(self) -> None:
        author = self._member()
        self._start(f"post of {author}", self._post([author]))

    def post_together(self) -> None:
        self._start("post", self._post([1, 2]))

    async def _post(self, authors: list[int]) -> None:
        tables = self.network.tables
        async with tables_transaction(self.network) as conn:
            posted = [(tables.next_id(), author) for author in authors]
            payloads = [{"entry_id": entry_id, "author_id": author} for entry_id, author in posted]
            conn.append("status", "timeline.fan_out", payloads if len(payloads) > 1 else payloads[0])
            for entry_id, author in posted:
                conn.write(lambda entry_id=entry_id, author=author: tables.statuses.__setitem__(entry_id, author))
            for _ in range(self.choices.below(3)):
                await asyncio.sleep(0)

    def post_and_deliver(self) -> bool:
        """Post, have it fanned out at once, before anything else that waits, and let all read the newest page."""
        self.post()
        self._run_what_is_ready()
        self.network.relay("status")
        for delivery in [one for one in self.network.broker.waiting if one.task == "timeline.fan_out"]:
            if delivery.queue != self.held:
                self._work(delivery)
        self._run_what_is_ready()
        for member in MEMBERS:
            self._start(f"read of {member}", self._read(member, Page(MAX_ID, 0, 1 + self.choices.below(3), False)))
        return True

    def _run_what_is_ready(self) -> None:
        loop = self.network.loop
        while loop.ready:
            loop.step(self.choices.below(len(loop.ready)))

    def delete(self) -> bool:
        statuses = sorted(self.network.tables.statuses.items())
        if statuses:
            self._start("delete", self._delete(*statuses[self.choices.below(len(statuses))]))
        return bool(statuses)

    async def _delete(self, entry_id: int, author: int) -> None:
        tables = self.network.tables
        async with tables_transaction(self.network) as conn:
            await conn.lock(("status", entry_id))
            if entry_id in tables.statuses:
                conn.write(lambda: tables.statuses.pop(entry_id))
                conn.append("status", "timeline.retract", {"entry_id": entry_id, "author_id": author})

    def befriend(self) -> None:
        pair = self._pair()
        self._start(f"befriend {pair}", self._befriend(*pair, task="timeline.backfill"))

    def import_friendship(self) -> None:
        pair = self._pair()
        self._start(f"import {pair}", self._befriend(*pair, task="timeline.rebase"))

    async def _befriend(self, left: int, right: int, *, task: str) -> None:
        friends = self.network.tables.friends
        async with tables_transaction(self.network) as conn:
            await conn.lock(("pair", left, right))
            if right in friends[left]:
                return
            conn.write(lambda: friends[left].add(right))
            conn.write(lambda: friends[right].add(left))
            if task == "timeline.backfill":
                conn.append("social_graph", task, {"account_id": left, "friend_id": right})
            else:
                for member in (left, right):
                    conn.append("social_graph", task, {"account_id": member})

    def unfriend(self) -> None:
        pair = self._pair()
        self._start(f"unfriend {pair}", self._unfriend(*pair))

    async def _unfriend(self, left: int, right: int) -> None:
        friends = self.network.tables.friends
        async with tables_transaction(self.network) as conn:
            await conn.lock(("pair", left, right))
            if right in friends[left]:
                conn.write(lambda: friends[left].discard(right))
                conn.write(lambda: friends[right].discard(left))
                conn.append("social_graph", "timeline.purge", {"account_id": left, "friend_id": right})

    def read(self) -> None:
        member, limit = self._member(), (2, 3, 40)[self.choices.below(3)]
        ids = sorted(self.network.tables.statuses)
        edge = ids[self.choices.below(len(ids))] if ids else MAX_ID
        pages = (Page(MAX_ID, 0, limit, False), Page(edge, 0, limit, False), Page(MAX_ID, edge, limit, True))
        self._start(f"read of {member}", self._read(member, pages[self.choices.below(4) % 3]))

    async def _read(self, member: int, page: Page) -> None:
        watch = self.truth.begin(member)
        try:
            read: Any = await self.network.reading.page(member, page)
        finally:
            self.truth.end(watch)
        compare(watch, page, [entry.entry_id for entry in getattr(read, "entries", read)])
        self.seen["pages compared"] += 1
        self.seen["entries compared"] += len(watch.always)

    def _member(self) -> int:
        return MEMBERS[self.choices.below(3)]

    def _pair(self) -> tuple[int, int]:
        return ((1, 2), (1, 3), (2, 3))[self.choices.below(3)]


def tables_transaction(network: Network, *, is_auto: bool = False) -> Any:
    """Return a transaction of a service."""
    return Transaction(network.tables, is_auto=is_auto)
