"""Bursts of posts and when they arrived, read afterwards from the commit times of the rows themselves."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from benchmarks.figures import Latency, latency_of
from benchmarks.network import Bench
from benchmarks.population import wait_until_delivered
from benchmarks.posting_load import PostingJob, post
from benchmarks.usage import Phase, phase


@dataclass(frozen=True)
class Burst:
    """What became of some posts. Commit times are those of the commit records: a flush of the log (a few ms) before a row can be seen."""

    posts: int
    deliveries: int
    first_id: int
    posting_seconds: float
    delivered_seconds: float
    """From the commit of the first post to that of the last entry."""
    empty_seconds: float
    """From the commit of the first post until the ledger was seen empty (asked every 50 ms)."""
    visible: Latency | None
    """From the time at which a post was due until its last entry was committed."""
    relayed: Latency | None
    """From a post's commit until its last entry was committed."""
    load_cpu_seconds: float
    used: Phase
    """What each part used from the first post until the ledger was empty."""

    @property
    def per_second(self) -> float:
        """Deliveries per second, until the last entry was committed."""
        return self.deliveries / self.delivered_seconds


def measure_burst(bench: Bench, job: PostingJob, *, is_held: bool = False) -> Burst:
    """Post, wait until all is delivered, and see when it was. Raises RuntimeError where a delivery is missing.

    Where it is held, the relay is stopped while the posts are made, as if the broker were away; times then count from when it goes on.
    """
    bench.execute("CHECKPOINT")  # otherwise a burst pays for what was written before it
    with phase(bench) as used:  # what is asked afterwards is not a part of it
        with relay_stopped(bench) if is_held else nullcontext():
            posted = post(job, bench.environment())
        released_at = time.time()
        empty_at = wait_until_delivered(bench)
    ids = posted.status_ids
    committed = _post_commits(bench, ids)
    arrived = _entry_commits(bench, ids)
    deliveries = sum(count for count, _ in arrived.values())
    _check_complete(bench, ids, deliveries)
    first_commit = released_at if is_held else min(committed.values())
    last_commit = max(at for _, at in arrived.values())
    return Burst(
        posts=len(ids),
        deliveries=deliveries,
        first_id=min(ids),
        posting_seconds=posted.seconds,
        delivered_seconds=last_commit - first_commit,
        empty_seconds=empty_at - first_commit,
        visible=_since(dict(zip(ids, posted.due_at, strict=True)), arrived),
        relayed=_since(committed, arrived),
        load_cpu_seconds=posted.cpu_seconds,
        used=used,
    )


@contextmanager
def relay_stopped(bench: Bench) -> Iterator[None]:
    """Hold the relay where it is until the block ends."""
    [relay] = bench.trial.find_processes(lambda process: process.cmdline()[-1:] == ["relay"])
    relay.suspend()
    try:
        yield
    finally:
        relay.resume()


def _since(begun: Mapping[int, float], arrived: Mapping[int, tuple[int, float]]) -> Latency | None:
    return latency_of([max(0.0, at - begun[status_id]) * 1000 for status_id, (_, at) in arrived.items()])


def _post_commits(bench: Bench, ids: Sequence[int]) -> dict[int, float]:
    rows = bench.query(
        "SELECT id, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 FROM status.statuses"
        " WHERE id = ANY(%(ids)s)",
        {"ids": list(ids)},
    )
    return dict(rows)


def _entry_commits(bench: Bench, ids: Sequence[int]) -> dict[int, tuple[int, float]]:
    """Return, per post, how many entries it has and when the last of them was committed."""
    rows = bench.query(
        """
        WITH arrived AS MATERIALIZED (
            SELECT entry_id, xmin AS tx, count(*) AS entries FROM timeline.entries
            WHERE entry_id >= %(first)s AND entry_id = ANY(%(ids)s) GROUP BY entry_id, xmin
        )
        SELECT entry_id, sum(entries)::bigint, max(extract(epoch FROM pg_xact_commit_timestamp(tx)))::float8
        FROM arrived GROUP BY entry_id
        """,
        {"first": min(ids), "ids": list(ids)},
    )
    return {entry_id: (entries, at) for entry_id, entries, at in rows}


def _check_complete(bench: Bench, ids: Sequence[int], deliveries: int) -> None:
    """Every friend of an author is active in a benchmark, so every post must have as many entries as its author has friends."""
    rows = bench.query(
        "SELECT count(*) FROM status.statuses AS s JOIN social_graph.friendships AS f ON f.account_id = s.account_id"
        " JOIN timeline.homes AS h ON h.account_id = f.friend_id WHERE s.id = ANY(%(ids)s)",
        {"ids": list(ids)},
    )
    if rows != [(deliveries,)]:
        raise RuntimeError(f"{deliveries} deliveries were found where {rows[0][0]} were due; this measured nothing")
