"""Waiting for what starts: as long as it goes on, however slow the machine is, and with a line now and then that says for what."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import psutil

Say = Callable[[str], None]

STILL_SECONDS = 300.0
"""Without any progress: nothing is computed, written or answered that was not before."""
WORK_SECONDS = 600.0
"""Of processor time, over ten times what a whole network's start takes: it computes, and will not come up by computing."""
LOOK_SECONDS = 1.0
"""Between two looks, which cost processor time themselves."""
TELL_SECONDS = 30.0
"""Until it is first said that something takes long; each further pause is twice as long."""
COMPUTED_SECONDS = 5.0
"""Of processor time are progress. In STILL_SECONDS that is a sixtieth of a core: who gets less does not come up in a working day."""


class Waiting:
    """One wait for processes that start.

    Progress is that they compute, that their logs grow, or that what the caller sees of them is something else than before. `processes`
    gives the ids of those who are waited for; what they start counts as theirs.
    """

    def __init__(
        self,
        what: str,
        processes: Callable[[], Iterable[int]],
        *,
        logs: Iterable[Path] = (),
        say: Say = lambda _: None,
        still_seconds: float = STILL_SECONDS,
        work_seconds: float = WORK_SECONDS,
    ) -> None:
        self._what = what
        self._processes = processes
        self._logs = list(logs)
        self._say = say
        self._still_seconds = still_seconds
        self._work_seconds = work_seconds
        self._begun = self._progressed = time.monotonic()
        self._tell_at = self._begun + TELL_SECONDS
        self._look_at = self._begun
        self._used: dict[int, float] = {}
        self._counted = 0.0
        self._seen: object = None

    def is_over(self, seen: object = None, *, is_computing: bool = True) -> bool:
        """Whether waiting on is in vain.

        `seen` is what the caller sees of it, such as states and answers; `is_computing` says that what they compute brings them nearer: it
        does not once they answer.
        """
        now = time.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + LOOK_SECONDS
        self._measure()
        used, looks = sum(self._used.values()), (seen, [_size(log) for log in self._logs])
        if looks != self._seen or (is_computing and used > self._counted + COMPUTED_SECONDS):
            self._seen, self._counted, self._progressed = looks, used, now
        if now > self._tell_at:
            waited = now - self._begun
            self._say(f"Still waiting for {self._what}: {waited:.0f} s, {used:.0f} s of them computed …")
            self._tell_at = now + waited
        return now > self._progressed + self._still_seconds or used > self._work_seconds

    def why(self) -> str:
        """In words how long it was waited for."""
        return f"waited {time.monotonic() - self._begun:.0f} s, of which {sum(self._used.values()):.0f} s were computed"

    def _measure(self) -> None:
        """Note what each process, dead ones included, has used."""
        for pid in self._processes():
            with suppress(psutil.Error):
                leader = psutil.Process(pid)
                for process in (leader, *leader.children(recursive=True)):
                    with suppress(psutil.Error):
                        times = process.cpu_times()
                        self._used[process.pid] = times.user + times.system


def _size(log: Path) -> int:
    with suppress(OSError):
        return log.stat().st_size
    return 0
