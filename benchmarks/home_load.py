"""Home reads straight from TimelineService, from a process of its own: `python -m benchmarks.home_load`.

Closed loop. The job comes on standard input, what was seen goes to standard output.
"""

import asyncio
import resource
import time
from collections.abc import Mapping
from itertools import cycle, islice

import msgspec
import uvloop
from kodama.page.v1.window_pb2 import Window
from kodama.timeline.v1 import timeline_service_pb2 as pb

from benchmarks.child import read_job, run_child, write_answer
from chassis.caller import GATEWAY, Signer
from chassis.rpc import call
from chassis.settings import load_settings
from services.cli.network import open_network

MAX_READS = 1_000_000
MAX_CONCURRENCY = 256
CALL_SECONDS = 20
START_SECONDS = 60


class HomeJob(msgspec.Struct, frozen=True):
    """First pages of these members' home timelines, in turn."""

    account_ids: list[int]
    limit: int
    """Entries of a page."""
    most: int
    """At most so many reads."""
    seconds: float
    """At most so long."""
    concurrency: int
    """So many at a time."""


class HomeResult(msgspec.Struct, frozen=True):
    """What was read."""

    seconds: float
    milliseconds: list[float]
    shortest_page: int
    """Entries of the shortest page that was read: a page that is not full would measure nothing."""
    cpu_seconds: float
    """What the load generator itself used."""

    @property
    def per_second(self) -> float:
        """Pages per second."""
        return len(self.milliseconds) / self.seconds


def read_homes(job: HomeJob, environment: Mapping[str, str]) -> HomeResult:
    """Run a job in another process with the environment of a network. Raises RuntimeError where a page was not full."""
    output = run_child(
        "benchmarks.home_load",
        msgspec.json.encode(job),
        seconds=job.seconds + START_SECONDS,
        environment=environment,
    )
    result = msgspec.json.decode(output, type=HomeResult)
    if result.shortest_page < job.limit:
        raise RuntimeError(f"a page had {result.shortest_page} of {job.limit} entries; this measured nothing")
    return result


def check_job(job: HomeJob) -> None:
    """Raise ValueError for a job beyond the bounds."""
    is_bounded = 1 <= job.most <= MAX_READS and 1 <= job.concurrency <= MAX_CONCURRENCY and 0 < job.seconds <= 120
    if not (is_bounded and job.account_ids and 1 <= job.limit <= 40):
        raise ValueError("the job is beyond its bounds")


async def run_job(job: HomeJob) -> HomeResult:
    """Do a job in this process, on the network that the environment names, calling as the gateway does."""
    check_job(job)
    settings = load_settings()
    signer = Signer(GATEWAY, settings.derive("rpc"))
    members = islice(cycle(job.account_ids), job.most)
    milliseconds: list[float] = []
    shortest = job.limit
    async with open_network(settings) as network:
        stranger = pb.ListHomeEntriesRequest(
            account_id=1, window=Window(limit=1)
        )  # connects; not a part of what is measured
        await call(network.timelines.ListHomeEntries, stranger, signer, timeout_seconds=CALL_SECONDS)
        before, began = _cpu_seconds(), time.perf_counter()

        async def lane() -> None:
            nonlocal shortest
            for account_id in members:
                started = time.perf_counter()
                if started - began > job.seconds:
                    return
                request = pb.ListHomeEntriesRequest(account_id=account_id, window=Window(limit=job.limit))
                answer = await call(network.timelines.ListHomeEntries, request, signer, timeout_seconds=CALL_SECONDS)
                milliseconds.append(round((time.perf_counter() - started) * 1000, 3))
                shortest = min(shortest, len(answer.entries))

        await asyncio.gather(*(lane() for _ in range(job.concurrency)))
        return HomeResult(time.perf_counter() - began, milliseconds, shortest, _cpu_seconds() - before)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    write_answer(uvloop.run(run_job(read_job(HomeJob))))
