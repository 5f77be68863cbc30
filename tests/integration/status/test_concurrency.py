"""Many members at the same few statuses at once: every outcome is one that could have come about one after the other."""

import asyncio
import random

from chassis.errors import InvalidField, KodamaError, NotFound
from tests.integration.status.conftest import FRIENDS, PUBLIC, UNLISTED, Wall

WORKERS, STEPS = 15, 12
ACTS = ("reply", "reply", "favourite", "favourite", "unfavourite", "edit", "narrow", "delete")


class Crowd:
    """Members who do anything to the latest statuses of each other."""

    def __init__(self, wall: Wall, members: list[int]) -> None:
        self._wall = wall
        self._chance = random.Random(20)
        self._members = members
        self._posted: list[tuple[int, int]] = []
        self.done: set[str] = set()
        self.failures: list[KodamaError] = []

    async def work(self) -> None:
        for _ in range(STEPS):
            act = self._chance.choice(ACTS)
            try:
                await self._act(act, self._chance.choice(self._members))
                self.done.add(act)
            except (NotFound, InvalidField) as error:
                self.failures.append(error)

    async def post(self, member: int, *, visibility: int = PUBLIC, reply_to: int = 0) -> None:
        status = await self._wall.post(member, visibility=visibility, reply_to=reply_to)
        self._posted.append((member, status.id))

    async def _act(self, act: str, member: int) -> None:
        author, status_id = self._chance.choice(self._posted[-10:])
        match act:
            case "reply":
                visibility = self._chance.choice((PUBLIC, UNLISTED, FRIENDS))
                await self.post(member, visibility=visibility, reply_to=status_id)
            case "favourite":
                await self._wall.favourite(member, status_id)
            case "unfavourite":
                await self._wall.unfavourite(member, status_id)
            case "edit":
                await self._wall.update(author, status_id, text=f"{self._chance.random()}")
            case "narrow":
                await self._wall.update(author, status_id, visibility=self._chance.choice((UNLISTED, FRIENDS)))
            case _:
                await self._wall.delete(author, status_id)


async def test_everything_at_once_leaves_no_trace(wall: Wall) -> None:
    """Nothing fails but for what is gone or narrow already, nobody waits in a circle, and a recount finds every count right."""
    members = await wall.friends(5)
    crowd = Crowd(wall, members)
    for member in members:
        await crowd.post(member)
    await asyncio.gather(*(crowd.work() for _ in range(WORKERS)))
    assert crowd.done == set(ACTS)
    assert {error.metadata.get("field") for error in crowd.failures} <= {None, "in_reply_to_id", "visibility"}
    assert not wall.drift()
