"""A light HTTP/1.1 load generator for loopback, in a process of its own: `python -m benchmarks.http_load`.

Closed loop: each connection sends its next request when the answer to the last one has arrived. The job comes on standard input, what was
seen goes to standard output, with the CPU time that the generator took from the network under test.
"""

import asyncio
import resource
import time
from collections.abc import Sequence
from functools import partial
from itertools import cycle, islice
from typing import cast

import httptools
import msgspec
import uvloop

from benchmarks.child import read_job, run_child, write_answer

LOOPBACK = ("127.0.0.1", "::1", "localhost")
MAX_CONNECTIONS = 256
MAX_SECONDS = 120.0
MAX_REQUESTS = 10_000_000
START_SECONDS = 60


class HttpRequest(msgspec.Struct, frozen=True):
    """A request to send; `body` is JSON."""

    method: str
    path: str
    token: str
    body: str = ""


class HttpJob(msgspec.Struct, frozen=True):
    """Requests that are sent in turn until `seconds` are over or `most` have been sent."""

    host: str
    port: int
    connections: int
    seconds: float
    most: int
    requests: list[HttpRequest]


class HttpResult(msgspec.Struct, frozen=True):
    """What a job saw."""

    seconds: float
    answers: dict[int, int]
    """How many answers had which HTTP status; 0: the connection broke."""
    milliseconds: list[float]
    """How long each good answer took."""
    cpu_seconds: float
    """What the load generator itself used."""

    @property
    def per_second(self) -> float:
        """Good answers per second."""
        return len(self.milliseconds) / self.seconds


def load(job: HttpJob) -> HttpResult:
    """Run a job in another process. Raises RuntimeError where an answer was not a good one: such figures mean nothing."""
    output = run_child("benchmarks.http_load", msgspec.json.encode(job), seconds=job.seconds + START_SECONDS)
    result = msgspec.json.decode(output, type=HttpResult, strict=False)
    if set(result.answers) != {200}:
        raise RuntimeError(f"not every answer was good, by HTTP status: {result.answers}")
    return result


def encode_request(request: HttpRequest, host: str) -> bytes:
    """Return a request as it goes over the wire."""
    body = request.body.encode()
    lines = [f"{request.method} {request.path} HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {request.token}"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def check_job(job: HttpJob) -> None:
    """Raise ValueError for a job beyond the bounds, or against another machine."""
    if job.host not in LOOPBACK:
        raise ValueError(f"{job.host} is not this machine; load is for loopback only")
    if not (1 <= job.connections <= MAX_CONNECTIONS and 0 < job.seconds <= MAX_SECONDS and job.requests):
        raise ValueError("the job is beyond its bounds")
    if not 1 <= job.most <= MAX_REQUESTS:
        raise ValueError("the job is beyond its bounds")


class Run:
    """What all connections of a job share."""

    def __init__(self, wire: Sequence[bytes], most: int, seconds: float) -> None:
        self._requests = islice(cycle(wire), most)
        self._deadline = time.perf_counter() + seconds
        self.answers: dict[int, int] = {}
        self.milliseconds: list[float] = []

    def next_request(self) -> bytes | None:
        """Return what is to be sent next, None when the job is done."""
        return next(self._requests, None) if time.perf_counter() < self._deadline else None

    def note(self, http_status: int, started: float) -> None:
        """Note an answer."""
        self.answers[http_status] = self.answers.get(http_status, 0) + 1
        if http_status == 200:
            self.milliseconds.append(round((time.perf_counter() - started) * 1000, 3))


class Connection(asyncio.Protocol):
    """One keep-alive connection: a request, its answer, the next one."""

    def __init__(self, run: Run, done: asyncio.Future[None]) -> None:
        self._run = run
        self._done = done
        self._transport: asyncio.Transport | None = None
        self._started = 0.0
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._send()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """An answer is complete: go on."""
        self._run.note(self._parser.get_status_code(), self._started)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; an answer that is missing is noted as status 0."""
        if self._started:
            self._run.note(0, self._started)
        if not self._done.done():
            self._done.set_result(None)

    def _send(self) -> None:
        assert self._transport is not None
        request = self._run.next_request()
        if request is None:
            self._started = 0.0
            self._transport.close()
            return
        self._started = time.perf_counter()
        self._transport.write(request)


async def run_job(job: HttpJob) -> HttpResult:
    """Do a job in this process."""
    check_job(job)
    loop = asyncio.get_running_loop()
    run = Run([encode_request(request, f"{job.host}:{job.port}") for request in job.requests], job.most, job.seconds)
    before, started = _cpu_seconds(), time.perf_counter()
    ends = [loop.create_future() for _ in range(job.connections)]
    for done in ends:
        await loop.create_connection(partial(Connection, run, done), job.host, job.port)
    async with asyncio.timeout(job.seconds + START_SECONDS / 2):
        await asyncio.gather(*ends)
    seconds = time.perf_counter() - started
    return HttpResult(seconds, run.answers, run.milliseconds, _cpu_seconds() - before)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    write_answer(uvloop.run(run_job(read_job(HttpJob))))
