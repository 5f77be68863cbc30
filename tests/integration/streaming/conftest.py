"""A gateway with streams before the real services, a real RabbitMQ in between."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from chassis.settings import SERVICES, Settings
from services.gateway.streaming import hub as hub_module
from services.gateway.streaming.hub import Hub
from tests.conftest import run_services
from tests.integration.gateway.conftest import Member, Network, open_network
from tests.world import World, open_world


class Stage:
    """A network whose workers' work is done when a test says so, and whose gateway hears of it through RabbitMQ."""

    def __init__(self, network: Network, world: World, hub: Hub) -> None:
        self.network = network
        self.world = world
        self.hub = hub

    async def friends(self, count: int = 2) -> list[Member]:
        """Sign members up who are all friends."""
        members = [await self.network.newcomer() for _ in range(count)]
        for place, one in enumerate(members):
            for other in members[place + 1 :]:
                await self.network.befriend(one, other)
        await self.world.drain()
        return members

    async def post(self, member: Member, text: str = "こんにちは", *, deliver: bool = True, **form: str) -> str:
        """Post a status and have it delivered; return its id."""
        answer = await member.http.post("/api/v1/statuses", data={"status": text, **form})
        assert answer.status_code == 200, answer.text
        if deliver:
            await self.world.drain()
        return str(answer.json()["id"])

    async def silence(self, condition: Callable[[], bool]) -> None:
        """Wait for something to be so in the gateway."""
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
async def stage(module_settings: Settings, rabbitmq_url: str) -> AsyncIterator[Stage]:
    settings = module_settings.model_copy(update={"broker_url": rabbitmq_url, "timeline_open_work_max_age_ms": 0})
    hubs: list[Hub] = []
    original = Hub.__aenter__

    async def remember(self: Hub) -> Hub:
        hubs.append(self)
        return await original(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hub, "__aenter__", remember)
        async with (
            run_services(settings, *SERVICES),
            open_network(settings) as network,
            open_world(settings) as world,
        ):
            yield Stage(network, world, hubs[0])


@pytest.fixture(autouse=True)
def _hints_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without looks of its own, the gateway finds only what it is told of; tests that mean the looks turn them on."""
    monkeypatch.setattr(hub_module, "LOOK_SECONDS_WITH_HINTS", 600)


def token_of(member: Member) -> str:
    return str(member.http.headers["authorization"].removeprefix("Bearer "))
