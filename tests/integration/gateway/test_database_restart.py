"""What clients notice of a restart of PostgreSQL: 503 while it lasts, and nothing of it afterwards."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic

import httpx
import pytest

from chassis.migrate import migrate
from chassis.settings import SERVICES
from tests.conftest import run_services, settings_for
from tests.database_switch import Switch
from tests.integration.gateway.conftest import Network, open_network

HOME = "/api/v1/timelines/home"
AT_ONCE = 24
OUTAGE_SECONDS = 3


@pytest.fixture
async def network(switch: Switch) -> AsyncIterator[Network]:
    """A network on a PostgreSQL of its own."""
    settings = settings_for(switch.server.url)
    await asyncio.to_thread(migrate, settings)
    async with run_services(settings, *SERVICES), open_network(settings) as opened:
        yield opened


async def _codes(client: httpx.AsyncClient, count: int = AT_ONCE) -> set[int]:
    """Read and post at once; return the HTTP statuses of the answers."""
    reads = [client.get(HOME) for _ in range(count)]
    posts = [client.post("/api/v1/statuses", json={"status": f"echo {number}"}) for number in range(count // 4)]
    return {answer.status_code for answer in await asyncio.gather(*reads, *posts)}


async def test_after_a_restart_every_request_is_answered(network: Network, switch: Switch) -> None:
    [ann] = await network.sign_up("ann")
    assert await _codes(ann.http) == {200}  # and every pool has as many connections as it needs
    before = [status["id"] for status in (await ann.http.get(HOME)).json()]
    await asyncio.to_thread(switch.off)
    await asyncio.to_thread(switch.on)
    assert await _codes(ann.http) == {200}
    after = [status["id"] for status in (await ann.http.get(HOME, params={"limit": 40})).json()]
    assert set(before) < set(after)


async def test_during_an_outage_clients_are_told_to_come_back_and_are_served_when_it_is_over(
    network: Network, switch: Switch
) -> None:
    [ann] = await network.sign_up("ann")
    assert await _codes(ann.http) == {200}
    await asyncio.to_thread(switch.off)
    outage_ends = monotonic() + OUTAGE_SECONDS
    while monotonic() < outage_ends:
        answer = await ann.http.get(HOME)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert await _codes(ann.http) == {503}
    await asyncio.to_thread(switch.on)
    assert await _codes(ann.http) == {200}
