"""One batch for what is asked at the same time: many concurrent `get(key)` become few `batch(keys)`.

A query for fifty members costs little more than one for one member. Nothing waits on purpose, but where it is told to: a batch begins
in the next turn of the event loop, and what is asked while batches run makes the next one.

Nothing is remembered. A key is never added to a batch that has begun: its answer could be older than the question, and whoever asks
after a commit has to see what it did.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from chassis.errors import Unavailable

MAX_WAITING = 4096
"""Keys in line; the next fails at once."""
BATCH_SECONDS = 30.0
ENOUGH = 64
"""Questions that make a batch which gains nothing from waiting for more."""

Key = TypeVar("Key")
Value = TypeVar("Value")
Id = TypeVar("Id", bound=Hashable)


@dataclass(eq=False, slots=True)
class _Waiting(Generic[Key, Value]):
    """Somebody who waits for one answer."""

    key: Key
    value: asyncio.Future[Value]

    def is_over(self) -> bool:
        """Tell whether nobody waits any more."""
        return self.value.done()

    def settle(self, answer: Value | Exception) -> None:
        """Hand the answer over."""
        if self.value.done():
            return
        if isinstance(answer, Exception):
            self.value.set_exception(answer)
        else:
            self.value.set_result(answer)


class _Several(Generic[Value]):
    """Somebody who waits for several answers: one future for all of them."""

    def __init__(self, size: int) -> None:
        self.answers: list[Value | Exception | None] = [None] * size
        self.missing = size
        self.value: asyncio.Future[None] = asyncio.get_running_loop().create_future()


@dataclass(eq=False, slots=True)
class _OneOfSeveral(Generic[Key, Value]):
    """One of the questions of somebody who waits for several answers."""

    key: Key
    asker: _Several[Value]
    number: int

    def is_over(self) -> bool:
        """Tell whether nobody waits any more."""
        return self.asker.value.done()

    def settle(self, answer: Value | Exception) -> None:
        """Hand the answer over."""
        self.asker.answers[self.number] = answer
        self.asker.missing -= 1
        if not self.asker.missing and not self.asker.value.done():
            self.asker.value.set_result(None)


_Question = _Waiting[Key, Value] | _OneOfSeveral[Key, Value]


class Coalescer(Generic[Key, Value]):
    """Turns concurrent questions into batches. Belongs to the event loop that uses it.

    `batch` is given questions in the order in which they were asked, never more than `max_batch`, and returns an answer for
    each, in the same order; an exception in the place of an answer fails that question alone. At most `max_running` batches run at once.

    What comes while a batch runs is gathered for `gathering_seconds`, or until it is ENOUGH: where everybody who has just had an answer
    asks again, each begins a batch of their own otherwise, which are more work than a few large ones. Where nothing runs, nothing waits.
    """

    def __init__(
        self,
        batch: Callable[[Sequence[Key]], Awaitable[Sequence[Value | Exception]]],
        *,
        max_batch: int = 200,
        max_running: int = 2,
        gathering_seconds: float = 0,
    ) -> None:
        self._batch = batch
        self._max_batch = max_batch
        self._max_running = max_running
        self._gathering_seconds = gathering_seconds
        self._line: deque[_Question[Key, Value]] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._is_called = False
        self._gathering: asyncio.TimerHandle | None = None
        self._has_gathered = False

    async def get(self, key: Key) -> Value:
        """Return the answer of a batch that begins after this call.

        Raises what `batch` raised or answered, and Unavailable where too many wait. Whoever is cancelled leaves the others' batch alone.
        """
        return await self.ask(key)

    def ask(self, key: Key) -> "asyncio.Future[Value]":
        """Return the same as a future, which is asked for at once."""
        waiting: _Waiting[Key, Value] = _Waiting(key, asyncio.get_running_loop().create_future())
        if len(self._line) >= MAX_WAITING:
            waiting.value.set_exception(Unavailable("The service is busy; please try again in a moment."))
            return waiting.value
        self._line.append(waiting)
        self._call_soon()
        return waiting.value

    async def get_all(self, keys: Sequence[Key]) -> list[Value | Exception]:
        """Return the answers to several questions, in their order: what `get` would return or raise for each."""
        if not keys:
            return []
        if len(self._line) + len(keys) > MAX_WAITING:
            return [Unavailable("The service is busy; please try again in a moment.") for _ in keys]
        asker = _Several[Value](len(keys))
        self._line.extend(_OneOfSeveral(key, asker, number) for number, key in enumerate(keys))
        self._call_soon()
        await asker.value
        return cast(list[Value | Exception], asker.answers)

    def _call_soon(self) -> None:
        if self._is_called or len(self._running) >= self._max_running:
            return
        # A context of its own: a batch has neither the deadline nor the caller of whoever happened to come first.
        loop, context = asyncio.get_running_loop(), contextvars.Context()
        if len(self._line) < ENOUGH and not self._has_gathered:
            if self._running and self._gathering_seconds and self._gathering is None:
                self._gathering = loop.call_later(self._gathering_seconds, self._begin, context=context)
            if self._gathering is not None:
                return
        self._is_called = True
        loop.call_soon(self._begin, context=context)

    def _begin(self) -> None:
        self._is_called = False
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        if len(self._running) >= self._max_running:
            self._has_gathered = True  # and goes as soon as there is room
            return
        self._has_gathered = False
        taken: list[_Question[Key, Value]] = []
        while self._line and len(taken) < self._max_batch:
            waiting = self._line.popleft()
            if not waiting.is_over():
                taken.append(waiting)
        if not taken:
            return
        task = asyncio.get_running_loop().create_task(self._run(taken))
        self._running.add(task)
        task.add_done_callback(self._end)
        if self._line:
            self._call_soon()

    def _end(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        if self._line:
            self._call_soon()

    async def _run(self, taken: Sequence[_Question[Key, Value]]) -> None:
        try:
            answers = await self._answers([waiting.key for waiting in taken])
        except BaseException:  # cancelled: nobody may wait for ever for what nobody does any more
            for waiting in taken:
                waiting.settle(Unavailable("The service is busy; please try again in a moment."))
            raise
        for waiting, answer in zip(taken, answers, strict=True):
            waiting.settle(answer)

    async def _answers(self, keys: Sequence[Key]) -> Sequence[Value | Exception]:
        try:
            async with asyncio.timeout(BATCH_SECONDS):
                answers = await self._batch(keys)
            if len(answers) != len(keys):
                raise RuntimeError(f"{len(keys)} questions had {len(answers)} answers")
        except TimeoutError:
            return [Unavailable("The service is busy; please try again in a moment.") for _ in keys]
        except Unavailable as error:
            return [error for _ in keys]
        except Exception as error:
            if len(keys) == 1:
                return [error]
            # One question must not fail the others: each is asked alone.
            alone = [await self._answers([key]) for key in keys]
            return [answer for [answer] in alone]
        return answers


class Loader(Generic[Id, Value]):
    """Loads rows by their ids, each once for all who ask for it at the same time.

    `load` is given distinct ids, never more than `max_ids`, and returns the rows that there are.
    """

    def __init__(
        self,
        load: Callable[[Sequence[Id]], Awaitable[Mapping[Id, Value]]],
        *,
        max_ids: int = 1000,
        max_running: int = 2,
    ) -> None:
        self._load = load
        self._max_ids = max_ids
        self._coalescer = Coalescer[Sequence[Id], dict[Id, Value]](self._batch, max_running=max_running)

    async def get(self, ids: Iterable[Id]) -> dict[Id, Value]:
        """Return the rows that there are, by their ids. Raises what `load` raises."""
        wanted = list(dict.fromkeys(ids))
        return await self._coalescer.get(wanted) if wanted else {}

    async def _batch(self, questions: Sequence[Sequence[Id]]) -> list[dict[Id, Value]]:
        wanted = list(dict.fromkeys(an_id for question in questions for an_id in question))
        parts = [wanted[first : first + self._max_ids] for first in range(0, len(wanted), self._max_ids)]
        found: dict[Id, Value] = {}
        for part in parts:
            found.update(await self._load(part))
        return [{an_id: found[an_id] for an_id in question if an_id in found} for question in questions]
