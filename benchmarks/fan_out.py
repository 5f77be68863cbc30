"""How fast posts reach their authors' friends: `python -m benchmarks.fan_out`. What each figure means: benchmarks/README.md."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.copy_baseline import CopyResult, measure_copy
from benchmarks.delivering import Burst, measure_burst
from benchmarks.figures import Figure, Latency
from benchmarks.http_load import HttpJob, HttpRequest, load
from benchmarks.network import Bench, bench_network, further_workers
from benchmarks.population import Member, author_groups, populate, wait_until_delivered, wait_until_pushed_to
from benchmarks.posting_load import PostingJob
from benchmarks.report import console, machine_facts, show_figures, show_machine, show_usage, write_json

FRIENDS = (1, 24, 130, 1000)
AUTHORS = 40
"""Authors of each number of friends, so that no post of a batch has the same author as the one before."""
READERS = 2000
RATES = (50, 200, 500)
RATE_SECONDS = 6
CONCURRENCY = 128
OPEN_LOOP_CONCURRENCY = 256
WANTED_DELIVERIES = 2_000_000
"""In a burst: a few seconds, so that its first and last message weigh little."""
MIN_POSTS, MAX_POSTS = 1000, 16_000
MAX_BURST_SECONDS = 60
QUEUE = "timeline.live"


@dataclass(frozen=True)
class Step:
    """A burst of posts by authors with so many friends, and COPY of the same rows."""

    friends: int
    burst: Burst
    copy: CopyResult

    @property
    def ratio(self) -> float:
        """The share of COPY that was reached."""
        return self.burst.per_second / self.copy.per_second


@dataclass(frozen=True)
class Freshness:
    """How soon posts were visible at a given rate."""

    posts_per_second: int
    friends: int
    reached_per_second: float
    visible: Latency | None


def posts_for(friends: int) -> int:
    """Return how many posts make a burst that is long enough to be measured and short enough to be waited for."""
    return min(MAX_POSTS, max(MIN_POSTS, WANTED_DELIVERIES // friends))


def authors_with(members: Sequence[Member], friends: int) -> list[int]:
    """Return the ids of the authors with so many friends."""
    return [member.id for member in members if member.name.startswith(f"a{friends}_")]


def activate(bench: Bench, members: Sequence[Member]) -> None:
    """Have all readers read their home timeline, so that they are pushed to."""
    host, _, port = bench.trial.settings.gateway_address.rpartition(":")
    reads = [HttpRequest("GET", "/api/v1/timelines/home?limit=1", member.token) for member in members]
    load(HttpJob(host, int(port), 8, 120, len(reads), reads))
    wait_until_pushed_to(bench)
    wait_until_delivered(bench)


def measure_step(bench: Bench, members: Sequence[Member], friends: int, workers: int, *, is_held: bool = False) -> Step:
    """Post at full speed, wait for the last delivery, then COPY the same rows over as many connections as there are workers."""
    job = PostingJob(authors_with(members, friends), posts_for(friends), MAX_BURST_SECONDS, CONCURRENCY)
    burst = measure_burst(bench, job, is_held=is_held)
    return Step(friends, burst, measure_copy(bench, burst.first_id, connections=workers))


def measure_freshness(bench: Bench, members: Sequence[Member], friends: int, rate: int) -> Freshness:
    """Post at a rate, whatever happens, and see how long each post took to reach its last friend."""
    posts = rate * RATE_SECONDS
    job = PostingJob(authors_with(members, friends), posts, MAX_BURST_SECONDS, OPEN_LOOP_CONCURRENCY, rate)
    burst = measure_burst(bench, job)
    return Freshness(rate, friends, burst.posts / burst.posting_seconds, burst.visible)


def measure(friends: int, workers: int) -> dict[str, Any]:
    """Run everything once, print it, and return it."""
    groups = {count: AUTHORS for count in sorted({*FRIENDS, friends})}
    edges = author_groups(READERS, groups, seed=1)
    with bench_network() as bench, further_workers(bench, QUEUE, workers - 1):
        facts = machine_facts(bench)
        console.print(f"{len(edges.members):,} members with {len(edges.friendships):,} friendships move in …")
        members = asyncio.run(populate(bench, edges))
        activate(bench, members)
        # A whole burst: the log's files, which PostgreSQL uses again later, have been made then, for all that follows, and its memory
        # has been touched, as it has been when the same rows are copied.
        measure_burst(
            bench, PostingJob(authors_with(members, friends), posts_for(friends), MAX_BURST_SECONDS, CONCURRENCY)
        )
        console.print("Measuring …")
        steps = [measure_step(bench, members, count, workers) for count in groups]
        backlog = measure_step(bench, members, friends, workers, is_held=True)
        freshness = [measure_freshness(bench, members, friends, rate) for rate in RATES]
    show_machine(facts)
    _show(steps, backlog, freshness, workers)
    used = {f"{step.friends} friends": step.burst.used.parts for step in steps}
    show_usage(used | {"backlog": backlog.burst.used.parts})
    chosen = next(step for step in steps if step.friends == friends)
    return {
        "deliveries_per_second": chosen.burst.per_second,
        "copy_per_second": chosen.copy.per_second,
        "ratio": chosen.ratio,
        "friends": friends,
        "workers": workers,
        "backlog": {
            "deliveries_per_second": backlog.burst.per_second,
            "copy_per_second": backlog.copy.per_second,
            "ratio": backlog.ratio,
        },
        "per_friends": [
            {
                "deliveries_per_second": step.burst.per_second,
                "copy_per_second": step.copy.per_second,
                "ratio": step.ratio,
                **asdict(step),
            }
            for step in steps
        ],
        "visible": [asdict(each) for each in freshness],
        "machine": facts,
    }


def _show(steps: Sequence[Step], backlog: Step, freshness: Sequence[Freshness], workers: int) -> None:
    figures = [
        Figure(
            f"{step.friends} friends, {step.burst.posts:,} posts",
            "entries",
            step.burst.per_second,
            step.burst.relayed,
            f"COPY BINARY, {workers} connections",
            step.copy.per_second,
            None,
        )
        for step in steps
    ]
    figures.append(
        Figure(
            f"{backlog.friends} friends, backlog of {backlog.burst.posts:,} posts",
            "entries",
            backlog.burst.per_second,
            None,
            f"COPY BINARY, {workers} connections",
            backlog.copy.per_second,
            None,
        )
    )
    show_figures(f"Deliveries with {workers} worker processes", figures)
    for each in freshness:
        seen = each.visible
        text = f"p50 {seen.p50_ms:,.0f} ms, p99 {seen.p99_ms:,.0f} ms" if seen else "nothing was delivered"
        console.print(
            f"visible to all {each.friends} friends at {each.posts_per_second} posts/s"
            f" (reached {each.reached_per_second:,.0f}): {text}"
        )


def main(
    json_path: Annotated[Path | None, typer.Option("--json", help="Write everything to this file.")] = None,
    friends: Annotated[int, typer.Option(min=1, max=1000, help="Friends of the authors of the headline figure.")] = 130,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Worker processes of timeline.live.")] = 2,
) -> None:
    """Measure deliveries per second end to end beside COPY BINARY, and how soon posts are visible."""
    write_json(json_path, measure(friends, workers))


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
