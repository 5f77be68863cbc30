"""An event loop that does nothing by itself: somebody says which of the things that are ready goes on next, and what time it is."""

import asyncio
import heapq
from collections.abc import Callable
from typing import Any


class Clock:
    """The only clock there is, in milliseconds."""

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def time(self) -> float:
        """Return seconds, as `time.time` and `time.monotonic` do."""
        return self.ms / 1000

    monotonic = time


class SteppedLoop(asyncio.AbstractEventLoop):
    """Just as much of an event loop as tasks, futures, gather, timeouts and locks need."""

    def __init__(self, clock: Clock) -> None:
        self.ready: list[asyncio.Handle] = []
        self.failures: list[BaseException] = []
        self._clock = clock
        self._timers: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        return self._clock.time()

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_soon(  # type: ignore[override]  # says less about callbacks' arguments
        self, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self.ready.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, timer)
        return timer

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are passed over when their time has come."""

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: object = None, context: Any = None) -> "asyncio.Task[Any]":
        return asyncio.Task(coro, loop=self)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), Exception):
            self.failures.append(context["exception"])

    def step(self, number: int) -> None:
        """Let one of those that are ready go on."""
        handle = self.ready.pop(number)
        if not handle.cancelled():
            handle._run()

    def ring_timers(self) -> None:
        """Make ready whose time has come."""
        while self._timers and self._timers[0].when() <= self.time():
            timer = heapq.heappop(self._timers)
            if not timer.cancelled():
                self.ready.append(timer)
