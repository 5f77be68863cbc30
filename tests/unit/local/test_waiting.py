"""When waiting is in vain, and when it is not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local import waiting
from deploy.local.waiting import Waiting

BUSY = "while True: pass"
IDLE = "import time; time.sleep(3600)"
BEGINS_ANEW = "import subprocess, sys\nwhile True: subprocess.run([sys.executable, '-c', 'sum(range(10**7))'])"


@contextmanager
def process(program: str) -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", program]) as child:
        try:
            yield child.pid
        finally:
            child.kill()


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(waiting, "COMPUTED_SECONDS", 0.1)


def ends(wait: Waiting) -> None:
    """It does end, sooner or later."""
    while not wait.is_over():
        time.sleep(0.05)


@pytest.mark.parametrize("program", [BUSY, BEGINS_ANEW])
def test_what_computes_is_waited_for_until_it_has_computed_too_much(program: str) -> None:
    with process(program) as pid:
        wait = Waiting("it", lambda: [pid], still_seconds=3600, work_seconds=2)
        ends(wait)
        assert "2 s were computed" in wait.why() or "3 s were computed" in wait.why()


def test_what_does_nothing_is_not_waited_for() -> None:
    with process(IDLE) as pid:
        ends(Waiting("it", lambda: [pid], still_seconds=1, work_seconds=3600))


def test_what_computes_no_longer_brings_it_nearer() -> None:
    with process(BUSY) as pid:
        wait = Waiting("it", lambda: [pid], still_seconds=1, work_seconds=3600)
        while not wait.is_over("503", is_computing=False):
            time.sleep(0.05)


def test_logs_and_answers_are_progress(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with process(IDLE) as pid:
        wait = Waiting("it", lambda: [pid], logs=[log], still_seconds=1, work_seconds=3600)
        begun = time.monotonic()
        with log.open("a") as writing:
            while time.monotonic() < begun + 2:
                writing.write("one more line\n")
                writing.flush()
                assert not wait.is_over()
        while time.monotonic() < begun + 4:
            assert not wait.is_over(os.urandom(8))
        ends(wait)


def test_it_is_said_for_what_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "TELL_SECONDS", 0.1)
    said: list[str] = []
    with process(IDLE) as pid:
        ends(Waiting("the network", lambda: [pid], say=said.append, still_seconds=2, work_seconds=3600))
    assert all("Still waiting for the network" in line for line in said)
    assert 1 <= len(said) <= 6  # each pause is twice as long
