"""Processes of their own that compute suggestions from a graph in files, as the workers of a network do."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import psutil

from services.social_graph.suggestions import CsrGraph, Model, Prepared, cut_blocks, prepare, suggest_rows

FIELDS = ("account_ids", "indptr", "indices", "degrees")
TIMEOUT_SECONDS = 600
SLICE_WEDGES = 2_000_000
"""About 2,000 members: as many as a worker of a network computes before it writes them."""


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


def work(folder: Path, model: Model, part: int, parts: int, connection: Connection) -> None:
    """Compute every `parts`-th block, and say what that took. Runs in a process of its own."""
    prepared = load(folder, model)
    suggest_rows(prepared, 0, 1)  # loads the compiled code
    connection.send("ready")
    connection.recv()
    started, used, members = time.perf_counter(), time.process_time(), 0
    for start, stop in cut_blocks(prepared, SLICE_WEDGES)[part::parts]:
        members += int((suggest_rows(prepared, start, stop).counts > 0).sum())
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - used
    own = psutil.Process().memory_full_info().uss / 1e6
    connection.send(Worked(members, seconds, cpu_seconds, peak_mb(), own))


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
    context = get_context("spawn")
    pipes = [context.Pipe() for _ in range(workers)]
    processes = [
        context.Process(target=work, args=(folder, model, part, workers, theirs), daemon=True)
        for part, (_, theirs) in enumerate(pipes)
    ]
    for process in processes:
        process.start()
    ours = [connection for connection, _ in pipes]
    try:
        list(_answers(ours))
        started = time.perf_counter()
        for connection in ours:
            connection.send("go")
        worked = [answer for answer in _answers(ours) if isinstance(answer, Worked)]
        seconds = time.perf_counter() - started
    finally:
        for process in processes:
            process.join(5)
            process.kill()
    return prepared, seconds, worked


def _answers(connections: list[Connection]) -> Iterator[object]:
    for connection in connections:
        if not connection.poll(TIMEOUT_SECONDS):
            raise TimeoutError("a worker did not answer")
        yield connection.recv()
