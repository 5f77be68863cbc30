"""A home page that is made of what is kept shows what is committed now, to each viewer their own, and nobody what is not theirs."""

from typing import Any

import pytest

from tests.integration.gateway.conftest import Member, Network


async def home(member: Member) -> dict[str, dict[str, Any]]:
    answer = await member.http.get("/api/v1/timelines/home")
    assert answer.status_code == 200, answer.text
    return {status["id"]: status for status in answer.json()}


async def alone(member: Member, status_id: str) -> Any:
    answer = await member.http.get(f"/api/v1/statuses/{status_id}")
    return answer.json() if answer.status_code == 200 else None


@pytest.fixture
async def circle(shared_network: Network) -> tuple[Member, Member, Member, str]:
    """An author with two friends, whose homes are warm, and a status for friends."""
    author, one, other = [await shared_network.newcomer() for _ in range(3)]
    for friend in (one, other):
        await shared_network.befriend(author, friend)
    posted = await author.http.post("/api/v1/statuses", json={"status": "before", "visibility": "private"})
    status_id = posted.json()["id"]
    for member in (author, one, other, one):
        assert status_id in await home(member)
    return author, one, other, status_id


async def test_a_kept_page_is_what_is_read_anew(circle: tuple[Member, Member, Member, str]) -> None:
    author, one, other, status_id = circle
    await one.http.post(f"/api/v1/statuses/{status_id}/favourite")
    await other.http.post("/api/v1/statuses", json={"status": "a reply", "in_reply_to_id": status_id})
    for member in (author, one, other):
        shown = (await home(member))[status_id]
        assert shown == await alone(member, status_id)
        assert (shown["favourited"], shown["favourites_count"]) == (member is one, 1)
    await author.http.put(f"/api/v1/statuses/{status_id}", json={"status": "after"})
    for member in (one, other):
        shown = (await home(member))[status_id]
        assert "after" in shown["content"]
        assert shown == await alone(member, status_id)
    await author.http.patch("/api/v1/accounts/update_credentials", json={"display_name": "Another Name"})
    shown = (await home(other))[status_id]["account"]
    assert (shown["display_name"], shown["statuses_count"], shown["followers_count"]) == ("Another Name", 1, 2)


async def test_what_is_kept_is_shown_to_nobody_who_may_not_see_it(circle: tuple[Member, Member, Member, str]) -> None:
    author, one, other, status_id = circle
    await one.http.post(f"/api/v1/accounts/{author.id}/unfollow")
    assert status_id not in await home(one)
    assert status_id in await home(other)
    await other.http.post(f"/api/v1/accounts/{author.id}/mute")
    assert status_id not in await home(other)
    await other.http.post(f"/api/v1/accounts/{author.id}/unmute")
    assert status_id in await home(other)
    await author.http.delete(f"/api/v1/statuses/{status_id}")
    for member in (author, one, other):
        assert status_id not in await home(member)
