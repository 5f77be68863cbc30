"""A whole network on a real socket for clients that were written for others, and its ledgers' work done by hand."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import pytest

from chassis.settings import SERVICES
from tests.conftest import fresh_settings, run_services
from tests.integration.gateway.conftest import Member, Network, open_network
from tests.world import World, open_world

Answer = TypeVar("Answer")


class Stage:
    """The network, three members of whom the first two are friends, and the workers."""

    def __init__(self, network: Network, world: World, members: list[Member]) -> None:
        self.network = network
        self.world = world
        self.hana, self.ken, self.mio = members

    @property
    def domain(self) -> str:
        """Host and port, as clients write them."""
        return self.network.url.removeprefix("http://")

    @staticmethod
    def token_of(member: Member) -> str:
        """Return a member's access token."""
        return str(member.http.headers["authorization"]).removeprefix("Bearer ")

    async def run(self, session: Callable[[], Answer]) -> Answer:
        """Run what a client does, which blocks, while the services of this process answer it."""
        return await asyncio.to_thread(session)


@pytest.fixture(scope="module")
async def stage(postgres_url: str, template_database: str) -> AsyncIterator[Stage]:
    """A network of its own for each client."""
    with fresh_settings(postgres_url, template_database) as made:
        fresh = made.model_copy(update={"password_grant": True})  # toot's login_cli has no other way
        async with run_services(fresh, *SERVICES), open_network(fresh) as network, open_world(fresh) as world:
            members = await network.sign_up("hana", "ken", "mio")
            await network.befriend(members[0], members[1])
            await world.drain()
            yield Stage(network, world, members)
