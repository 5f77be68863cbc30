"""What a load generator saw arrives whole."""

import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import IO

import msgspec
import pytest

NUMBERS = 1_000_000
"""As JSON far more than a pipe holds."""
PROGRAM = f"""
import signal
from benchmarks.child import write_answer
signal.signal(signal.SIGUSR1, lambda *_: None)
write_answer(list(range({NUMBERS})))
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_answer_is_whole_though_a_signal_comes_while_it_is_written(unbuffered: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env={**os.environ, "PYTHONUNBUFFERED": unbuffered}, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        wait_until_full(child.stdout, child)
        child.send_signal(signal.SIGUSR1)
        answer = child.stdout.read()
    assert child.returncode == 0
    assert msgspec.json.decode(answer) == list(range(NUMBERS))


def wait_until_full(pipe: IO[bytes], child: "subprocess.Popen[bytes]") -> None:
    waiting, before = 0, -1
    while waiting < 4096 or waiting != before:  # it grows no more
        assert child.poll() is None
        time.sleep(0.05)
        before = waiting
        [waiting] = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0\0\0\0"))
