"""Load generators are processes of their own: a job on standard input, what they saw on standard output, both as JSON."""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import TypeVar

import msgspec

Job = TypeVar("Job")


def run_child(module: str, job: bytes, *, seconds: float, environment: Mapping[str, str] | None = None) -> bytes:
    """Run a load generator with its job on standard input; return its standard output.

    Raises CalledProcessError with what it said, or TimeoutExpired after `seconds`, when it has been killed.
    """
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=job,
        stdout=subprocess.PIPE,
        env=dict(os.environ if environment is None else environment),
        timeout=seconds,
        check=True,
    )
    return done.stdout


def read_job(kind: type[Job]) -> Job:
    """Return the job of this process. Raises msgspec.DecodeError for what is none."""
    return msgspec.json.decode(sys.stdin.buffer.read(), type=kind)


def write_answer(answer: object) -> None:
    """Write what this process saw, all of it.

    With PYTHONUNBUFFERED sys.stdout's buffer is the file itself, whose write() may stop anywhere, as where a signal comes while the
    pipe is full, and says so only by its result: half of an answer, and exit code 0.
    """
    with open(sys.stdout.fileno(), "wb", closefd=False) as output:
        output.write(msgspec.json.encode(answer))
