"""Load shedding, in a time of its own: nothing here waits for a clock."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.errors import Unavailable
from services.gateway.adaptive_limit import FEWEST, MOST, TARGET_AGE_SECONDS, USUAL, AdaptiveLimit
from services.gateway.shedding import SHARES, TICK_SECONDS, Shedder, Ticket, Urgency


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def make_shedder(clock: Callable[[], float], *, is_on: bool = True) -> Shedder:
    return Shedder(is_on=is_on, clock=clock, call_later=lambda *_: None)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("age", "end"), [(TARGET_AGE_SECONDS * 3, FEWEST), (TARGET_AGE_SECONDS / 3, MOST)])
def test_a_limit_follows_the_age_of_what_is_worked_on(age: float, end: int) -> None:
    limit = AdaptiveLimit()
    for _ in range(100):
        before = limit.value
        limit.note(FEWEST, age)
        limit.adjust(has_anybody_waited=True)
        assert (limit.value - before) * (end - USUAL) >= 0, "away from where it belongs"
    assert limit.value == end
    for _ in range(100):
        limit.adjust(has_anybody_waited=False)
    assert limit.value == USUAL
    assert limit.is_usual


async def test_who_waits_is_let_in_by_urgency_and_then_by_turn() -> None:
    clock = Clock()
    shedder = make_shedder(clock)
    tickets = [await shedder.enter(Urgency.FOREGROUND) for _ in range(USUAL)]
    order: list[str] = []

    async def wait(name: str, urgency: Urgency) -> None:
        ticket = await shedder.enter(urgency)
        order.append(name)
        await settle()
        shedder.leave(ticket)

    kinds = {"b1": Urgency.BACKGROUND, "f1": Urgency.FOREGROUND, "b2": Urgency.BACKGROUND, "f2": Urgency.FOREGROUND}
    waiting = [asyncio.create_task(wait(name, urgency)) for name, urgency in kinds.items()]
    await settle()
    assert shedder.waiting == 4
    assert not order
    for ticket in tickets:
        shedder.leave(ticket)
        await settle()
    await asyncio.gather(*waiting)
    assert order == ["f1", "f2", "b1", "b2"]
    assert shedder.inside == shedder.waiting == 0


async def test_what_can_wait_never_takes_all_places() -> None:
    shedder = make_shedder(Clock())
    for _ in range(int(USUAL * SHARES[Urgency.BACKGROUND])):
        assert shedder.try_enter(Urgency.BACKGROUND) is not None
    assert shedder.try_enter(Urgency.BACKGROUND) is None
    assert shedder.try_enter(Urgency.FOREGROUND) is not None


async def test_who_has_gone_takes_no_place() -> None:
    shedder = make_shedder(Clock())
    tickets = [await shedder.enter(Urgency.FOREGROUND) for _ in range(USUAL)]
    first, second = (asyncio.create_task(shedder.enter(Urgency.FOREGROUND)) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    shedder.leave(tickets.pop())
    assert await second == 0.0
    third = asyncio.create_task(shedder.enter(Urgency.FOREGROUND))
    await settle()
    shedder.leave(tickets.pop())
    third.cancel()  # in the same moment in which there is a place
    await settle()
    assert third.cancelled()
    assert shedder.inside == USUAL - 1


async def test_nobody_is_refused_where_it_is_off() -> None:
    shedder = make_shedder(Clock(), is_on=False)
    for _ in range(MOST * 3):
        assert shedder.try_enter(Urgency.BACKGROUND) is not None
    assert not shedder.is_closed()


@dataclass(eq=False)
class Job:
    """A request to the pretended server, and what became of it."""

    arrived: float
    left: float
    ended: float = -1.0
    refused: float = -1.0


@dataclass
class Pretended:
    """A server that shares its time among all that it works on, behind a shedder; in steps of 5 ms."""

    per_second: float
    clock: Clock = field(default_factory=Clock)
    jobs: list[Job] = field(default_factory=list)
    running: dict[Job, Ticket] = field(default_factory=dict)
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.shedder = make_shedder(self.clock)
        self._next_tick = 0.0
        self._due = 0.0

    async def run(self, seconds: float, arrivals_per_second: float) -> list[Job]:
        """Let so many arrive, and return them."""
        first, end = len(self.jobs), self.clock.now + seconds
        self._due = max(self._due, self.clock.now)
        while self.clock.now < end:
            self.clock.now += 0.005
            while self._due <= self.clock.now:
                job = Job(self._due, 1 / self.per_second)
                self.jobs.append(job)
                task = asyncio.create_task(self._ask(job))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
                self._due += 1 / arrivals_per_second
            if self.clock.now >= self._next_tick:
                self.shedder.tick()
                self._next_tick = self.clock.now + TICK_SECONDS
            self._work(0.005)
            await settle()
        return self.jobs[first:]

    async def _ask(self, job: Job) -> None:
        try:
            self.running[job] = await self.shedder.enter(Urgency.FOREGROUND)
        except Unavailable:
            job.refused = self.clock.now

    def _work(self, seconds: float) -> None:
        while self.running and seconds > 0:
            share = min(min(job.left for job in self.running), seconds / len(self.running))
            seconds -= share * len(self.running)
            for job in list(self.running):
                job.left -= share
                if job.left <= 1e-9:
                    job.ended = self.clock.now
                    self.shedder.leave(self.running.pop(job))


@pytest.mark.parametrize("per_second", [100, 400, 2000])
@pytest.mark.parametrize("load", [1.5, 4.0])
async def test_beyond_what_can_be_done_as_much_is_done_and_soon(per_second: int, load: float) -> None:
    server = Pretended(per_second)
    calm = await server.run(1, per_second * 0.5)
    assert all(job.refused < 0 for job in calm)
    onset = await server.run(4, per_second * load)
    rush = await server.run(4, per_second * load)
    done = [job for job in rush if job.ended >= 0]
    assert len(done) >= 0.9 * 4 * per_second - FEWEST, "what can be done is done"
    assert max(job.ended - job.arrived for job in done) <= 1, "and soon"
    assert max(job.refused - job.arrived for job in rush if job.refused >= 0) <= 0.11, "a no is said at once"
    assert max(job.refused - job.arrived for job in onset if job.refused >= 0) <= 0.3
    await server.run(2, per_second * 0.5)
    after = await server.run(2, per_second * 0.5)
    assert all(job.refused < 0 for job in after), "and then life is as it was"
    await server.run(1, 1)
    assert server.shedder.waiting == 0
    assert server.shedder.limit >= USUAL


async def test_a_burst_is_let_in() -> None:
    server = Pretended(1000)
    for _ in range(5):
        burst = [await server.run(0.01, 10_000), await server.run(1, 20)]
        assert all(job.refused < 0 for jobs in burst for job in jobs), "it is over before anybody would be tired of it"


async def test_what_stands_still_refuses_and_comes_back() -> None:
    server = Pretended(400)
    await server.run(1, 200)
    server.per_second = 1e-6
    still = await server.run(3, 400)
    assert any(job.refused >= 0 for job in still)
    for job in server.jobs:
        job.left = min(job.left, 1 / 400)
    server.per_second = 400
    await server.run(2, 200)
    after = await server.run(2, 200)
    assert all(job.refused < 0 for job in after)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.sampled_from(Urgency)),
        st.tuples(st.just("leave"), st.integers(0, 400)),
        st.tuples(st.just("hang up"), st.integers(0, 400)),
        st.tuples(st.just("pass"), st.sampled_from([0.01, 0.05, 0.3, 1.5])),
        st.tuples(st.just("crowd"), st.integers(1, 150)),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=50)
@given(ACTIONS)
def test_whatever_happens_places_are_neither_lost_nor_made(actions: list[tuple[str, float]]) -> None:
    asyncio.run(_live(actions))


async def _live(actions: list[tuple[str, float]]) -> None:
    life = Life()
    for action, value in actions:
        life.do(action, value)
        await life.look()
    while life.held or life.waiting:
        life.go_on()
        await life.look()
    assert life.shedder.inside == life.shedder.waiting == 0
    assert life.shedder.try_enter(Urgency.BACKGROUND) is not None


class Life:
    """Whoever comes, waits, is worked on and goes."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.shedder = make_shedder(self.clock)
        self.waiting: list[asyncio.Task[Ticket]] = []
        self.held: list[Ticket] = []

    def do(self, action: str, value: float) -> None:
        if action == "enter":
            self.waiting.append(asyncio.create_task(self.shedder.enter(Urgency(int(value)))))
        elif action == "crowd":
            self.waiting += [asyncio.create_task(self.shedder.enter(Urgency.FOREGROUND)) for _ in range(int(value))]
        elif action == "leave" and self.held:
            self.shedder.leave(self.held.pop(int(value) % len(self.held)))
        elif action == "hang up" and self.waiting:
            self.waiting[int(value) % len(self.waiting)].cancel()
        elif action == "pass":
            self.clock.now += value
            self.shedder.tick()

    def go_on(self) -> None:
        for ticket in self.held:
            self.shedder.leave(ticket)
        self.held.clear()
        self.clock.now += 1
        self.shedder.tick()

    async def look(self) -> None:
        await settle()
        for task in [task for task in self.waiting if task.done()]:
            self.waiting.remove(task)
            if not task.cancelled() and task.exception() is None:
                self.held.append(task.result())
        assert self.shedder.inside == len(self.held)
        assert self.shedder.waiting >= len(self.waiting)
