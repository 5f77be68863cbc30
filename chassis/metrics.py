"""Metrics for Prometheus, served over HTTP by a process that is told an address for it.

How fresh things are is measured on the ledger's own rows, when they go: with one clock, PostgreSQL's, and whatever process did the work.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

from prometheus_client import Histogram, start_http_server

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
RECENT = 1000

ledger_relayed = Histogram(
    "kodama_ledger_relayed_seconds",
    "From the commit of a change until its message was last confirmed by the broker",
    ("queue", "task"),
    buckets=SECONDS,
)
task_delivered = Histogram(
    "kodama_task_delivered_seconds",
    "From the commit of a change until its effect was committed",
    ("queue", "task"),
    buckets=SECONDS,
)
stream_delivered = Histogram(
    "kodama_stream_delivered_seconds",
    "From the making of a post until it was sent over an open stream, by the clocks of PostgreSQL and of the gateway",
    ("queue",),
    buckets=SECONDS,
)


@dataclass(frozen=True)
class Delivery:
    """How long a row of a ledger took, in seconds from its commit."""

    task: str
    queue: str
    relayed_seconds: float | None
    """None where it was never published: somebody else did the work."""
    delivered_seconds: float
    changes: int = 1
    """That shared it, each of which counts."""


@dataclass(frozen=True)
class Pace:
    """How long the changes that cause a task took, of the last thousand that this process has seen go; milliseconds."""

    task: str
    queue: str
    samples: int
    relayed_p50_ms: int
    relayed_p99_ms: int
    delivered_p50_ms: int
    delivered_p99_ms: int


class Freshness:
    """Keeps how long the last rows of each task took, and tells Prometheus of every one."""

    def __init__(self) -> None:
        self._recent: defaultdict[tuple[str, str], deque[Delivery]] = defaultdict(lambda: deque(maxlen=RECENT))

    def note(self, deliveries: Sequence[Delivery]) -> None:
        """Count rows that have gone."""
        for one in deliveries:
            self._recent[one.task, one.queue].extend(repeat(one, one.changes))
            _observe(task_delivered.labels(one.queue, one.task), one.delivered_seconds, one.changes)
            if one.relayed_seconds is not None:
                _observe(ledger_relayed.labels(one.queue, one.task), one.relayed_seconds, one.changes)

    def paces(self) -> list[Pace]:
        """Return the pace of each task of which a row has gone."""
        return [_pace(task, queue, list(some)) for (task, queue), some in sorted(self._recent.items())]


def _observe(histogram: Histogram, seconds: float, times: int) -> None:
    for _ in range(times):
        histogram.observe(seconds)


def _pace(task: str, queue: str, deliveries: Sequence[Delivery]) -> Pace:
    relayed = sorted(one.relayed_seconds for one in deliveries if one.relayed_seconds is not None)
    delivered = sorted(one.delivered_seconds for one in deliveries)
    quantiles = (_quantile_ms(values, q) for values in (relayed, delivered) for q in (0.5, 0.99))
    return Pace(task, queue, len(deliveries), *quantiles)


def _quantile_ms(values: Sequence[float], q: float) -> int:
    """Return the smallest value that at least this share of the sorted values does not exceed, in milliseconds; 0 of none."""
    if not values:
        return 0
    place = min(len(values) - 1, max(0, -int(-q * len(values) // 1) - 1))
    return round(values[place] * 1000)


def serve_metrics(address: str) -> None:
    """Serve the metrics of this process on host:port until it ends; an empty address serves none. Raises OSError."""
    if address:
        host, _, port = address.rpartition(":")
        start_http_server(int(port), host)
