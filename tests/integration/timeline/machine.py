"""Histories of a small network, with every home timeline compared with the truth in SQL after each step.

Members befriend, unfriend, block, post, write, delete, read, sleep and come back, friendships are imported, and the ledgers' work is done
late, in any order, repeatedly, by workers that die before they say so, and in the middle of reads.
"""

import os
import random
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from kodama.page.v1.window_pb2 import Window

from chassis.paging import page_of
from tests.integration.timeline.stage import DORMANT_DAYS, InterruptedReading, Parts, Stage
from tests.world import Work, World

MEMBERS = 4
EXAMPLES = int(os.environ.get("KODAMA_MACHINE_EXAMPLES", "8"))
STEPS = 40
MUTANT_EXAMPLES = 60

member = st.integers(0, MEMBERS - 1)
pair = st.tuples(member, member).filter(lambda two: two[0] != two[1])
which = st.integers(0, 10_000)


class NotTheTruth(AssertionError):
    """A home timeline differs from what SQL says that it has to be."""


class Machine(RuleBasedStateMachine):
    """A history of a small network."""

    stage: ClassVar[Stage]
    parts: ClassVar[Parts] = Parts()
    world: World
    reading: InterruptedReading

    @initialize()
    def begin(self) -> None:
        """Make new members in an otherwise quiet network."""
        self.world, self.reading = self.stage.play(self.parts)
        self.members = self.stage.run(self.world.members(MEMBERS))
        self.posted: list[tuple[int, int]] = []
        self.asleep = set(range(1, MEMBERS))
        for friend in self.members[1:3]:
            self.stage.run(self.world.befriend(self.members[0], friend))
        self._read(self.members[0], Window(limit=1))
        self.stage.run(self.world.drain())
        self.let_time_pass()

    def teardown(self) -> None:
        """Leave nothing for the next history to do."""
        for work in self.world.open_work() if hasattr(self, "world") else ():
            self.world.strike(work)

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

    @rule(two=pair)
    def import_friendship(self, two: tuple[int, int]) -> None:
        left, right = (self.members[number] for number in two)
        self.stage.run(self.world.import_friendships([(left, right)]))

    @rule(author=member, visibility=st.integers(1, 3))
    def post(self, author: int, visibility: int) -> None:
        status_id = self.stage.run(self.world.post(self.members[author], "echo", visibility))
        self.posted.append((self.members[author], status_id))

    @rule(author=member)
    def post_and_deliver(self, author: int) -> None:
        """Post, and have it fanned out at once, before anything else that is open."""
        self.post(author, visibility=3)
        [work] = [row for row in self.open_rows() if row.payload.get("entry_id") == self.posted[-1][1]]
        self.stage.run(self._do(work, is_struck=True))

    @rule(author=member, visibility=st.integers(1, 4))
    def write(self, author: int, visibility: int) -> None:
        self.stage.run(self.world.write(self.members[author], visibility))

    @rule(number=which)
    def delete(self, number: int) -> None:
        if self.posted:
            self.stage.run(self.world.delete(*self.posted.pop(number % len(self.posted))))

    @rule(reader=member)
    def sleep(self, reader: int) -> None:
        """Let a member not read for more than the days after which nothing is pushed any more, until it wakes."""
        self.world.query(
            "UPDATE timeline.homes SET active_at = active_at - %s * interval '1 day' WHERE account_id = %s RETURNING 1",
            DORMANT_DAYS + 1,
            self.members[reader],
        )
        self.asleep.add(reader)

    @rule(reader=member)
    def wake(self, reader: int) -> None:
        """Let a member read for the first time, or again."""
        self.asleep.discard(reader)

    @rule()
    def let_time_pass(self) -> None:
        """Let the margin pass after which pushing begins for members who have just become active."""
        self.world.settle_pushing()

    @rule(number=which, is_struck=st.booleans())
    def do_work(self, number: int, is_struck: bool) -> None:
        """Do some open work; the worker dies before it is struck, or not."""
        rows = self.open_rows()
        if rows:
            self.stage.run(self._do(rows[number % len(rows)], is_struck))

    @rule(chance=st.randoms(use_true_random=False))
    def do_all_work(self, chance: random.Random) -> None:
        """Do all work that is open, in any order."""
        rows = self.open_rows()
        chance.shuffle(rows)
        for work in rows:
            self.stage.run(self._do(work, is_struck=True))

    @rule(reader=member, number=which)
    def do_work_during_a_read(self, reader: int, number: int) -> None:
        self.asleep.discard(reader)
        rows = self.open_rows()
        if rows:

            async def interruption() -> None:
                await self._do(rows[number % len(rows)], is_struck=True)

            self.reading.interruption = interruption
            self.check(reader)

    @rule(reader=member)
    def scroll(self, reader: int) -> None:
        self.asleep.discard(reader)
        account_id = self.members[reader]
        true_home = self.world.true_home(account_id)
        if len(true_home) > 3:
            self._compare(account_id, Window(limit=2, max_id=true_home[1]), true_home[2:4])
            self._compare(account_id, Window(limit=2, min_id=true_home[3]), true_home[1:3])

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
        return [entry.entry_id for entry in self.stage.run(self.reading.page(account_id, page))]

    def open_rows(self) -> list[Work]:
        return self.world.open_work()

    async def _do(self, work: Work, is_struck: bool) -> None:
        if self.parts.strikes_before_work:
            self.world.strike(work)
            if not is_struck:
                return  # died in between
        await self.world.do(work)
        if is_struck:
            self.world.strike(work)

    def _are_blocked(self, left: int, right: int) -> bool:
        both = [left, right]
        return bool(
            self.world.query(
                "SELECT 1 FROM social_graph.blocks WHERE account_id = ANY(%s) AND target_id = ANY(%s)", both, both
            )
        )
