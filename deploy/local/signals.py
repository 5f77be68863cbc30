"""Ctrl-C and SIGTERM: the first one interrupts, later ones make the stop quicker."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """The user asked to stop. Not an Exception, so that no handler of errors on the way up takes it for one.

    A KeyboardInterrupt, since an event loop logs any other that comes in one of its callbacks, and goes on.
    """


@dataclass
class Interruption:
    """How often the user has asked to stop."""

    count: int = 0
    armed: bool = True  # whether the first request raises
    _is_disarmed: bool = False

    def hurry(self) -> bool:
        """Whether the user has asked again while everything is being stopped."""
        return self.count > 1

    def check(self) -> None:
        """Raise Interrupted where the user has asked, and what was running then forgot it, as a finalizer does."""
        if self.count and not self._is_disarmed:
            raise Interrupted

    def disarm(self) -> None:
        """From now on requests are only counted: the stop has begun and must not be torn apart."""
        self.armed = False
        self._is_disarmed = True

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.armed:
            self.armed = False
            raise Interrupted


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Turn SIGINT, SIGTERM and SIGHUP into `Interrupted` within the `with` block; main thread only."""
    interruption = Interruption()
    before = {number: signal.signal(number, interruption._handle) for number in WATCHED}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
