"""Latencies and figures as values, without I/O."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Latency:
    """Percentiles of a sample, in milliseconds."""

    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True)
class Figure:
    """What was measured, and what PostgreSQL alone did in the same run."""

    name: str
    unit: str
    per_second: float
    latency: Latency | None
    baseline: str
    """What the baseline is."""
    baseline_per_second: float
    baseline_latency: Latency | None

    @property
    def ratio(self) -> float:
        """The share of the baseline that was reached."""
        return self.per_second / self.baseline_per_second


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of an ordered, non-empty sample; `share` from 0 to 1."""
    if not ordered:
        raise ValueError("there is no percentile of nothing")
    rank = max(1, -int(-share * len(ordered) // 1))  # rounded up
    return ordered[min(rank, len(ordered)) - 1]


def latency_of(milliseconds: Sequence[float]) -> Latency | None:
    """Return the percentiles of a sample in any order, None of an empty one."""
    if not milliseconds:
        return None
    ordered = sorted(milliseconds)
    return Latency(percentile(ordered, 0.50), percentile(ordered, 0.99), ordered[-1])
