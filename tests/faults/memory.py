"""Memory of processes while they live: sampled all the time, judged by the slope over the longest life of each."""

import asyncio
import time
from dataclasses import dataclass

import psutil

from tests.faults.network import Network

INTERVAL_SECONDS = 10.0
WARM_SECONDS = 60.0
"""A process may grow for so long after its start."""
SHORTEST_SECONDS = 240.0
"""A shorter life says nothing."""
MIB = 1 << 20


@dataclass(frozen=True)
class Growth:
    """How the memory of one process changed."""

    process: str
    seconds: float
    first_mib: float
    last_mib: float
    mib_per_hour: float


class Memory:
    """Samples the resident memory of all of a network's processes. Use as `run`, in a task of its own."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._samples: dict[tuple[str, int], list[tuple[float, float]]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Sample until the event is set."""
        while not stop.is_set():
            for daemon in self._network.daemons.by_name.values():
                if daemon.pid and time.monotonic() - daemon.started_at > WARM_SECONDS and daemon.name != "postgres":
                    self._take(daemon.name, daemon.pid)
            await asyncio.sleep(INTERVAL_SECONDS)

    def _take(self, name: str, pid: int) -> None:
        try:
            used = psutil.Process(pid).memory_info().rss / MIB
        except psutil.NoSuchProcess:
            return
        self._samples.setdefault((name, pid), []).append((time.monotonic(), used))

    def growth(self) -> list[Growth]:
        """Return how each process grew over its longest life, those that lived long enough for it to mean anything."""
        longest: dict[str, list[tuple[float, float]]] = {}
        for (name, _), samples in self._samples.items():
            if samples[-1][0] - samples[0][0] > _length(longest.get(name, [])):
                longest[name] = samples
        return [
            Growth(name, _length(samples), samples[0][1], samples[-1][1], _slope(samples) * 3600)
            for name, samples in longest.items()
            if _length(samples) >= SHORTEST_SECONDS
        ]


def _length(samples: list[tuple[float, float]]) -> float:
    return samples[-1][0] - samples[0][0] if samples else 0.0


def _slope(samples: list[tuple[float, float]]) -> float:
    """Return the slope of the least squares in MiB per second."""
    mean_x = sum(x for x, _ in samples) / len(samples)
    mean_y = sum(y for _, y in samples) / len(samples)
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread if spread else 0.0
