"""Notifications and markers as clients read them."""

from collections.abc import AsyncIterator

import pytest

from chassis.settings import SERVICES, Settings
from tests.conftest import run_services
from tests.integration.gateway.conftest import Network, open_network
from tests.world import World, open_world


@pytest.fixture(scope="module")
async def both(module_settings: Settings) -> AsyncIterator[tuple[Network, World]]:
    """A network whose workers' work is done by hand."""
    async with (
        run_services(module_settings, *SERVICES),
        open_network(module_settings) as network,
        open_world(module_settings) as world,
    ):
        yield network, world


async def test_a_friend_request_and_its_answer(both: tuple[Network, World]) -> None:
    network, world = both
    ann, bob = await network.newcomer(), await network.newcomer()
    await ann.http.post(f"/api/v1/accounts/{bob.id}/follow")
    await world.drain()
    [asked] = (await bob.http.get("/api/v1/notifications")).json()
    assert (asked["type"], asked["account"]["id"], "status" in asked) == ("follow_request", ann.id, False)
    assert (await bob.http.get(f"/api/v1/notifications/{asked['id']}")).json() == asked
    assert (await bob.http.get("/api/v1/notifications/unread_count")).json() == {"count": 1}
    await bob.http.post(f"/api/v1/follow_requests/{ann.id}/authorize")
    await world.drain()
    [accepted] = (await ann.http.get("/api/v1/notifications")).json()
    assert (accepted["type"], accepted["account"]["id"]) == ("follow", bob.id)
    assert (await bob.http.get("/api/v1/notifications")).json() == []
    assert (await bob.http.get(f"/api/v1/notifications/{asked['id']}")).status_code == 404


async def test_types_are_chosen_and_unknown_ones_choose_nothing(both: tuple[Network, World]) -> None:
    network, world = both
    ann, bob = await network.newcomer(), await network.newcomer()
    await ann.http.post(f"/api/v1/accounts/{bob.id}/follow")
    await world.drain()
    for params, count in (
        ({"types[]": "follow_request"}, 1),
        ({"types[]": ["mention", "favourite", "admin.sign_up"]}, 0),
        ({"types[]": "poll"}, 0),
        ({"exclude_types[]": "follow_request"}, 0),
        ({"exclude_types[]": ["follow", "poll", "reblog"]}, 1),
        ({"account_id": ann.id}, 1),
        ({"account_id": bob.id}, 0),
    ):
        answer = await bob.http.get("/api/v1/notifications", params=params)
        assert (answer.status_code, len(answer.json())) == (200, count), params
        counted = await bob.http.get("/api/v1/notifications/unread_count", params=params)
        assert counted.json() == {"count": count}, params


async def test_pages_lead_to_each_other(both: tuple[Network, World]) -> None:
    network, world = both
    reader = await network.newcomer()
    others = [await network.newcomer() for _ in range(5)]
    for other in others:
        await other.http.post(f"/api/v1/accounts/{reader.id}/follow")
        await world.drain()
    seen: list[str] = []
    address = "/api/v1/notifications?limit=2"
    while address:
        answer = await reader.http.get(address)
        seen += [one["account"]["id"] for one in answer.json()]
        address = answer.links.get("next", {}).get("url", "")
    assert seen == [other.id for other in reversed(others)]


async def test_dismissed_and_cleared_ones_are_gone(both: tuple[Network, World]) -> None:
    network, world = both
    reader, one, other = await network.newcomer(), await network.newcomer(), await network.newcomer()
    for asker in (one, other):
        await asker.http.post(f"/api/v1/accounts/{reader.id}/follow")
    await world.drain()
    newest, oldest = (await reader.http.get("/api/v1/notifications")).json()
    answer = await reader.http.post(f"/api/v1/notifications/{newest['id']}/dismiss")
    assert (answer.status_code, answer.json()) == (200, {})
    assert (await reader.http.get("/api/v1/notifications")).json() == [oldest]
    assert (await reader.http.post(f"/api/v1/notifications/{newest['id']}/dismiss")).status_code == 404
    assert (await one.http.post(f"/api/v1/notifications/{oldest['id']}/dismiss")).status_code == 404
    assert (await reader.http.post("/api/v1/notifications/clear")).json() == {}
    assert (await reader.http.get("/api/v1/notifications")).json() == []


async def test_markers_are_kept_per_list(both: tuple[Network, World]) -> None:
    network, _ = both
    reader = await network.newcomer()
    assert (await reader.http.get("/api/v1/markers", params={"timeline[]": "home"})).json() == {}
    saved = (await reader.http.post("/api/v1/markers", json={"home": {"last_read_id": "7"}})).json()
    assert (saved["home"]["last_read_id"], saved["home"]["version"]) == ("7", 1)
    form = {"home[last_read_id]": "9", "notifications[last_read_id]": "5"}
    saved = (await reader.http.post("/api/v1/markers", data=form)).json()
    assert {name: (one["last_read_id"], one["version"]) for name, one in saved.items()} == {
        "home": ("9", 2),
        "notifications": ("5", 1),
    }
    asked = {"timeline[]": ["notifications", "nothing"]}
    assert (await reader.http.get("/api/v1/markers", params=asked)).json() == {"notifications": saved["notifications"]}
    assert (await reader.http.get("/api/v1/markers")).json() == saved


@pytest.mark.parametrize("body", [{"home": {"last_read_id": "x"}}, {"home": 5}, {"notifications": {}}])
async def test_a_marker_without_a_place_is_refused(both: tuple[Network, World], body: dict[str, object]) -> None:
    network, _ = both
    reader = await network.newcomer()
    answer = await reader.http.post("/api/v1/markers", json=body)
    assert (answer.status_code, bool(answer.json()["field"])) == (422, True), answer.text


async def test_each_scope_opens_its_own(both: tuple[Network, World]) -> None:
    network, _ = both
    [member] = await network.sign_up("reads_notifications", scopes="read:notifications")
    assert (await member.http.get("/api/v1/notifications")).status_code == 200
    assert (await member.http.post("/api/v1/notifications/clear")).status_code == 403
    assert (await member.http.get("/api/v1/markers")).status_code == 403
