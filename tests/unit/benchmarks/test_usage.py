"""Processors' time is told of the part that used it, also where the process that did lives on and does not say whose it is."""

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from benchmarks.usage import is_helper, usage_of

POOL = """
import importlib, sys
context = importlib.import_module(sys.argv[1]).get_context("spawn")
with context.Pool(1) as pool:
    pool.apply(sum, (range(20_000_000),))
    print("worked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["billiard", "multiprocessing"])
def worker(request: pytest.FixtureRequest) -> Iterator[psutil.Process]:
    """A process with a worker's command line that has had a process of its pool work, and both still live."""
    command = [sys.executable, "-c", POOL, request.param, "services.cli", "worker", "suggestions"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"worked\n"
        yield psutil.Process(process.pid)
        process.communicate(timeout=30)


def test_what_the_processes_of_a_pool_use_is_their_workers(worker: psutil.Process) -> None:
    children = worker.children(recursive=True)
    assert any(is_helper(child.cmdline()) for child in children)
    used = sum(child.cpu_times().user for child in children)
    assert used >= 0.05
    found = usage_of([*children, worker, worker])
    assert list(found) == ["worker suggestions"]
    assert found["worker suggestions"].processes == 1 + len(children)
    own = worker.cpu_times()
    assert found["worker suggestions"].cpu_seconds >= used + own.user + own.children_user - 0.02


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["python", "-B", "-c", "from billiard.spawn import spawn_main; spawn_main(1)", "--billiard-fork"], True),
        (["python", "-c", "from multiprocessing.resource_tracker import main;main(4)"], True),
        (["python", "-m", "services.cli", "worker", "suggestions"], False),
        ([], False),
    ],
)
def test_what_is_a_helper(command: list[str], expected: bool) -> None:
    assert is_helper(command) is expected
