"""A network where there is something of everything, for requests that nobody would send."""

from collections.abc import AsyncIterator

import pytest

from chassis.settings import SERVICES
from tests.conftest import fresh_settings, run_services
from tests.integration.gateway.conftest import Member, Network, open_network


@pytest.fixture(scope="module")
async def hana(postgres_url: str, template_database: str) -> AsyncIterator[Member]:
    """A member with every scope, with friends, requests, statuses, replies, favourites and blog entries around her."""
    with fresh_settings(postgres_url, template_database) as settings:
        async with run_services(settings, *SERVICES), open_network(settings) as network:
            members = await network.sign_up("hana", "ken", "mio", "ren", "yui", scopes="read write follow push")
            await populate(network, members)
            yield members[0]


async def populate(network: Network, members: list[Member]) -> None:
    """Let members meet and write."""
    hana, ken, mio, ren, yui = members
    await network.befriend(hana, ken)
    await network.befriend(ken, mio)
    await ren.http.post(f"/api/v1/accounts/{hana.id}/follow")
    await hana.http.post(f"/api/v1/accounts/{yui.id}/follow")
    for member in members:
        for visibility in ("public", "unlisted", "private"):
            body = {"status": f"{visibility} for @hana", "visibility": visibility}
            status = (await member.http.post("/api/v1/statuses", json=body)).raise_for_status().json()["id"]
            await hana.http.post(f"/api/v1/statuses/{status}/favourite")
            await hana.http.post("/api/v1/statuses", json={"status": "an answer", "in_reply_to_id": status})
        entry = {"title": "title", "text": "text", "visibility": "friends_of_friends"}
        (await member.http.post("/api/v1/blogs", json=entry)).raise_for_status()
