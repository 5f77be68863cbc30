"""One batch for what is asked at the same time: many concurrent `get(key)` become few `batch(keys)`.

A query for fifty members costs little more than one for one member. Nothing waits on purpose: a batch begins in the next turn of the
event loop, and what is asked while batches run makes the next one.

Nothing is remembered. A key is never added to a batch that has begun: its answer could be older than the question, and whoever asks
after a commit has to see what it did.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from chassis.errors import Unavailable

MAX_WAITING = 4096
"""Keys in line; the next fails at once."""
BATCH_SECONDS = 30.0

Key = TypeVar("Key")
Value = TypeVar("Value")
Id = TypeVar("Id", bound=Hashable)


@dataclass(eq=False, slots=True)
class _Waiting(Generic[Key, Value]):
    key: Key
    value: asyncio.Future[Value]


class Coalescer(Generic[Key, Value]):
    """Turns concurrent questions into batches. Belongs to the event loop that uses it.

    `batch` is given questions in the order in which they were asked, never more than `max_batch`, and returns an answer for
    each, in the same order; an exception in the place of an answer fails that question alone. At most `max_running` batches run at once.
    """

    def __init__(
        self,
        batch: Callable[[Sequence[Key]], Awaitable[Sequence[Value | Exception]]],
        *,
        max_batch: int = 200,
        max_running: int = 2,
    ) -> None:
        self._batch = batch
        self._max_batch = max_batch
        self._max_running = max_running
        self._line: deque[_Waiting[Key, Value]] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._is_called = False

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

    def _call_soon(self) -> None:
        if not self._is_called and len(self._running) < self._max_running:
            self._is_called = True
            # A context of its own: a batch has neither the deadline nor the caller of whoever happened to come first.
            asyncio.get_running_loop().call_soon(self._begin, context=contextvars.Context())

    def _begin(self) -> None:
        self._is_called = False
        taken: list[_Waiting[Key, Value]] = []
        while self._line and len(taken) < self._max_batch:
            waiting = self._line.popleft()
            if not waiting.value.done():  # else nobody waits any more
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

    async def _run(self, taken: Sequence[_Waiting[Key, Value]]) -> None:
        for waiting, answer in zip(taken, await self._answers(taken), strict=True):
            if waiting.value.done():
                continue
            if isinstance(answer, Exception):
                waiting.value.set_exception(answer)
            else:
                waiting.value.set_result(answer)

    async def _answers(self, taken: Sequence[_Waiting[Key, Value]]) -> Sequence[Value | Exception]:
        try:
            async with asyncio.timeout(BATCH_SECONDS):
                answers = await self._batch([waiting.key for waiting in taken])
            if len(answers) != len(taken):
                raise RuntimeError(f"{len(taken)} questions had {len(answers)} answers")
        except TimeoutError:
            return [Unavailable("The service is busy; please try again in a moment.") for _ in taken]
        except Unavailable as error:
            return [error for _ in taken]
        except Exception as error:
            if len(taken) == 1:
                return [error]
            # One question must not fail the others: each is asked alone.
            alone = [await self._answers([waiting]) for waiting in taken]
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
