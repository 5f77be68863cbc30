"""Histories of a small network, with every home timeline compared with the truth in SQL after each step.

Members befriend, unfriend, block, mute, post, write, narrow, delete, read, sleep and come back; friendships are imported; posts commit
out of the order of their ids; old entries are trimmed. The real relay publishes what the ledgers hold to a broker that repeats, reorders,
delays, loses and replays it, to workers that die before, while and after they do it; each queue can be late on its own; some of it
happens in the middle of reads. Pages are of any size, and are walked to the end, downwards and upwards.
"""

import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from kodama.page.v1.window_pb2 import Window

from chassis import topology
from chassis.errors import Unavailable
from chassis.ids import Kind, kind_of
from chassis.paging import page_of
from tests.integration.timeline.parts import DORMANT_DAYS, InterruptedReading, Parts
from tests.integration.timeline.scene import Died
from tests.integration.timeline.stage import Stage
from tests.integration.timeline.wayward_broker import Delivery
from tests.world import World

MEMBERS = 4
STEPS = 40
ROUNDS_TO_REST = 20
TRIES = 10

Answer = TypeVar("Answer")

member = st.integers(0, MEMBERS - 1)
pair = st.tuples(member, member).filter(lambda two: two[0] != two[1])
which = st.integers(0, 10_000)
queue = st.sampled_from(("timeline.live", "timeline.bulk", "timeline.bulk", "housekeeping"))
page_size = st.sampled_from((1, 2, 3, 4, 5, 7, 20))


class Wrong(AssertionError):
    """What the design promises did not hold in a history."""


class NotTheTruth(Wrong):
    """A home timeline differs from what SQL says that it has to be."""


class NeverDone(Wrong):
    """Work is still open though relay, broker and workers have been undisturbed for long."""


class WorkFailed(Wrong):
    """A task failed though nothing was in its way."""


class Machine(RuleBasedStateMachine):
    """A history of a small network."""

    stage: ClassVar[Stage]
    parts: ClassVar[Parts] = Parts()
    world: World
    reading: InterruptedReading

    @initialize()
    def begin(self) -> None:
        """Make new members in an otherwise quiet network."""
        self.scene = self.stage.play(self.parts)
        self.world, self.reading, self.broker = self.scene.world, self.scene.reading, self.scene.broker
        self.members = self.stage.run(self.world.members(MEMBERS))
        self.posted: list[tuple[int, int]] = []
        self.written: list[tuple[int, int]] = []
        self.asleep = set(range(1, MEMBERS))
        self.held: set[str] = set()
        for friend in self.members[1:3]:
            self.stage.run(self.world.befriend(self.members[0], friend))
        self._read(self.members[0], Window(limit=1))
        self.come_to_rest()

    def teardown(self) -> None:
        """Leave nothing for the next history to do."""
        if hasattr(self, "scene"):
            self.scene.end()

    # What members do

    @rule(two=pair)
    def befriend(self, two: tuple[int, int]) -> None:
        left, right = (self.members[number] for number in two)
        if not self._are_blocked(left, right):
            self.stage.run(self.world.befriend(left, right))

    @rule(two=pair)
    def unfriend(self, two: tuple[int, int]) -> None:
        self.stage.run(self.world.unfriend(*(self.members[number] for number in two)))

    @rule(two=pair)
    def fall_out_and_make_up(self, two: tuple[int, int]) -> None:
        self.unfriend(two)
        self.befriend(two)

    @rule(two=pair)
    def block_and_unblock(self, two: tuple[int, int]) -> None:
        left, right = (self.members[number] for number in two)
        self.stage.run(self.world.block(left, right))
        self.stage.run(self.world.unblock(left, right))

    @rule(two=pair, seconds=st.sampled_from((0, 3600)))
    def mute(self, two: tuple[int, int], seconds: int) -> None:
        left, right = (self.members[number] for number in two)
        self.stage.run(self.world.mute(left, right, seconds=seconds))

    @rule(two=pair)
    def unmute(self, two: tuple[int, int]) -> None:
        self.stage.run(self.world.unmute(*(self.members[number] for number in two)))

    @rule()
    def let_mutes_end(self) -> None:
        """Let as much time pass as members have muted others for."""
        self.scene.let_mutes_end()

    @rule(two=pair)
    def import_friendship(self, two: tuple[int, int]) -> None:
        left, right = (self.members[number] for number in two)
        self.stage.run(self.world.import_friendships([(left, right)]))

    @rule(author=member, visibility=st.integers(1, 4))
    def post(self, author: int, visibility: int) -> None:
        status_id = self.stage.run(self.world.post(self.members[author], "echo", visibility))
        self.posted.append((self.members[author], status_id))

    @rule(author=member, count=st.integers(2, 6))
    def post_much(self, author: int, count: int) -> None:
        for _ in range(count):
            self.post(author, visibility=3)

    @rule(two=pair, visibility=st.integers(1, 4))
    def post_together(self, two: tuple[int, int], visibility: int) -> None:
        """Two post at the same moment, so that their fan-outs share a row."""
        authors = [self.members[number] for number in two]
        status_ids = self.stage.run(self.world.post_together(authors, visibility))
        self.posted += zip(authors, status_ids, strict=True)

    @rule(author=member, mentioned=member, visibility=st.integers(1, 4))
    def address(self, author: int, mentioned: int, visibility: int) -> None:
        """Post with a mention, perhaps of nobody who is a friend, perhaps for nobody else."""
        text = f"@{self.world.handle(self.members[mentioned])} echo"
        status_id = self.stage.run(self.world.post(self.members[author], text, visibility))
        self.posted.append((self.members[author], status_id))

    @rule(author=member, number=which)
    def reply(self, author: int, number: int) -> None:
        """Answer something that stands on one's home timeline."""
        seen = [an_id for an_id in self.world.true_home(self.members[author]) if kind_of(an_id) is Kind.STATUS]
        if seen:
            answered = seen[number % len(seen)]
            status_id = self.stage.run(self.world.post(self.members[author], "echo", in_reply_to_id=answered))
            self.posted.append((self.members[author], status_id))

    @rule(author=member)
    def post_and_deliver(self, author: int) -> None:
        """Post, and have it fanned out at once, before anything else that waits."""
        self.post(author, visibility=3)
        self.relay()
        for delivery in [each for each in self._waiting() if each.is_about(self.posted[-1][1])]:
            self._work(delivery)

    @rule(author=member)
    @precondition(lambda self: not self.scene.slow_posts)
    def begin_slow_post(self, author: int) -> None:
        """Let a post take its ids, and commit only after others that come later."""
        self.scene.begin_slow_post(self.members[author])

    @rule()
    @precondition(lambda self: self.scene.slow_posts)
    def commit_slow_post(self) -> None:
        self.posted.append(self.scene.commit_slow_post())

    @rule(author=member, visibility=st.integers(1, 4))
    def write(self, author: int, visibility: int) -> None:
        entry_id = self.stage.run(self.world.write(self.members[author], visibility))
        self.written.append((self.members[author], entry_id))

    @rule(number=which, visibility=st.integers(1, 4))
    @precondition(lambda self: self.posted)
    def narrow(self, number: int, visibility: int) -> None:
        """Let fewer see a status from now on."""
        author_id, status_id = self.posted[number % len(self.posted)]
        narrowed = max(visibility, self.scene.visibility_of(status_id))
        self.stage.run(self.world.narrow(author_id, status_id, narrowed))

    @rule(number=which)
    @precondition(lambda self: self.written)
    def withdraw(self, number: int) -> None:
        """Keep a blog entry to oneself from now on that friends could read until now."""
        author_id, entry_id = self.written[number % len(self.written)]
        self.stage.run(self.world.narrow_entry(author_id, entry_id, 4))

    @rule(number=which)
    @precondition(lambda self: self.posted)
    def delete(self, number: int) -> None:
        self.stage.run(self.world.delete(*self.posted.pop(number % len(self.posted))))

    @rule(reader=member)
    def sleep(self, reader: int) -> None:
        """Let a member not read for more than the days after which nothing is pushed any more, until it wakes."""
        self.scene.let_sleep(self.members[reader], DORMANT_DAYS + 1)
        self.asleep.add(reader)

    @rule(reader=member)
    def wake(self, reader: int) -> None:
        """Let a member read for the first time, or again."""
        self.asleep.discard(reader)

    @rule(reader=member, limit=page_size)
    def walk(self, reader: int, limit: int) -> None:
        """Read a home timeline to its end, page by page, downwards and then upwards."""
        self.asleep.discard(reader)
        account_id = self.members[reader]
        truth = self.world.true_home(account_id)
        for end in [*range(0, len(truth), limit), len(truth)]:
            window = Window(limit=limit, max_id=truth[end - 1] if end else 0)
            self._compare(account_id, window, truth[end : end + limit])
        for begin in [*range(len(truth), 0, -limit), 0]:
            window = Window(limit=limit, min_id=truth[begin] if begin < len(truth) else 1)
            self._compare(account_id, window, truth[max(0, begin - limit) : begin])

    @rule(reader=member, limit=page_size, number=which, other=which)
    def look_between(self, reader: int, limit: int, number: int, other: int) -> None:
        """Read a page between any two entries, from either end."""
        self.asleep.discard(reader)
        account_id = self.members[reader]
        truth = self.world.true_home(account_id)
        newest, oldest = sorted((number % (len(truth) + 1), other % (len(truth) + 1)))
        between = truth[newest:oldest]
        below, above = truth[newest - 1] if newest else 0, truth[oldest] if oldest < len(truth) else 1
        self._compare(account_id, Window(limit=limit, max_id=below, since_id=above), between[:limit])
        self._compare(account_id, Window(limit=limit, max_id=below, min_id=above), between[-limit:])

    # What happens to the work that this causes

    @rule()
    def relay(self) -> None:
        """Publish what is due."""
        self.scene.relay()

    @rule()
    def relay_to_a_breaking_broker(self) -> None:
        """Publish what is due to a broker that takes half of it and confirms nothing."""
        self.broker.is_breaking = True
        self.scene.relay()
        self.broker.is_breaking = False

    @rule(queue=queue)
    def hold(self, queue: str) -> None:
        """Let nobody work on a queue until it is let go."""
        self.held.add(queue)

    @rule()
    @precondition(lambda self: self.held)
    def let_go(self) -> None:
        self.held.clear()

    @rule()
    def let_leases_end(self) -> None:
        """Let as much time pass as a relay waits until it publishes once more what is not done."""
        self.scene.let_leases_end()

    @rule(number=which, fate=st.sampled_from(("done", "done", "dies before", "dies while", "dies after")))
    def do_work(self, number: int, fate: str) -> None:
        """Have a worker do any of what waits; a worker that dies leaves it to another."""
        waiting = self._waiting()
        if waiting:
            self._work(waiting[number % len(waiting)], fate)

    @rule(chance=st.randoms(use_true_random=False))
    def do_all_work(self, chance: random.Random) -> None:
        """Relay and do all that is due, in any order."""
        self.relay()
        waiting = self._waiting()
        chance.shuffle(waiting)
        for delivery in waiting:
            self._work(delivery)

    @rule(number=which)
    @precondition(lambda self: self.broker.waiting)
    def repeat(self, number: int) -> None:
        """Have a message come twice."""
        self.broker.waiting.append(self.broker.waiting[number % len(self.broker.waiting)])

    @rule(number=which)
    @precondition(lambda self: self.broker.past)
    def replay(self, number: int) -> None:
        """Have a message come again that was done long ago."""
        self.broker.waiting.append(self.broker.past[number % len(self.broker.past)])

    @rule(number=which)
    @precondition(lambda self: self.broker.waiting)
    def drop(self, number: int) -> None:
        """Lose a message."""
        self.broker.waiting.pop(number % len(self.broker.waiting))

    @rule()
    def lose_the_broker(self) -> None:
        """Lose everything that was in the broker."""
        self.broker.waiting.clear()

    @rule(reader=member, number=which)
    def do_work_during_a_read(self, reader: int, number: int) -> None:
        self.asleep.discard(reader)
        waiting = self._waiting()
        if waiting:
            delivery = waiting[number % len(waiting)]
            self.reading.interruption = lambda: self.scene.work(delivery)
            self.check(reader)

    @rule(number=which)
    @precondition(lambda self: self.posted)
    def trim(self, number: int) -> None:
        """Let go of all entries below some post."""
        self.scene.trim(self.posted[number % len(self.posted)][1])

    @rule()
    def come_to_rest(self) -> None:
        """Leave relay, broker and workers alone until all is done. Raises NeverDone where it never is."""
        self.held.clear()
        for _ in range(ROUNDS_TO_REST):
            self.scene.let_leases_end()
            self.do_all_work(random.Random(0))
            if not self.world.open_work():
                return
        raise NeverDone(f"{self.world.open_work()} never gets done")

    # What is promised

    @invariant()
    def every_home_timeline_is_the_truth(self) -> None:
        for reader in range(MEMBERS if hasattr(self, "asleep") else 0):
            if reader not in self.asleep:
                self.check(reader)

    def check(self, reader: int) -> None:
        """Compare what a member reads with the truth."""
        account_id = self.members[reader]
        self._compare(account_id, Window(limit=40), self.world.true_home(account_id)[:40])

    def _compare(self, account_id: int, window: Window, truth: list[int]) -> None:
        read = self._read(account_id, window)
        if read != truth:
            raise NotTheTruth(f"{account_id} reads {read} instead of {truth}")

    def _read(self, account_id: int, window: Window) -> list[int]:
        page = page_of(window, default=20, maximum=40)
        return [entry.entry_id for entry in self._patiently(lambda: self.reading.page(account_id, page)).entries]

    def _waiting(self) -> list[Delivery]:
        """Return what workers can be given, after the relay's next turn where nothing waits at the broker."""
        if not self.broker.waiting:
            self.relay()
        return [each for each in self.broker.waiting if topology.TASKS[each.task].queue not in self.held]

    def _work(self, delivery: Delivery, fate: str = "done") -> None:
        try:
            self._patiently(lambda: self.scene.work(delivery, fate))
        except Died:
            pass
        except Exception as error:
            raise WorkFailed(f"{delivery}: {type(error).__name__}: {error}") from error

    def _patiently(self, begin: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        """Do what can be done twice, and again where a busy machine let a deadline pass, as clients, leases and members do."""
        for _ in range(TRIES):
            with suppress(Unavailable):
                return self.stage.run(begin())
        return self.stage.run(begin())

    def _are_blocked(self, left: int, right: int) -> bool:
        both = [left, right]
        return bool(
            self.world.query(
                "SELECT 1 FROM social_graph.blocks WHERE account_id = ANY(%s) AND target_id = ANY(%s)", both, both
            )
        )
