"""Ctrl-C, in one way for all commands: what waits is cancelled, and the exit code is 130.

Python's own way is an exception wherever the main thread happens to be. Where that is a callback of a weak reference, as imports have,
or a finalizer, the exception is printed and forgotten, and the command goes on for ever; so it is remembered here, too.
"""

import asyncio
import signal
from collections.abc import Coroutine
from types import FrameType
from typing import Any, NoReturn, TypeVar

Result = TypeVar("Result")
EXIT_CODE = 128 + signal.SIGINT


class _Interruption:
    """Whether Ctrl-C has come."""

    has_come = False

    def handle(self, _number: int, _frame: FrameType | None) -> NoReturn:
        self.has_come = True
        raise KeyboardInterrupt


_interruption = _Interruption()


def listen() -> None:
    """Remember Ctrl-C from now on. It stays ignored where it is, as in what a shell's script has started in the background."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interruption.handle)


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in an event loop of its own; Ctrl-C, now or before, cancels it. Raises KeyboardInterrupt then."""
    if signal.getsignal(signal.SIGINT) != _interruption.handle:
        return asyncio.run(work)  # somebody else listens, or this is not a process of its own
    try:
        return asyncio.run(_cancellable(work))
    except asyncio.CancelledError:
        if _interruption.has_come:
            raise KeyboardInterrupt from None
        raise
    finally:
        work.close()  # it may not have begun


async def _cancellable(work: Coroutine[Any, Any, Result]) -> Result:
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)

    def cancel() -> None:
        _interruption.has_come = True
        task.cancel()

    loop.add_signal_handler(signal.SIGINT, cancel)
    try:
        if _interruption.has_come:
            task.cancel()
        return await task
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        listen()
