"""The load: members who post, delete, favour, make friends and fall out, and read, at a rate, until they are told to stop."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tests.faults.journal import Operation, Result, Verb
from tests.faults.members import Member, Society
from tests.faults.safety import Safety
from tests.faults.world import Post, World
from tests.faults.writing import Telephone, Writer

MAX_IN_FLIGHT = 150
"""Of which more would only wait for each other."""
MAX_RECENT = 3000
AFTERWARDS_SECONDS = 8.0
"""Within so many seconds those who fell out come together again."""

STATUS_VISIBILITIES = ("public",) * 14 + ("private",) * 4 + ("unlisted", "direct")
ENTRY_VISIBILITIES = ("friends", "public", "friends_of_friends", "self")


@dataclass(frozen=True)
class Rates:
    """How much is done in a second."""

    posts: float
    reads: float
    others: float
    """Deletions, favourites, blog entries, and what happens between two members."""


class Load:
    """Members at work. Use as `run`, in a task of its own."""

    def __init__(
        self,
        society: Society,
        world: World,
        writer: Writer,
        telephone: Telephone,
        safety: Safety,
        rates: Rates,
        seed: int,
    ) -> None:
        self._members = society.members
        self._by_id = {member.id: member for member in society.members}
        self._world = world
        self._writer = writer
        self._telephone = telephone
        self._safety = safety
        self._rates = rates
        self._chance = random.Random(seed)
        self._recent: deque[Post] = deque(maxlen=MAX_RECENT)
        self._busy: set[tuple[int, int]] = set()
        """Pairs between whom something is going on."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.reads = 0
        self.troubles: list[str] = []
        """What went wrong with the harness itself."""
        self.shed = 0
        """What was not even begun, because too much was under way."""

    async def run(self, stop: asyncio.Event) -> None:
        """Begin operations at the rates until the event is set, then wait until all have ended."""
        streams: list[tuple[float, Callable[[], Awaitable[None]]]] = [
            (self._rates.posts, self._post),
            (self._rates.reads, self._read),
            (self._rates.others, self._other),
        ]
        due = [time.monotonic() for _ in streams]
        while not stop.is_set():
            now = time.monotonic()
            for place, (rate, act) in enumerate(streams):
                while rate and due[place] <= now:
                    due[place] = max(due[place] + self._chance.expovariate(rate), now - 1.0)
                    self._begin(act)
            await asyncio.sleep(0.01)
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(self, act: Callable[[], Awaitable[None]]) -> None:
        if len(self._tasks) >= MAX_IN_FLIGHT:
            self.shed += 1
            return

        async def run() -> None:
            await act()

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.troubles.append(f"{type(error).__name__}: {error}")

    async def _post(self) -> None:
        member = self._chance.choice(self._members)
        visibility = self._chance.choice(STATUS_VISIBILITIES)
        mentioned = (
            self._chance.choice(self._members) if visibility == "public" and self._chance.random() < 0.05 else None
        )
        named = mentioned.id if mentioned and mentioned.id != member.id else 0
        operation = self._writer.begin(Verb.POST, member.id, visibility=visibility, mentioned=named)
        text = f"{operation.post} @{mentioned.handle}" if mentioned and named else operation.post
        fields = {"status": text, "visibility": visibility}
        await self._made(await self._writer.finish(operation, member.token, "POST", "/api/v1/statuses", fields))

    async def _write_entry(self) -> None:
        member = self._chance.choice(self._members)
        visibility = self._chance.choice(ENTRY_VISIBILITIES)
        operation = self._writer.begin(Verb.WRITE_ENTRY, member.id, visibility=visibility)
        fields = {"title": operation.post, "text": operation.post, "visibility": visibility}
        await self._made(await self._writer.finish(operation, member.token, "POST", "/api/v1/blogs", fields))

    async def _made(self, operation: Operation) -> None:
        if operation.result is Result.OK:
            self._recent.append(self._world.posts[operation.post])

    async def _other(self) -> None:
        chosen = self._chance.random()
        if chosen < 0.35:
            await self._favour()
        elif chosen < 0.5:
            await self._delete()
        elif chosen < 0.65:
            await self._write_entry()
        else:
            await self._between_two()

    async def _delete(self) -> None:
        post = self._chance.choice(self._recent) if self._recent else None
        if post is None or not post.is_there:
            return
        operation = self._writer.begin(Verb.DELETE, post.author, post=post.key)
        path = f"/api/v1/{'statuses' if post.kind == 'status' else 'blogs'}/{post.id}"
        await self._writer.finish(operation, self._by_id[post.author].token, "DELETE", path)

    async def _favour(self) -> None:
        post = self._chance.choice(self._recent) if self._recent else None
        if post is None or not post.is_there or post.kind != "status":
            return
        who = self._chance.choice(self._members)
        lock = (post.id, who.id)
        if lock in self._busy:
            return
        self._busy.add(lock)
        try:
            await self._set_favour(post, who, Verb.FAVOUR)
            if self._chance.random() < 0.2:
                await self._set_favour(post, who, Verb.UNFAVOUR)
        finally:
            self._busy.discard(lock)

    async def _set_favour(self, post: Post, who: Member, verb: Verb) -> None:
        operation = self._writer.begin(verb, who.id, post=post.key, other=post.author)
        path = f"/api/v1/statuses/{post.id}/{'favourite' if verb is Verb.FAVOUR else 'unfavourite'}"
        await self._writer.finish(operation, who.token, "POST", path)

    async def _between_two(self) -> None:
        one = self._chance.choice(self._members)
        friends = sorted(self._world.friends[one.id])
        if friends and self._chance.random() < 0.75:
            other = self._by_id[self._chance.choice(friends)]
        else:
            other = self._chance.choice(self._members)
        pair = (min(one.id, other.id), max(one.id, other.id))
        if one is other or pair in self._busy or self._world.pair(*pair).is_unsure:
            return
        self._busy.add(pair)
        try:
            await self._have_a_story(one, other)
        finally:
            self._busy.discard(pair)

    async def _have_a_story(self, one: Member, other: Member) -> None:
        """Let two fall out and come together, or come together first."""
        if self._world.pair(one.id, other.id).is_friends:
            undoing = {Verb.END: None, Verb.BLOCK: Verb.UNBLOCK, Verb.MUTE: Verb.UNMUTE}
            verb = self._chance.choice(list(undoing))
            await self.relate(verb, one, other)
            await asyncio.sleep(self._chance.random() * AFTERWARDS_SECONDS)
            undone = undoing[verb]
            if undone is not None and self._chance.random() < 0.8:
                await self.relate(undone, one, other)
            if verb is Verb.MUTE:
                return
        await self.relate(Verb.ASK, one, other)
        if self._chance.random() < 0.85:
            await self.relate(Verb.ACCEPT, other, one)

    async def relate(self, verb: Verb, actor: Member, other: Member) -> Operation:
        """Change how two members stand."""
        paths = {
            Verb.ASK: f"accounts/{other.id}/follow",
            Verb.ACCEPT: f"follow_requests/{other.id}/authorize",
            Verb.END: f"accounts/{other.id}/unfollow",
            Verb.BLOCK: f"accounts/{other.id}/block",
            Verb.UNBLOCK: f"accounts/{other.id}/unblock",
            Verb.MUTE: f"accounts/{other.id}/mute",
            Verb.UNMUTE: f"accounts/{other.id}/unmute",
        }
        operation = self._writer.begin(verb, actor.id, other=other.id)
        return await self._writer.finish(operation, actor.token, "POST", f"/api/v1/{paths[verb]}")

    async def _read(self) -> None:
        member = self._chance.choice(self._members)
        chosen = self._chance.random()
        if chosen < 0.7:
            await self.read_home(member)
        elif chosen < 0.9:
            await self.read_profile(member)
        else:
            await self._telephone.ask("GET", "/api/v1/notifications?limit=40", member.token)

    async def read_home(self, member: Member, limit: int = 40) -> bool:
        """Read the first page of a home timeline and check it; tell whether it was answered."""
        began = time.monotonic()
        answer = await self._telephone.ask("GET", f"/api/v1/timelines/home?limit={limit}", member.token)
        if answer is None or answer.code != 200:
            return False
        self.reads += 1
        entries = [(int(post.id), int(post.account.id)) for post in answer.posts()]
        self._safety.check_home(member.id, entries, answer.lowest, began)
        return True

    async def read_profile(self, member: Member, limit: int = 20) -> None:
        """Read the first page of a member's own statuses and check it."""
        began = time.monotonic()
        answer = await self._telephone.ask("GET", f"/api/v1/accounts/{member.id}/statuses?limit={limit}", member.token)
        if answer is not None and answer.code == 200:
            self.reads += 1
            self._safety.check_posts(member.id, [int(post.id) for post in answer.posts()], answer.lowest, began)


def choose(members: Sequence[Member], count: int, seed: int) -> list[Member]:
    """Return so many different members, by seed."""
    return random.Random(seed).sample(list(members), min(count, len(members)))
