"""One schedule: a short history of members, relays and workers, in which chance says who does the next step and what goes wrong."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from chassis.errors import Conflict, Unavailable
from chassis.ids import MAX_ID
from chassis.paging import Page
from tests.simulation.broker import Delivery
from tests.simulation.choices import Choices
from tests.simulation.members import MEMBERS, Members, tables_transaction
from tests.simulation.network import DORMANT_DAYS, LEASE_SECONDS, Network
from tests.simulation.tables import NEVER, Home, Row
from tests.simulation.watching import Truth, Wrong

PRODUCERS = ("status", "social_graph", "timeline")
MAX_ROUNDS = 40
DAY_MS = 86_400_000


class Schedule(Members):
    """Anna (1) and Ben (2) are friends who read; Clara (3) has never read, and may know Ben."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.seen: Counter[str] = Counter()
        below = choices.below
        self.max_age_ms = (0, 0, 50)[below(3)]
        self.has_workers = below(8) > 0
        """Else nobody works until the end, and nothing goes wrong at the broker."""
        self.held = ("", "", "timeline.bulk", "timeline.bulk", "housekeeping", "timeline.live")[below(6)]
        """A queue that nobody works on until the end."""
        self.network = Network(max_age_ms=self.max_age_ms, max_pushed_friends=(1000, 1000, 1000, 1)[below(4)])
        tables = self.network.tables
        tables.friends = {1: {2}, 2: {1}, 3: set()}
        if below(2):
            tables.friends[2].add(3)
            tables.friends[3].add(2)
        if below(3) == 0:
            tables.friends[1].add(3)
            tables.friends[3].add(1)
            backfill = Row(
                tables.take_row_id(),
                "timeline.backfill",
                {"account_id": 1, "friend_id": 3},
                tables.clock.ms,
                tables.clock.ms,
            )
            tables.ledgers["social_graph"][backfill.id] = backfill
        self._begin_with_old_posts()
        self.truth = Truth(tables, MEMBERS, self.max_age_ms)
        self._clients: dict[asyncio.Task[Any], str] = {}
        self._workers: dict[asyncio.Task[None], tuple[Delivery, Any]] = {}
        self._failure: Wrong | None = None
        self.story: list[str] | None = None
        """What has happened, where somebody wants to be told."""

    def _note(self, what: str) -> None:
        if self.story is not None:
            running = Counter(self._clients.values()) + Counter(delivery.task for delivery, _ in self._workers.values())
            self.story.append(
                f"{self.network.tables.clock.ms % 10**9:>9} ms  {what}; runs: {dict(running)}; waits: {len(self.network.broker.waiting)}"
            )

    def _begin_with_old_posts(self) -> None:
        """Let everybody have posted, and those who read be pushed from somewhere in the middle on."""
        tables, below = self.network.tables, self.choices.below
        for _ in range(below(7)):
            tables.statuses[tables.next_id()] = self._member()
            tables.clock.ms += 1
        ids = [0, *tables.statuses]
        for member in (1, 2):
            pushed_from = ids[below(len(ids))]
            tables.homes[member] = Home(pushed_from, tables.clock.ms)
            tables.entries[member] = {
                entry_id: author
                for entry_id, author in tables.statuses.items()
                if author in tables.friends[member] - {4 - member} and entry_id >= pushed_from
            }
        tables.delivered = set(tables.statuses)

    def run(self, moves: int) -> None:
        """Live through so many moves, and come to rest. Raises Wrong where a promise is broken."""
        for _ in range(moves):
            self._let_some_go_on()
            name, move = MOVES[self.choices.below(len(MOVES))]
            if self.has_workers or name not in AT_WORK:
                self.seen[name] += move(self) is not False
                self._note(name)
            self.network.tables.clock.ms += 1
            self._raise_failure()
        self._come_to_rest()

    def close(self) -> None:
        """Let go of what runs still, without a word."""
        loop = self.network.loop
        for task in [*self._clients, *self._workers]:
            task.cancel()
        while loop.ready:
            loop.step(0)
        asyncio._set_running_loop(None)

    def _let_some_go_on(self) -> None:
        loop, below = self.network.loop, self.choices.below
        for _ in range(below(12)):
            if not loop.ready:
                return
            loop.step(below(len(loop.ready)))

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self.network.loop.failures:
            raise Wrong(f"a task failed: {self.network.loop.failures[0]!r}")
        for rows in self.network.tables.ledgers.values():
            for row in rows.values():
                if row.failures and row.id not in self.network.reported and not row.state.get("cut_from"):
                    raise Wrong(f"{row} counts failures that nobody reported")

    # What the network does

    def relay(self) -> bool:
        return self.network.relay(PRODUCERS[self.choices.below(3)])

    def relay_and_die(self) -> None:
        self.network.relay(PRODUCERS[self.choices.below(3)], dies=True)

    def relay_without_confirms(self) -> None:
        self.network.broker.arrives = self.choices.below(2)
        self.network.relay(PRODUCERS[self.choices.below(3)])
        self.network.broker.arrives = 10**9

    def work(self) -> bool:
        waiting = [delivery for delivery in self.network.broker.waiting if delivery.queue != self.held]
        if waiting:
            self._work(waiting[self.choices.below(len(waiting))])
        return bool(self._workers)

    def work_on_the_first(self) -> bool:
        waiting = [delivery for delivery in self.network.broker.waiting if delivery.queue != self.held]
        if waiting:
            self._work(waiting[0])
        return bool(self._workers)

    def _work(self, delivery: Delivery) -> None:
        self.network.broker.waiting.remove(delivery)
        task, receipts = self.network.do(delivery)
        self._workers[task] = delivery, receipts
        task.add_done_callback(self._worker_is_done)

    def _worker_is_done(self, task: "asyncio.Task[None]") -> None:
        delivery, receipts = self._workers.pop(task)
        if receipts.is_dead:
            self.network.broker.waiting.append(delivery)
            return
        error = None if task.cancelled() else task.exception()
        if error is None:
            self.network.broker.past.append(delivery)
        elif not isinstance(error, Unavailable | Conflict):
            self._failure = self._failure or Wrong(f"{delivery} failed: {error!r}")

    # What goes wrong

    def kill_a_worker(self) -> bool:
        if not self._workers:
            return False
        task = list(self._workers)[self.choices.below(len(self._workers))]
        self._workers[task][1].is_dead = True
        return task.cancel()

    def kill_a_client(self) -> bool:
        tasks = list(self._clients)
        return bool(tasks) and tasks[self.choices.below(len(tasks))].cancel()

    def cut_the_wire(self) -> None:
        self.network.wire.lost += 1

    def lose_a_message(self) -> bool:
        waiting = self.network.broker.waiting
        return bool(waiting) and bool(waiting.pop(self.choices.below(len(waiting))))

    def lose_the_broker(self) -> bool:
        had = bool(self.network.broker.waiting)
        self.network.broker.waiting.clear()
        return had

    def repeat_a_message(self) -> bool:
        known = self.network.broker.waiting + self.network.broker.past
        if known:
            self.network.broker.waiting.append(known[self.choices.below(len(known))])
        return bool(known)

    def let_time_pass(self) -> bool:
        """Let a lease, a pause or two weeks go by; not while a transaction is open, which may not last so long."""
        if self.network.tables.uncommitted:
            return False
        longest = 3 if not (self._clients or self._workers) else 2
        self.network.tables.clock.ms += (15_000, 1000 * LEASE_SECONDS, (DORMANT_DAYS + 6) * DAY_MS)[
            self.choices.below(longest)
        ]
        self.network.loop.ring_timers()
        return True

    def let_a_moment_pass(self) -> None:
        self.network.tables.clock.ms += 60

    # And in the end

    def _come_to_rest(self) -> None:
        self.network.wire.lost, self.held = 0, ""
        for _ in range(MAX_ROUNDS):
            self._finish_running()
            if not self.has_workers and not self.seen["rested"]:
                self._leave_without_workers()
            self.seen["rested"] += 1
            if not any(self.network.tables.ledgers.values()) and self._is_filled():
                break
            self.network.tables.clock.ms += 61_000 + 1000 * LEASE_SECONDS
            self.network.loop.ring_timers()
            self._start("resume", self._resume())
            for producer in PRODUCERS:
                self.network.relay(producer)
            while self.network.broker.waiting:
                self.work()
        else:
            raise Wrong(
                f"never done: {[row for rows in self.network.tables.ledgers.values() for row in rows.values()]}"
            )
        self._check_the_end()

    def _rows(self) -> list[Any]:
        return [row for rows in self.network.tables.ledgers.values() for row in rows.values()]

    def _leave_without_workers(self) -> None:
        """Let leases end time and again while nobody works: messages stay as few as they are, and nothing dies."""
        for producer in PRODUCERS:
            self.network.relay(producer)
        batches = self.network.broker.published
        for _ in range(20):
            self.network.tables.clock.ms += 1000 * LEASE_SECONDS + 1000
            for producer in PRODUCERS:
                self.network.relay(producer)
        self.seen["left without workers"] += batches > 0
        if self.network.broker.published > 2 * batches:
            raise Wrong(f"{batches} messages became {self.network.broker.published} while nobody worked")
        if dead := [row for row in self._rows() if row.is_dead or row.failures]:
            raise Wrong(f"given up while nobody worked: {dead}")

    async def _resume(self) -> None:
        async with tables_transaction(self.network, is_auto=True) as conn:
            await self.network.activation.resume_step(conn)

    def _is_filled(self) -> bool:
        now = self.network.tables.clock.ms
        return not [
            h for h in self.network.tables.homes.values() if h.pushed_from == NEVER and now - h.active_ms < 12 * DAY_MS
        ]

    def _finish_running(self) -> None:
        loop = self.network.loop
        while True:
            self._run_what_is_ready()
            self._raise_failure()
            if not self._clients and not self._workers:
                return
            self.network.tables.clock.ms += 60
            loop.ring_timers()
            if not loop.ready and not self.network.break_a_deadlock():
                raise Wrong("somebody waits for ever")

    def _check_the_end(self) -> None:
        tables = self.network.tables
        tables.clock.ms += 1000
        if dead := [row for row in self._rows() if row.is_dead]:
            raise Wrong(f"given up: {dead}")
        for member, home in tables.homes.items():
            is_active = tables.clock.ms - home.active_ms < (DORMANT_DAYS - 1) * DAY_MS
            pushed = tables.entries.get(member, {})
            lacking = {
                entry_id
                for entry_id in tables.true_home(member)
                if tables.statuses[entry_id] not in {member, *tables.pulled_authors} and entry_id >= home.pushed_from
            } - pushed.keys()
            if is_active and lacking:
                raise Wrong(f"{sorted(lacking)} were never pushed to {member}, who is pushed from {home.pushed_from}")
            self._start("read", self._read(member, Page(MAX_ID, 0, 40, False)))
        self._finish_running()


S = Schedule
MOVES: tuple[tuple[str, Callable[[Schedule], bool | None]], ...] = tuple(
    (move.__name__, move)
    for move, weight in (
        (S.post, 5),
        (S.post_and_deliver, 4),
        (S.post_together, 1),
        (S.delete, 1),
        (S.befriend, 3),
        (S.import_friendship, 1),
        (S.unfriend, 3),
        (S.read, 6),
        (S.relay, 7),
        (S.relay_and_die, 1),
        (S.relay_without_confirms, 1),
        (S.work, 4),
        (S.work_on_the_first, 3),
        (S.kill_a_worker, 2),
        (S.kill_a_client, 1),
        (S.cut_the_wire, 1),
        (S.lose_a_message, 1),
        (S.lose_the_broker, 1),
        (S.repeat_a_message, 1),
        (S.let_time_pass, 3),
        (S.let_a_moment_pass, 1),
    )
    for _ in range(weight)
)
AT_WORK = {
    "post_and_deliver",
    "work",
    "work_on_the_first",
    "kill_a_worker",
    "lose_a_message",
    "lose_the_broker",
    "repeat_a_message",
    "relay_and_die",
    "relay_without_confirms",
    "cut_the_wire",
}
