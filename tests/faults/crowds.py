"""Many at once: thousands of streams that come back at the same moment, and thousands of connections that ask for nothing."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

from tests.faults.http_client import Unanswered, events
from tests.faults.members import Member
from tests.faults.network import Network
from tests.faults.report import Crowd

PATH = "/api/v1/streaming/user"
PER_MEMBER = 5
"""So many streams a member may have."""
SILENCE_SECONDS = 40.0
OPEN_SECONDS = 300.0
POLL_SECONDS = 0.1
CONNECTS_AT_A_TIME = 500
LOOPBACK = "127.0.0.1"


class Audience:
    """Streams that are opened again as soon as they end."""

    def __init__(self, members: Sequence[Member], ports: Sequence[int], count: int) -> None:
        per_member = min(PER_MEMBER, -(-count // len(members)))
        seats = [(member, number) for number in range(per_member) for member in members][:count]
        self._seats = [(member, ports[place % len(ports)]) for place, (member, _) in enumerate(seats)]
        self._open: set[int] = set()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def open(self) -> int:
        """How many are open now."""
        return len(self._open)

    @property
    def size(self) -> int:
        """How many there are to be."""
        return len(self._seats)

    def begin(self) -> None:
        """Open all streams."""
        self._tasks = [
            asyncio.create_task(self._sit(place, member, port)) for place, (member, port) in enumerate(self._seats)
        ]

    async def wait_open(self) -> float | None:
        """Wait until all are open; return how many seconds it took, None after a bound."""
        began = time.monotonic()
        while self.open < self.size:
            if time.monotonic() - began > OPEN_SECONDS:
                return None
            await asyncio.sleep(POLL_SECONDS)
        return time.monotonic() - began

    async def end(self) -> None:
        """Close all streams."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _sit(self, place: int, member: Member, port: int) -> None:
        last_id = ""
        while True:
            try:
                async for event in events(port, PATH, member.token, last_id, SILENCE_SECONDS):
                    self._open.add(place)
                    last_id = event.id or last_id
            except Unanswered:
                pass
            finally:
                self._open.discard(place)
            await asyncio.sleep(1.0)


async def streams_come_back(network: Network, members: Sequence[Member], count: int) -> Crowd:
    """Open so many streams, kill all gateways, and time until all are open again."""
    audience = Audience(members, network.gateways, count)
    audience.begin()
    try:
        opened = await audience.wait_open()
        for daemon in network.daemons.named("gateway-"):
            network.kill(daemon)
        while audience.open == audience.size:
            await asyncio.sleep(POLL_SECONDS)
        return Crowd(f"{audience.size:,} streams come back at once", opened, await audience.wait_open())
    finally:
        await audience.end()


async def connect_and_leave(network: Network, count: int) -> Crowd:
    """Connect so many times, say half a word, and hang up; time how long that takes."""
    began = time.monotonic()
    numbers = iter(range(count))
    refused = 0

    async def some() -> None:
        nonlocal refused
        for number in numbers:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(10):
                    _, writer = await asyncio.open_connection(
                        LOOPBACK, network.gateways[number % len(network.gateways)]
                    )
                writer.write(b"GET / HT")
                writer.transport.abort() if number % 2 else writer.close()
                continue
            refused += 1

    await asyncio.gather(*(some() for _ in range(CONNECTS_AT_A_TIME)))
    return Crowd(f"{count:,} connects, {refused:,} not taken", 0.0, time.monotonic() - began)
