"""How members stand to each other, as clients of the Mastodon API see it."""

import re
from datetime import UTC, datetime, timedelta

import httpx

from tests.integration.gateway.conftest import Member, Network


async def relation(viewer: Member, other: Member) -> dict[str, object]:
    answer = await viewer.http.get("/api/v1/accounts/relationships", params={"id[]": other.id})
    [found] = answer.json()
    assert isinstance(found, dict)
    return found


async def ids(http: httpx.AsyncClient, path: str, **params: object) -> list[str]:
    """Follow the Link header to the end."""
    seen: list[str] = []
    answer = await http.get(path, params=params)  # type: ignore[arg-type]  # numbers and texts
    while True:
        assert answer.status_code == 200, answer.text
        seen += [one["id"] for one in answer.json()]
        following = re.search(r'<([^>]+)>; rel="next"', answer.headers.get("link", ""))
        if following is None:
            return seen
        answer = await http.get(following[1])


async def test_asking_withdrawing_accepting_rejecting(shared_network: Network) -> None:
    ann, bob = await shared_network.newcomer(), await shared_network.newcomer()
    asked = (await ann.http.post(f"/api/v1/accounts/{bob.id}/follow")).json()
    assert (asked["requested"], asked["following"]) == (True, False)
    assert await relation(ann, bob) == asked
    assert (await relation(bob, ann))["requested_by"]
    assert await ids(ann.http, "/api/v1/follow_requests/outgoing") == [bob.id]
    assert await ids(bob.http, "/api/v1/follow_requests") == [ann.id]
    assert not (await ann.http.post(f"/api/v1/accounts/{bob.id}/unfollow")).json()["requested"]
    assert await ids(ann.http, "/api/v1/follow_requests/outgoing") == []
    assert (await bob.http.post(f"/api/v1/follow_requests/{ann.id}/authorize")).status_code == 404

    await ann.http.post(f"/api/v1/accounts/{bob.id}/follow")
    assert not (await bob.http.post(f"/api/v1/follow_requests/{ann.id}/reject")).json()["requested_by"]
    await ann.http.post(f"/api/v1/accounts/{bob.id}/follow")
    accepted = (await bob.http.post(f"/api/v1/follow_requests/{ann.id}/authorize")).json()
    assert (accepted["following"], accepted["followed_by"]) == (True, True)
    assert await ids(ann.http, f"/api/v1/accounts/{bob.id}/followers") == [ann.id]
    assert await ids(ann.http, f"/api/v1/accounts/{ann.id}/following") == [bob.id]
    for path in ("unfollow", "remove_from_followers"):
        ended = (await ann.http.post(f"/api/v1/accounts/{bob.id}/{path}")).json()
        assert (ended["following"], ended["followed_by"]) == (False, False)
        assert not (await relation(bob, ann))["following"]
        await ann.http.post(f"/api/v1/accounts/{bob.id}/follow")
        crossing = (await bob.http.post(f"/api/v1/accounts/{ann.id}/follow")).json()
        assert (crossing["following"], crossing["followed_by"], crossing["requested"]) == (True, True, False)


async def test_blocking(shared_network: Network) -> None:
    ann, bob = await shared_network.newcomer(), await shared_network.newcomer()
    await shared_network.befriend(ann, bob)
    blocked = (await ann.http.post(f"/api/v1/accounts/{bob.id}/block")).json()
    assert (blocked["blocking"], blocked["following"]) == (True, False)
    assert (await relation(bob, ann))["blocked_by"]
    assert await ids(ann.http, "/api/v1/blocks") == [bob.id]
    assert await ids(bob.http, "/api/v1/blocks") == []
    assert await ids(bob.http, f"/api/v1/accounts/{ann.id}/followers") == []
    refused = await bob.http.post(f"/api/v1/accounts/{ann.id}/follow")
    nobody = await bob.http.post("/api/v1/accounts/9223372036854775807/follow")
    assert (refused.status_code, refused.json()) == (404, nobody.json())
    assert not (await ann.http.post(f"/api/v1/accounts/{bob.id}/unblock")).json()["blocking"]
    assert await ids(ann.http, "/api/v1/blocks") == []


async def test_muting(shared_network: Network) -> None:
    ann, bob = await shared_network.newcomer(), await shared_network.newcomer()
    await shared_network.befriend(ann, bob)
    await bob.http.post("/api/v1/statuses", json={"status": "hello"})
    muted = (await ann.http.post(f"/api/v1/accounts/{bob.id}/mute")).json()
    assert (muted["muting"], muted["muting_notifications"], muted["muting_expires_at"]) == (True, True, None)
    assert muted["following"]
    assert await relation(ann, bob) == muted
    assert not (await relation(bob, ann))["muting"]
    assert (await ann.http.get("/api/v1/timelines/home")).json() == []
    [listed] = (await ann.http.get("/api/v1/mutes")).json()
    assert (listed["id"], listed["username"], listed["mute_expires_at"]) == (bob.id, bob.handle, None)

    body = {"duration": 3600, "notifications": False}
    timed = (await ann.http.post(f"/api/v1/accounts/{bob.id}/mute", json=body)).json()
    assert (timed["muting"], timed["muting_notifications"]) == (True, False)
    until = datetime.fromisoformat(timed["muting_expires_at"])
    assert abs(until - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=5)
    assert (await ann.http.get("/api/v1/mutes")).json()[0]["mute_expires_at"] == timed["muting_expires_at"]

    assert not (await ann.http.post(f"/api/v1/accounts/{bob.id}/unmute")).json()["muting"]
    assert await ids(ann.http, "/api/v1/mutes") == []
    assert len((await ann.http.get("/api/v1/timelines/home")).json()) == 1


async def test_bad_mutes(shared_network: Network) -> None:
    ann, bob = await shared_network.newcomer(), await shared_network.newcomer()
    for duration in (-1, 10**9, 2**70, "soon"):
        answer = await ann.http.post(f"/api/v1/accounts/{bob.id}/mute", json={"duration": duration})
        assert (answer.status_code, answer.json()["field"]) == (422, "duration")
    assert (await ann.http.post(f"/api/v1/accounts/{ann.id}/mute")).status_code == 422
    assert (await ann.http.post("/api/v1/accounts/9223372036854775807/mute")).status_code == 404
    assert not (await relation(ann, bob))["muting"]


async def test_familiar_followers(shared_network: Network) -> None:
    ann, bob, eve, joe = [await shared_network.newcomer() for _ in range(4)]
    for friend in (bob, eve):
        await shared_network.befriend(ann, friend)
        await shared_network.befriend(friend, joe)
    path = "/api/v1/accounts/familiar_followers"
    answer = await ann.http.get(path, params={"id[]": [joe.id, bob.id, "9223372036854775807", joe.id]})
    found = {one["id"]: [account["id"] for account in one["accounts"]] for one in answer.json()}
    assert found == {joe.id: sorted([bob.id, eve.id], key=int), bob.id: []}
    await joe.http.post(f"/api/v1/accounts/{ann.id}/block")
    [hidden] = (await ann.http.get(path, params={"id[]": joe.id})).json()
    assert hidden == {"id": joe.id, "accounts": []}
    assert (await ann.http.get(path)).json() == []
    too_many = await ann.http.get(path, params={"id[]": [str(number) for number in range(1, 42)]})
    assert (too_many.status_code, too_many.json()["field"]) == (422, "id")


async def test_a_member_hides_their_friends(shared_network: Network) -> None:
    ann, bob = await shared_network.newcomer(), await shared_network.newcomer()
    await shared_network.befriend(ann, bob)
    hidden = await ann.http.patch("/api/v1/accounts/update_credentials", json={"hide_collections": True})
    assert hidden.json()["hide_collections"]
    assert (await bob.http.get(f"/api/v1/accounts/{ann.id}")).json()["hide_collections"]
    for path in ("followers", "following"):
        assert await ids(bob.http, f"/api/v1/accounts/{ann.id}/{path}") == []
        assert await ids(ann.http, f"/api/v1/accounts/{ann.id}/{path}") == [bob.id]
    await ann.http.patch("/api/v1/accounts/update_credentials", json={"hide_collections": False})
    assert await ids(bob.http, f"/api/v1/accounts/{ann.id}/followers") == [bob.id]


async def test_lists_are_paged_by_link(shared_network: Network) -> None:
    ann = await shared_network.newcomer()
    others = [await shared_network.newcomer() for _ in range(5)]
    for other in others:
        await other.http.post(f"/api/v1/accounts/{ann.id}/follow")
    latest_first = [other.id for other in others][::-1]
    assert await ids(ann.http, "/api/v1/follow_requests", limit=2) == latest_first
    for other in others:
        await ann.http.post(f"/api/v1/follow_requests/{other.id}/authorize")
        await ann.http.post(f"/api/v1/accounts/{other.id}/mute")
    assert await ids(ann.http, "/api/v1/mutes", limit=2) == latest_first
    assert await ids(ann.http, f"/api/v1/accounts/{ann.id}/followers", limit=2) == sorted(latest_first, key=int)
    for other in others:
        await ann.http.post(f"/api/v1/accounts/{other.id}/block")
    assert await ids(ann.http, "/api/v1/blocks", limit=2) == latest_first
    for other in others:
        await ann.http.post(f"/api/v1/accounts/{other.id}/unblock")
        await ann.http.post(f"/api/v1/accounts/{other.id}/follow")
    assert await ids(ann.http, "/api/v1/follow_requests/outgoing", limit=2) == latest_first
    for path in ("mutes", "blocks", "follow_requests", "follow_requests/outgoing", f"accounts/{ann.id}/followers"):
        bad = await ann.http.get(f"/api/v1/{path}", params={"max_id": "?"})
        assert (bad.status_code, bad.json()["field"]) == (422, "max_id")
