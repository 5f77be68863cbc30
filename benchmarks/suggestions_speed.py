"""How fast suggestions are computed: the kernel beside a networkx loop and sparse_dot_topn, whole runs, and single changes."""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import networkx as nx
import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.figures import percentile
from benchmarks.report import console, host_facts, write_json
from benchmarks.suggestion_loops import SparseTopN, loop_over, network_around, same
from benchmarks.suggestion_networks import make_network
from benchmarks.suggestion_workers import Worked, run_workers
from benchmarks.suggestions_plot import draw
from services.social_graph.suggestions import (
    CsrGraph,
    Model,
    Prepared,
    prepare,
    suggest_around,
    suggest_members,
    suggest_rows,
    tune,
)

SIZES = ((10_000, 22), (10_000, 100), (100_000, 22), (1_000_000, 22))
THREADS = 2
BEST = 20
"""Of everybody's strangers, exact, by resource allocation: what all three compute."""
KERNEL_WEDGES = 60_000_000
SPARSE_WEDGES = 30_000_000
"""Each computes members from all over the network, until they had so many wedges, in blocks of so many:"""
KERNEL_BLOCK = 2_000_000
SPARSE_BLOCK = 10_000_000
LOOP_MEMBERS = 300
"""Whom the loop is measured on, at random."""
WHOLE_LOOP = 200_000
"""Up to so many members, the loop has the whole network; above, only what it reads of it, which is to its advantage."""
REPEATS = 3
"""The fastest of so many is taken, for each of the three, in turn."""
EVENTS = 300
Block = tuple[int, int]


@dataclass(frozen=True)
class Point:
    """One size."""

    members: int
    friends: int
    friendships: int
    wedges_per_member: float
    kernel_per_second: float
    sparse_per_second: float
    loop_per_second: float
    kernel_per_core: float
    """Members per second of one processor's time, whatever else the machine does; so the next two."""
    sparse_per_core: float
    loop_per_core: float
    nanoseconds_per_wedge: float
    """Of one processor's time."""

    @property
    def over_loop(self) -> float:
        """How many times as fast as the loop, which has one thread."""
        return self.kernel_per_second / self.loop_per_second

    @property
    def over_sparse(self) -> float:
        """How many times as fast as sparse_dot_topn."""
        return self.kernel_per_second / self.sparse_per_second


@dataclass(frozen=True)
class Run:
    """Everybody's 50 best, re-ranked, with three mutual friends each, by processes over mapped files."""

    members: int
    friends: int
    tuning_seconds: float
    preparing_seconds: float
    computing_seconds: float
    workers: list[Worked]


def wedges_of(graph: CsrGraph) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the friends of friends of each row, once per path."""
    reach = np.concatenate(([0], np.cumsum(graph.degrees[graph.indices], dtype=np.int64)))
    return np.asarray(reach[graph.indptr[1:]] - reach[graph.indptr[:-1]])


def measure(members: int, friends: int) -> tuple[Prepared, Point]:
    """Measure the three on one network, in turn. Raises RuntimeError where they do not find the same."""
    graph = make_network(members, friends)
    wedges = wedges_of(graph)
    prepared = prepare(graph, Model.default())
    chance = np.random.default_rng(1)
    blocks = choose_blocks(wedges[prepared.layout.order], KERNEL_BLOCK, KERNEL_WEDGES, chance)
    others = choose_blocks(wedges, SPARSE_BLOCK, SPARSE_WEDGES, chance)
    sparse = SparseTopN(graph)
    looped = np.sort(chance.permutation(len(graph))[:LOOP_MEMBERS])
    network = network_around(graph, looped if len(graph) > WHOLE_LOOP else None)
    check(prepared, sparse, network, looped)
    works: tuple[Callable[[], Any], ...] = (
        lambda: _on_threads(prepared, blocks),
        lambda: [sparse.best(*block, BEST, THREADS) for block in others],
        lambda: loop_over(network, looped.tolist(), BEST),
    )
    times = np.array([[_timed(work) for work in works] for _ in range(REPEATS)]).min(axis=0)
    rates = np.array([count_rows(blocks), count_rows(others), len(looped)])[:, None] / times
    kernel, sparse_topn, loop = rates.tolist()
    computed = sum(int(wedges[prepared.layout.order[start:stop]].sum()) for start, stop in blocks)
    return prepared, Point(
        members=len(graph),
        friends=friends,
        friendships=graph.edge_count,
        wedges_per_member=float(wedges.mean()),
        kernel_per_second=kernel[0],
        sparse_per_second=sparse_topn[0],
        loop_per_second=loop[0],
        kernel_per_core=kernel[1],
        sparse_per_core=sparse_topn[1],
        loop_per_core=loop[1],
        nanoseconds_per_wedge=float(times[0, 1] / computed * 1e9),
    )


def check(prepared: Prepared, sparse: SparseTopN, network: "nx.Graph[int]", looped: NDArray[np.int64]) -> None:
    """Raise RuntimeError where the three do not find the same."""
    around = suggest_members(prepared, looped, k=BEST, samples=0).scores
    if not same(loop_over(network, looped.tolist(), BEST), looped.tolist(), around):
        raise RuntimeError("the loop and the kernel do not find the same")
    row = int(looped[0])
    found = sparse.best(row, row + 1, BEST, 1).data
    if not np.allclose(found, around[0, : len(found)], rtol=1e-3):
        raise RuntimeError("sparse_dot_topn and the kernel do not find the same")


def choose_blocks(wedges: NDArray[np.int64], block: int, most: int, chance: np.random.Generator) -> list[Block]:
    """Return ranges of so many wedges from all over the network, chosen at random, that together have at most about so many."""
    reached = np.cumsum(wedges)
    starts = np.concatenate(([0], np.flatnonzero(np.diff(reached // block)) + 1, [len(wedges)]))
    blocks = list(pairwise(starts.tolist()))
    return [blocks[i] for i in chance.permutation(len(blocks))[: max(1, most // block)].tolist()]


def count_rows(blocks: list[Block]) -> int:
    """Return how many members there are in some ranges."""
    return sum(stop - start for start, stop in blocks)


def _on_threads(prepared: Prepared, blocks: list[Block]) -> None:
    """Compute blocks on threads: compiled code does not hold the interpreter's lock."""
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda block: suggest_rows(prepared, *block, k=BEST, samples=0), blocks))


def _timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Return the seconds that some work took, and those of processors that it used."""
    started, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - used


def run_all(graph: CsrGraph, friends: int) -> Run:
    """Tune, prepare and compute everything for everybody."""
    tuning = tune(graph, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        preparing, computing, worked = run_workers(graph, tuning.model, Path(folder), THREADS)
    return Run(sum(each.members for each in worked), friends, tuning.seconds, preparing, computing, worked)


def measure_events(friends: int = 100) -> dict[str, float]:
    """Compute both ends of friendships anew, from what is around them."""
    graph = make_network(10_000, friends, seed=2)
    model = tune(graph, seed=1).model
    usual = np.flatnonzero(np.abs(graph.degrees - friends) <= friends // 10)
    chance = np.random.default_rng(1)
    milliseconds = []
    for u in chance.choice(usual, EVENTS):
        near = graph.indices[graph.indptr[u] : graph.indptr[u + 1]]
        v = int(near[np.abs(graph.degrees[near] - friends).argmin()])
        ego = _around(graph, [int(u), v])
        ends = [int(graph.account_ids[u]), int(graph.account_ids[v])]
        milliseconds.append([1000 * t for t in _timed(lambda ego=ego, ends=ends: suggest_around(ego, ends, model))])  # type: ignore[misc]  # a lambda with defaults
    clock, used = (sorted(times) for times in zip(*milliseconds[EVENTS // 10 :], strict=True))
    return {
        f"p{share}{name}_ms": percentile(times, share / 100)
        for name, times in (("", clock), ("_cpu", used))
        for share in (50, 95, 99)
    }


def _around(graph: CsrGraph, rows: list[int]) -> CsrGraph:
    """Return what is read when a friendship changes: all friends of both ends' friends, with everybody's number of friends."""
    friends = np.unique(np.concatenate([graph.indices[graph.indptr[u] : graph.indptr[u + 1]] for u in rows]))
    left = np.repeat(friends, np.diff(graph.indptr)[friends])
    right = np.concatenate([graph.indices[graph.indptr[w] : graph.indptr[w + 1]] for w in friends])
    inside, ends = np.unique(np.concatenate((left, right)), return_inverse=True)
    return CsrGraph.from_rows(graph.account_ids[inside], ends[: len(left)], ends[len(left) :], graph.degrees[inside])


def show(points: list[Point], runs: list[Run], events: dict[str, float] | None) -> None:
    """Print everything."""
    table = Table(
        "members",
        "friends",
        "kernel/s",
        "sparse_dot_topn/s",
        "ratio",
        "networkx/s",
        "ratio",
        "per core-second",
        "ns per wedge",
    )
    for point in points:
        cores = (point.kernel_per_core, point.sparse_per_core, point.loop_per_core)
        table.add_row(
            f"{point.members:,}", f"{point.friends}", f"{point.kernel_per_second:,.0f}", f"{point.sparse_per_second:,.0f}",
            f"{point.over_sparse:.1f}", f"{point.loop_per_second:,.0f}", f"{point.over_loop:.0f}",
            " / ".join(f"{each:,.0f}" for each in cores), f"{point.nanoseconds_per_wedge:.1f}",
        )  # fmt: skip
    console.print(table)
    for run in runs:
        used = sum(w.cpu_seconds for w in run.workers)
        peak, own = max(w.peak_mb for w in run.workers), max(w.own_mb for w in run.workers)
        console.print(
            f"{run.members:,} members, {run.friends} friends, 50 suggestions each, re-ranked: tuned in {run.tuning_seconds:.1f} s, "
            f"prepared in {run.preparing_seconds:.1f} s, computed in {run.computing_seconds:.1f} s on {len(run.workers)} processes "
            f"({run.members / run.computing_seconds:,.0f} members/s, {run.members / used:,.0f} per core-second); "
            f"peak {peak:.0f} MB each, {own:.0f} MB of it their own."
        )
    if events is not None:
        shares = ", ".join(f"{name.removesuffix('_ms')} {value:.2f} ms" for name, value in events.items())
        console.print(f"Both ends of a friendship at 100 friends: {shares}.")


def read_size(text: str) -> tuple[int, int]:
    """Return members and friends. Raises typer.BadParameter for what cannot be."""
    members, _, friends = text.partition("/")
    if not (
        members.isdecimal() and friends.isdecimal() and 1_000 <= int(members) <= 1_000_000 and 2 <= int(friends) <= 200
    ):
        raise typer.BadParameter(f"{text}: a size is MEMBERS/FRIENDS, from 1000/2 to 1000000/200")
    return int(members), int(friends)


def main(
    json_path: Annotated[Path | None, typer.Option("--json", help="Write everything to this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write suggestions_growth.svg to this folder.")] = None,
    size: Annotated[list[str] | None, typer.Option(help="MEMBERS/FRIENDS, as 10000/22; may be repeated.")] = None,
) -> None:
    """Measure the kernel at 10,000, 100,000 and 1,000,000 members, whole runs on two processes, and single changes."""
    facts = host_facts()
    points, runs = [], []
    for members, friends in [read_size(text) for text in size or ()] or SIZES:
        prepared, point = measure(members, friends)
        points.append(point)
        runs.append(run_all(prepared.graph, friends))
        del prepared
        show(points[-1:], runs[-1:], None)
    events = measure_events()
    show(points, runs, events)
    result = {
        "machine": facts,
        "points": [{**asdict(p), "over_networkx": p.over_loop, "over_sparse_dot_topn": p.over_sparse} for p in points],
        "runs": [asdict(run) for run in runs],
        "events": events,
    }
    write_json(json_path, result)
    if plot is not None:
        plot.mkdir(parents=True, exist_ok=True)
        draw(points, plot / "suggestions_growth.svg")


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
