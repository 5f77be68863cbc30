"""`kodama` interrupted at every step: `python -m tests.integration.cli.interrupted EACH ARGUMENT…` prints a JSON line per run.

A step is a line of code that the main thread comes to for the first time. Ctrl-C comes at every so manieth (EACH), and at each in a
callback whose exceptions are forgotten. Each run is a fork of this process, which has imported the command and done nothing yet.
"""

import json
import os
import select
import signal
import sys
import time
from types import FrameType
from typing import Any

from services.cli.__main__ import main

SECONDS = 120
"""Without a word. A command that was interrupted ends at once, however busy the machine."""
QUIET_SECONDS = 3
"""Without a new line, while others come again and again: it does nothing new any more."""
FORGETFUL = ("cb", "__del__", "_remove", "remove")


class Tracer:
    """Sends this process SIGINT when it comes to its n-th new line; 0: when it comes to none any more. Then tells of all steps."""

    def __init__(self, at: int, tell: int) -> None:
        self._at = at
        self._tell = tell
        self._steps: list[str] = []
        self._known: set[tuple[object, int]] = set()
        self._latest = time.monotonic()

    def __call__(self, frame: FrameType, event: str, _: object) -> Any:
        """Trace a frame."""
        if event == "line":
            place = frame.f_code, frame.f_lineno
            if place not in self._known:
                self._known.add(place)
                self._steps.append(frame.f_code.co_name)
                self._latest = time.monotonic()
            is_quiet = not self._at and time.monotonic() > self._latest + QUIET_SECONDS
            if is_quiet or (self._at and len(self._steps) == self._at):
                sys.settrace(None)
                os.write(self._tell, json.dumps([f"{frame.f_code.co_filename}:{frame.f_lineno}", self._steps]).encode())
                os.close(self._tell)
                signal.raise_signal(signal.SIGINT)
        return self


def run(at: int) -> tuple[str, list[str], int | None, str]:
    """Run the command; return where it was interrupted, the steps until then, its exit code (None: it did not end), what it said."""
    told, telling = os.pipe()
    said, saying = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(saying, 1)
        os.dup2(saying, 2)
        for each in (told, said, saying):
            os.close(each)
        sys.settrace(Tracer(at, telling))
        main()
        sys.exit()
    os.close(telling)
    os.close(saying)
    with os.fdopen(told) as report:
        where, steps = json.loads(report.read() or '["", []]')
    output, has_ended = b"", False
    while not has_ended and select.select([said], [], [], SECONDS)[0]:
        piece = os.read(said, 65536)
        output, has_ended = output + piece, not piece
    os.close(said)
    if not has_ended:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return where, steps, os.waitstatus_to_exitcode(status) if has_ended else None, output.decode()


def say(*facts: object) -> None:
    """Print a line."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    each = int(sys.argv[1])
    sys.argv[1:2] = []
    where, steps, code, said = run(0)
    say(len(steps), where, code, said)
    for step, name in enumerate(steps, start=1):
        if step % each == 0 or name in FORGETFUL:
            where, _, code, said = run(step)
            say(step, where, code, said)
