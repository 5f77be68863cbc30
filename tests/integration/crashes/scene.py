"""Three members and what they have made, before one of their processes dies."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from chassis.ledger import payloads_of
from tests.integration.crashes.network import Network


@dataclass
class Scene:
    """Anna and Ben are friends, both read; Clara is nobody's friend and has never read."""

    network: Network
    anna: int
    ben: int
    clara: int
    status: int = 0
    """Ben's."""
    own_status: int = 0
    """Anna's."""
    entry: int = 0
    """Ben's."""
    own_entry: int = 0
    """Anna's."""
    made: list[Any] = field(default_factory=list)
    """What the calls before have answered."""

    @property
    def members(self) -> list[int]:
        return [self.anna, self.ben, self.clara]

    def count(self, query: str) -> int:
        """Return the number that a query about these members answers with; it names them by %(anna)s and so on."""
        [(found,)] = self.network.world.query(
            query.replace("ANNA", str(self.anna)).replace("BEN", str(self.ben)).replace("CLARA", str(self.clara))
        )
        return int(str(found))

    def work(self, task: str) -> list[dict[str, int]]:
        """Return the open changes of a task that are about these members or what they have made, or about everybody."""
        about = {
            *self.members,
            *(answer.media.id for answer in self.made if "media" in answer.DESCRIPTOR.fields_by_name),
        }
        return [
            payload
            for row in self.network.open_work()
            if row.task == task
            for payload in payloads_of(row.payload)
            if "generation" in payload or about & set(payload.values())
        ]


async def begin(network: Network, count: int) -> list[Scene]:
    """Return so many scenes with members of their own, in a network at rest."""
    world = network.world
    members: list[Any] = await world.members(3 * count)
    scenes = [Scene(network, *members[number : number + 3]) for number in range(0, len(members), 3)]
    await asyncio.gather(*(world.befriend(scene.anna, scene.ben) for scene in scenes))
    await asyncio.gather(*(world.home(reader) for scene in scenes for reader in (scene.anna, scene.ben)))
    await network.come_to_rest()

    async def make(scene: Scene) -> None:
        scene.status, scene.own_status = await asyncio.gather(world.post(scene.ben), world.post(scene.anna))
        scene.entry, scene.own_entry = await asyncio.gather(world.write(scene.ben), world.write(scene.anna))

    await asyncio.gather(*map(make, scenes))
    await network.come_to_rest()
    return scenes
