"""An open-loop HTTP/1.1 load generator for loopback, in a process of its own: `python -m benchmarks.open_load`.

Requests are due on a schedule that is kept whatever the answers do, each as of a client of its own: it goes over a connection that has
nothing on its way, a new one where there is none. Times count from when a request was due, so that a server which falls behind shows it.
The job comes on standard input, what was seen goes to standard output.
"""

import asyncio
import resource
import time
from itertools import cycle
from typing import cast

import httptools
import msgspec
import uvloop

from benchmarks.child import read_job, run_child, write_answer
from benchmarks.http_load import LOOPBACK, HttpRequest, encode_request

MAX_PER_SECOND = 20_000
MAX_SECONDS = 120.0
MAX_CONNECTIONS = 12_000
"""Clients at once; a request that finds so many is not sent, and says so."""
GIVE_UP_SECONDS = 15.0
"""A client that has no answer by then, has none."""
START_SECONDS = 60
TICK_SECONDS = 0.002


class OpenJob(msgspec.Struct, frozen=True):
    """Requests that are due in turn, so many a second; then, without a pause, so many a second to see how it recovers."""

    host: str
    port: int
    per_second: float
    seconds: float
    after_per_second: float
    after_seconds: float
    requests: list[HttpRequest]


class Seen(msgspec.Struct, array_like=True):
    """What became of one request."""

    due: float
    """Seconds from the beginning."""
    milliseconds: float
    """From then until its answer was complete."""
    status: int
    """0: the connection broke; -1: no answer in time; -2: not sent, since too many were on their way."""
    can_retry: bool
    """The answer says when to try again."""


class OpenResult(msgspec.Struct, frozen=True):
    """What a job saw."""

    seen: list[Seen]
    cpu_seconds: float
    """What the load generator itself used."""
    late_p99_ms: float
    """How late the generator sent what was due."""


def open_load(job: OpenJob) -> OpenResult:
    """Run a job in another process."""
    seconds = job.seconds + job.after_seconds + GIVE_UP_SECONDS + START_SECONDS
    return msgspec.json.decode(
        run_child("benchmarks.open_load", msgspec.json.encode(job), seconds=seconds), type=OpenResult
    )


def check_job(job: OpenJob) -> None:
    """Raise ValueError for a job beyond the bounds, or against another machine."""
    if job.host not in LOOPBACK:
        raise ValueError(f"{job.host} is not this machine; load is for loopback only")
    rates, lengths = (job.per_second, job.after_per_second), (job.seconds, job.after_seconds)
    if not job.requests or max(rates) > MAX_PER_SECOND or min(rates) <= 0 or max(lengths) > MAX_SECONDS:
        raise ValueError("the job is beyond its bounds")


class Run:
    """What all clients of a job share."""

    def __init__(self, job: OpenJob) -> None:
        self.job = job
        self.wire = cycle([encode_request(request, f"{job.host}:{job.port}") for request in job.requests])
        self.started = time.perf_counter()
        self.seen: list[Seen] = []
        self.late: list[float] = []
        self.idle: list[Client] = []
        self.clients: set[Client] = set()

    def now(self) -> float:
        """Return the seconds from the beginning."""
        return time.perf_counter() - self.started

    def note(self, due: float, status: int, *, can_retry: bool = False) -> None:
        """Note what became of a request."""
        self.seen.append(Seen(round(due, 4), round((self.now() - due) * 1000, 2), status, can_retry))

    def send(self, due: float) -> None:
        """Send what is due now."""
        self.late.append(self.now() - due)
        while self.idle:
            client = self.idle.pop()
            if client.is_usable:
                client.send(next(self.wire), due)
                return
        if len(self.clients) >= MAX_CONNECTIONS:
            self.note(due, -2)
            return
        client = Client(self)
        self.clients.add(client)
        client.due = due
        client.waiting = next(self.wire)
        connecting = asyncio.create_task(self._connect(client))
        client.connecting = connecting

    async def _connect(self, client: "Client") -> None:
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                await asyncio.get_running_loop().create_connection(lambda: client, self.job.host, self.job.port)
        except (OSError, TimeoutError):
            client.connection_lost(None)


class Client(asyncio.Protocol):
    """A client with at most one request on its way."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._can_retry = False
        self.waiting = b""
        self.due = -1.0
        self.connecting: asyncio.Task[None] | None = None

    @property
    def is_usable(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what made the connection necessary."""
        self._transport = cast(asyncio.Transport, transport)
        if self.due < 0:  # given up meanwhile
            transport.close()
        else:
            self._transport.write(self.waiting)

    def send(self, wire: bytes, due: float) -> None:
        """Send a request."""
        assert self._transport is not None
        self.due, self._can_retry = due, False
        self._transport.write(wire)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Look whether it says when to try again."""
        if name.lower() == b"retry-after":
            self._can_retry = value.isdigit()

    def on_message_complete(self) -> None:
        """An answer is complete."""
        self._run.note(self.due, self._parser.get_status_code(), can_retry=self._can_retry)
        self.due = -1.0
        if self._parser.should_keep_alive() and self.is_usable:
            self._run.idle.append(self)
        elif self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; an answer that is missing is noted."""
        self._run.clients.discard(self)
        if self.due >= 0:
            self._run.note(self.due, 0)
            self.due = -1.0

    def give_up(self) -> None:
        """Wait no longer, and hang up."""
        self._run.note(self.due, -1)
        self.due = -1.0
        self._run.clients.discard(self)
        if self._transport is not None:
            self._transport.abort()


async def _keep_schedule(run: Run) -> None:
    job = run.job
    due, end = 0.0, job.seconds + job.after_seconds
    while due < end:
        while due < end and due <= run.now():
            run.send(due)
            due += 1 / (job.per_second if due < job.seconds else job.after_per_second)
        await asyncio.sleep(TICK_SECONDS)


async def _give_up_in_time(run: Run) -> None:
    while True:
        await asyncio.sleep(0.1)
        oldest = run.now() - GIVE_UP_SECONDS
        for client in [client for client in run.clients if 0 <= client.due < oldest]:
            client.give_up()


async def run_job(job: OpenJob) -> OpenResult:
    """Do a job in this process."""
    check_job(job)
    before = _cpu_seconds()
    run = Run(job)
    giving_up = asyncio.create_task(_give_up_in_time(run))
    await _keep_schedule(run)
    for _ in range(int((GIVE_UP_SECONDS + 5) / 0.05)):
        if not any(client.due >= 0 for client in run.clients):
            break
        await asyncio.sleep(0.05)
    giving_up.cancel()
    late = sorted(run.late)
    return OpenResult(run.seen, _cpu_seconds() - before, round(late[int(len(late) * 0.99)] * 1000, 2))


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    write_answer(uvloop.run(run_job(read_job(OpenJob))))
