"""Starving processes of processor time, the same on every machine: all stopped for most of each tenth of a second."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

CYCLE_SECONDS = 0.1
LOOK_SECONDS = 1.0
"""Between two looks for processes that were started meanwhile: to look costs processor time, too."""


@contextmanager
def throttled(share: float) -> Iterator[None]:
    """Let all that this process starts have `share` of one core, until the block ends."""
    ended = threading.Event()
    thread = threading.Thread(target=_throttle, args=(share, ended))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _throttle(share: float, ended: threading.Event) -> None:
    core = psutil.Process().cpu_affinity()[:1]
    processes: list[psutil.Process] = []
    look_at = 0.0
    while not ended.wait(CYCLE_SECONDS * share):
        if time.monotonic() > look_at:
            processes, look_at = psutil.Process().children(recursive=True), time.monotonic() + LOOK_SECONDS
            for process in processes:
                with suppress(psutil.Error):
                    process.cpu_affinity(core)
        try:
            _send(processes, signal.SIGSTOP)
            ended.wait(CYCLE_SECONDS * (1 - share))
        finally:
            _send(processes, signal.SIGCONT)


def _send(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)
