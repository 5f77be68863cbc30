"""Processes of their own that compute suggestions from a graph in files, as workers do: `python -m benchmarks.suggestion_workers`."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
import psutil

from benchmarks.child import write_answer
from services.social_graph.suggestions import (
    CsrGraph,
    Model,
    Prepared,
    cut_blocks,
    free_at_once,
    give_back,
    leave_out_blas,
    let_go,
    prepare,
    suggest_rows,
)

FIELDS = ("account_ids", "indptr", "indices", "degrees")
TIMEOUT_SECONDS = 600
SLICE_WEDGES = 2_000_000
"""About 2,000 members: as many as a worker of a network computes before it writes them."""
SLICES_PER_BLOCK = 50
"""After so many a worker of a network has done a block, and lets the mapped files out of its memory."""


@dataclass(frozen=True)
class Job:
    """What one process is to do: every `parts`-th block of the graph whose files are in a folder, from `part` on."""

    folder: str
    model: Model
    part: int
    parts: int


@dataclass(frozen=True)
class Worked:
    """What one process did."""

    members: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    """The most memory that it had, files' pages that it looked at included."""
    own_mb: float
    """What of that was its own alone at the end: not pages of the files, which all workers share."""


def save(prepared: Prepared, folder: Path) -> None:
    """Write a graph and what is computed once to files."""
    for name in FIELDS:
        np.save(folder / f"{name}.npy", getattr(prepared.graph, name))
    for name, array in prepared.arrays.items():
        np.save(folder / f"surroundings_{name}.npy", array)


def load(folder: Path, model: Model) -> Prepared:
    """Map the files of a graph into memory."""
    graph = CsrGraph.of(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in FIELDS))
    prefix = "surroundings_"
    arrays = {path.stem.removeprefix(prefix): np.load(path, mmap_mode="r") for path in folder.glob(f"{prefix}*.npy")}
    return Prepared(graph, model, arrays)


def work(job: Job) -> None:
    """Compute every `parts`-th block, and say what that took. Runs in a process of its own, which has nothing else in memory."""
    leave_out_blas()
    free_at_once()
    prepared = load(Path(job.folder), job.model)
    suggest_rows(prepared, 0, 1)  # loads the compiled code
    give_back()
    print("ready", flush=True)
    sys.stdin.readline()
    started, used, members = time.perf_counter(), time.process_time(), 0
    for number, (start, stop) in enumerate(cut_blocks(prepared, SLICE_WEDGES)[job.part :: job.parts], start=1):
        members += int((suggest_rows(prepared, start, stop).counts > 0).sum())
        if number % SLICES_PER_BLOCK == 0:
            prepared.graph.let_go()
            let_go(*prepared.arrays.values())
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - used
    own = psutil.Process().memory_full_info().uss / 1e6
    write_answer(Worked(members, seconds, cpu_seconds, peak_mb(), own))


def peak_mb(pid: int | str = "self") -> float:
    """Return the most memory that a process has had, in MB. Raises OSError where it is gone."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def run_workers(graph: CsrGraph, model: Model, folder: Path, workers: int) -> tuple[float, float, list[Worked]]:
    """Return the seconds of preparing and writing, those of computing everybody, and what each worker did."""
    started = time.perf_counter()
    save(prepare(graph, model), folder)
    prepared = time.perf_counter() - started
    jobs = [Job(str(folder), model, part, workers) for part in range(workers)]
    with ExitStack() as stack:
        children = [stack.enter_context(_child(job)) for job in jobs]
        for child in children:
            if _stdout(child).readline() != b"ready\n":
                raise RuntimeError("a worker did not come up")
        started = time.perf_counter()
        for child in children:
            _stdin(child).write(b"go\n")
            _stdin(child).flush()
        worked = [msgspec.json.decode(_stdout(child).read(), type=Worked) for child in children]
        seconds = time.perf_counter() - started
    return prepared, seconds, worked


@contextmanager
def _child(job: Job) -> Iterator[subprocess.Popen[bytes]]:
    """Start a worker's process and hand it its job; it does not outlive the block, nor TIMEOUT_SECONDS."""
    command = ["timeout", str(TIMEOUT_SECONDS), sys.executable, "-m", "benchmarks.suggestion_workers"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            _stdin(child).write(msgspec.json.encode(job) + b"\n")
            _stdin(child).flush()
            yield child
        finally:
            child.terminate()


def _stdin(child: subprocess.Popen[bytes]) -> IO[bytes]:
    assert child.stdin is not None
    return child.stdin


def _stdout(child: subprocess.Popen[bytes]) -> IO[bytes]:
    assert child.stdout is not None
    return child.stdout


if __name__ == "__main__":
    work(msgspec.json.decode(sys.stdin.readline(), type=Job))
