"""Members who look on: streams that are opened again with Last-Event-ID whenever they end, and all that came over them."""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.faults.http_client import Event, Unanswered, events
from tests.faults.members import Member
from tests.faults.safety import Findings, Safety
from tests.faults.writing import Telephone

PATH = "/api/v1/streaming/user"
SILENCE_SECONDS = 40.0
"""A heartbeat is due every 15 s."""
PAUSE_SECONDS = 0.5


@dataclass(eq=False)
class Onlooker:
    """One member's stream, over all its connections."""

    member: Member
    floor: int = -1
    """The newest id on the home timeline before the stream was opened for the first time; -1: not yet."""
    opened_at: float = 0.0
    got: set[int] = field(default_factory=set)
    """Ids of posts that came over it, or were read where it said that there was a gap."""
    last_id: str = ""
    connections: int = 0
    gaps: int = 0
    is_open: bool = False


class Streams:
    """Streams of some members. Use as `run`, in a task of its own."""

    def __init__(
        self,
        members: Sequence[Member],
        ports: Sequence[int],
        telephone: Telephone,
        safety: Safety,
        findings: Findings,
        seed: int,
    ) -> None:
        self.onlookers = [Onlooker(member) for member in members]
        self._ports = list(ports)
        self._telephone = telephone
        self._safety = safety
        self._findings = findings
        self._chance = random.Random(seed)
        self._readings: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Look on until the event is set."""
        tasks = [asyncio.create_task(self._look_on(onlooker)) for onlooker in self.onlookers]
        await stop.wait()
        tasks += self._readings
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_on(self, onlooker: Onlooker) -> None:
        while onlooker.floor < 0:
            await self._begin(onlooker)
        while True:
            port = self._chance.choice(self._ports)
            try:
                await self._listen(onlooker, port)
            except Unanswered:
                pass
            finally:
                onlooker.is_open = False
            await asyncio.sleep(PAUSE_SECONDS * (0.5 + self._chance.random()))

    async def _begin(self, onlooker: Onlooker) -> None:
        """Read where the home timeline ends now, as a client does that shows it and then opens a stream."""
        answer = await self._telephone.ask("GET", "/api/v1/timelines/home?limit=1", onlooker.member.token)
        if answer is None or answer.code != 200:
            await asyncio.sleep(PAUSE_SECONDS)
            return
        newest = [int(post.id) for post in answer.posts()]
        onlooker.floor = newest[0] if newest else 0
        onlooker.last_id = str(onlooker.floor) if onlooker.floor else ""
        onlooker.opened_at = time.monotonic()

    async def _listen(self, onlooker: Onlooker, port: int) -> None:
        seen: set[int] = set()
        async for event in events(port, PATH, onlooker.member.token, onlooker.last_id, SILENCE_SECONDS):
            if not event.name:
                if not onlooker.last_id:  # with nothing to go on from, what came before is not this stream's
                    onlooker.opened_at = time.monotonic()
                onlooker.connections += not onlooker.is_open
                onlooker.is_open = True
            if event.id:
                onlooker.last_id = event.id
            if event.name == "update":
                self._take(onlooker, event, seen)
            elif event.name == "gap":
                # Beside the stream: what is sent meanwhile is to be read when it comes.
                reading = asyncio.create_task(self._read_gap(onlooker, event))
                self._readings.add(reading)
                reading.add_done_callback(self._readings.discard)

    def _take(self, onlooker: Onlooker, event: Event, seen: set[int]) -> None:
        post = json.loads(event.data)
        post_id, author, viewer = int(post["id"]), int(post["account"]["id"]), onlooker.member.id
        if post_id in seen:
            self._findings.note("duplicated", "stream", viewer, f"{post_id} came twice over one connection")
        seen.add(post_id)
        onlooker.got.add(post_id)
        self._safety.check_event(viewer, post_id, author)

    async def _read_gap(self, onlooker: Onlooker, event: Event) -> None:
        """Read as pages what a stream has left out, as a client has to."""
        gap = json.loads(event.data)
        onlooker.gaps += 1
        path = f"/api/v1/timelines/home?limit=40&since_id={gap['since_id']}&max_id={gap['max_id']}"
        while path:
            answer = await self._telephone.ask("GET", path, onlooker.member.token)
            if answer is None or answer.code != 200:
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            posts = answer.posts()
            onlooker.got.update(int(post.id) for post in posts)
            path = answer.next_path if posts else ""
