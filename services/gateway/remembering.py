"""Answers that are remembered for a moment, in one process."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Remembered(Generic[Key, Value]):
    """The answers to the last questions, each for so many seconds after it was asked, and no more of them than `size`.

    Own code, because a look has to cost far less than what it saves: twenty are made for each page of a home timeline.
    """

    def __init__(self, seconds: float, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._size = size
        self._clock = clock
        self._known: OrderedDict[Key, tuple[float, Value | None]] = OrderedDict()

    def now(self) -> float:
        """Return the moment to hand to `keep` with what is asked for from now on."""
        return self._clock()

    def find(self, key: Key, now: float) -> Value | None:
        """Return an answer that is remembered at this moment."""
        known = self._known.get(key)
        return known[1] if known is not None and known[0] > now else None

    def keep(self, key: Key, value: Value, asked_at: float) -> None:
        """Remember an answer, counted from before the question: so what has changed since is known in time."""
        known = self._known.get(key)
        if known is not None and known[1] is None and known[0] > self._clock():
            return  # has just been forgotten, and the question may be older
        self._put(key, value, asked_at)

    def forget(self, key: Key) -> None:
        """Have it asked for anew from now on; nothing is remembered of it for as long as an answer would be."""
        self._put(key, None, self._clock())

    def _put(self, key: Key, value: Value | None, at: float) -> None:
        self._known.pop(key, None)
        self._known[key] = (at + self._seconds, value)
        while len(self._known) > self._size:
            self._known.popitem(last=False)
