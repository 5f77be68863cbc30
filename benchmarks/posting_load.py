"""Posts through StatusService as fast as it goes, or at a rate, from a process of its own: `python -m benchmarks.posting_load`."""

import asyncio
import resource
import time
from collections.abc import Mapping
from itertools import count

import msgspec
import uvloop
from kodama.status.v1.status_pb2 import VISIBILITY_PUBLIC

from benchmarks.child import read_job, run_child, write_answer
from chassis.settings import load_settings
from services.cli.network import Network, open_network
from services.gateway.status_calls import StatusCalls

MAX_POSTS = 200_000
MAX_CONCURRENCY = 512
START_SECONDS = 120
TEXT = "今日は森を歩いた。こだまが返ってきた。"


class PostingJob(msgspec.Struct, frozen=True):
    """Posts by these authors in turn."""

    author_ids: list[int]
    posts: int
    """At most so many."""
    seconds: float
    """At most so long."""
    concurrency: int
    """At most so many at a time."""
    per_second: float = 0
    """0: as fast as it goes. Else the schedule is kept whatever the answers do (open loop)."""


class PostingResult(msgspec.Struct, frozen=True):
    """What was posted."""

    seconds: float
    status_ids: list[int]
    due_at: list[float]
    """When each was to be posted by the schedule, or was sent where there is none: Unix time, in the order of `status_ids`."""
    cpu_seconds: float
    """What the load generator itself used."""


def post(job: PostingJob, environment: Mapping[str, str]) -> PostingResult:
    """Run a job in another process with the environment of a network."""
    output = run_child(
        "benchmarks.posting_load",
        msgspec.json.encode(job),
        seconds=job.seconds + START_SECONDS,
        environment=environment,
    )
    return msgspec.json.decode(output, type=PostingResult)


def check_job(job: PostingJob) -> None:
    """Raise ValueError for a job beyond the bounds."""
    is_bounded = 1 <= job.posts <= MAX_POSTS and 1 <= job.concurrency <= MAX_CONCURRENCY and 0 < job.seconds <= 120
    if not (is_bounded and job.author_ids and job.per_second >= 0):
        raise ValueError("the job is beyond its bounds")


class _GatewayCalls(StatusCalls):
    """StatusService as the gateway calls it: what is posted at the same moment is one call."""

    def __init__(self, network: Network) -> None:
        super().__init__(network.signer)
        self._status = network.statuses


class Poster:
    """Posts what a job asks for."""

    def __init__(self, network: Network, job: PostingJob) -> None:
        self._calls = _GatewayCalls(network)
        self._job = job
        self._numbers = count()
        self._posted: list[tuple[int, float]] = []

    async def run(self) -> PostingResult:
        """Do the job."""
        await self._post(0, time.time())  # connects; not a part of what is measured
        self._posted.clear()
        before, started = _cpu_seconds(), time.time()
        async with asyncio.TaskGroup() as group:
            for _ in range(self._job.concurrency):
                group.create_task(self._lane(started))
        seconds = time.time() - started
        return PostingResult(
            seconds,
            [status_id for status_id, _ in self._posted],
            [due_at for _, due_at in self._posted],
            _cpu_seconds() - before,
        )

    async def _lane(self, started: float) -> None:
        """Post the next one whenever the last one is done, but none before its time."""
        for number in self._numbers:
            due_at = started + number / self._job.per_second if self._job.per_second else time.time()
            if number >= self._job.posts or due_at >= started + self._job.seconds:
                return
            if self._job.per_second:
                await asyncio.sleep(max(0.0, due_at - time.time()))
            await self._post(number, due_at)

    async def _post(self, number: int, due_at: float) -> None:
        author_id = self._job.author_ids[number % len(self._job.author_ids)]
        posted, _ = await self._calls.create_status(account_id=author_id, text=TEXT, visibility=VISIBILITY_PUBLIC)
        self._posted.append((posted.id, due_at))


async def run_job(job: PostingJob) -> PostingResult:
    """Do a job in this process, on the network that the environment names."""
    check_job(job)
    async with open_network(load_settings()) as network:
        return await Poster(network, job).run()


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    write_answer(uvloop.run(run_job(read_job(PostingJob))))
