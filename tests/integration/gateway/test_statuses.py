"""Statuses over HTTP, field for field as clients of the Mastodon API read them: replies, threads, mentions, edits, favourites."""

import asyncio
import re
from typing import Any

import httpx
import pytest

from tests.integration.gateway.conftest import Member, Network


async def post(member: Member, text: str = "hello", **fields: object) -> dict[str, Any]:
    answer = await member.http.post("/api/v1/statuses", json={"status": text, **fields})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def get(member: Member, path: str, code: int = 200, **params: object) -> Any:
    answer = await member.http.get(path, params={name: str(value) for name, value in params.items()})
    assert answer.status_code == code, answer.text
    return answer.json()


def links(answer: httpx.Response) -> dict[str, str]:
    return {relation: address for address, relation in re.findall(r'<([^>]+)>; rel="(\w+)"', answer.headers["link"])}


@pytest.fixture
async def friends(shared_network: Network) -> tuple[Member, Member, Member]:
    """Two friends and a stranger."""
    hana, ken, stranger = [await shared_network.newcomer() for _ in range(3)]
    await shared_network.befriend(hana, ken)
    return hana, ken, stranger


async def test_a_thread(friends: tuple[Member, Member, Member]) -> None:
    hana, ken, stranger = friends
    root = await post(hana, "root")
    reply = await post(ken, "reply", in_reply_to_id=root["id"])
    assert (reply["in_reply_to_id"], reply["in_reply_to_account_id"]) == (root["id"], hana.id)
    assert (root["in_reply_to_id"], root["in_reply_to_account_id"], root["replies_count"]) == (None, None, 0)
    private = await post(hana, "private", in_reply_to_id=reply["id"], visibility="private")
    thread = await get(ken, f"/api/v1/statuses/{reply['id']}/context")
    assert [one["id"] for one in thread["ancestors"]] == [root["id"]]
    assert [one["id"] for one in thread["descendants"]] == [private["id"]]
    assert thread["ancestors"][0]["replies_count"] == 1
    assert (await get(stranger, f"/api/v1/statuses/{reply['id']}/context"))["descendants"] == []
    await get(stranger, f"/api/v1/statuses/{private['id']}/context", 404)
    refused = await stranger.http.post("/api/v1/statuses", json={"status": "x", "in_reply_to_id": private["id"]})
    assert (refused.status_code, refused.json()["field"]) == (404, "in_reply_to_id")
    assert (await get(ken, f"/api/v1/accounts/{ken.id}/statuses", exclude_replies=1)) == []
    deleted = await hana.http.delete(f"/api/v1/statuses/{root['id']}")
    assert deleted.json()["replies_count"] == 1
    assert (await get(ken, f"/api/v1/statuses/{reply['id']}"))["in_reply_to_id"] is None


async def test_mentions_are_links_and_let_in(shared_network: Network, friends: tuple[Member, Member, Member]) -> None:
    hana, ken, stranger = friends
    text = f"@{stranger.handle} & @{ken.handle.upper()}: see https://a.example/@{ken.handle} @nobody_here"
    status = await post(hana, text, visibility="direct")
    assert status["visibility"] == status["kodama"]["visibility"] == "direct"
    base = shared_network.url
    assert status["mentions"] == [
        {"id": one.id, "username": one.handle, "acct": one.handle, "url": f"{base}/@{one.handle}"}
        for one in (stranger, ken)
    ]
    links_to = re.findall(r'<a href="([^"]+)" class="u-url mention">@<span>(\w+)</span></a>', status["content"])
    assert links_to == [
        (f"{base}/@{stranger.handle}", stranger.handle),
        (f"{base}/@{ken.handle}", ken.handle.upper()),
    ]
    assert "&amp;" in status["content"]
    assert status["content"].count("<a ") == 3
    for member in (hana, ken, stranger):
        assert (await get(member, f"/api/v1/statuses/{status['id']}"))["content"] == status["content"]
    outsider = await shared_network.newcomer()
    await get(outsider, f"/api/v1/statuses/{status['id']}", 404)
    home = [one["id"] for one in await get(ken, "/api/v1/timelines/home")]
    assert status["id"] not in home
    assert status["id"] in [one["id"] for one in await get(hana, "/api/v1/timelines/home")]
    await stranger.http.post(f"/api/v1/accounts/{hana.id}/block")
    await get(stranger, f"/api/v1/statuses/{status['id']}", 404)


async def test_favourites(friends: tuple[Member, Member, Member]) -> None:
    hana, ken, stranger = friends
    posted = [await post(hana, f"{number}") for number in range(3)]
    for status in posted:
        answers = await asyncio.gather(*(ken.http.post(f"/api/v1/statuses/{status['id']}/favourite") for _ in range(3)))
        for answer in answers:
            assert (answer.json()["favourited"], answer.json()["favourites_count"]) == (True, 1)
    seen = await get(hana, f"/api/v1/statuses/{posted[0]['id']}")
    assert (seen["favourited"], seen["favourites_count"]) == (False, 1)
    [newest] = [one for one in await get(ken, "/api/v1/timelines/home") if one["id"] == posted[2]["id"]]
    assert newest["favourited"]

    page = await ken.http.get("/api/v1/favourites", params={"limit": 2})
    assert [one["id"] for one in page.json()] == [posted[2]["id"], posted[1]["id"]]
    rest = await ken.http.get(links(page)["next"])
    assert [one["id"] for one in rest.json()] == [posted[0]["id"]]
    assert "next" not in links(rest)
    back = await ken.http.get(links(rest)["prev"])
    assert [one["id"] for one in back.json()] == [posted[2]["id"], posted[1]["id"]]

    await stranger.http.post(f"/api/v1/statuses/{posted[0]['id']}/favourite")
    by = await hana.http.get(f"/api/v1/statuses/{posted[0]['id']}/favourited_by", params={"limit": 1})
    assert [one["id"] for one in by.json()] == [stranger.id]
    by = await hana.http.get(links(by)["next"])
    assert [one["id"] for one in by.json()] == [ken.id]
    taken = await ken.http.post(f"/api/v1/statuses/{posted[0]['id']}/unfavourite")
    assert (taken.json()["favourited"], taken.json()["favourites_count"]) == (False, 1)

    await hana.http.put(f"/api/v1/statuses/{posted[1]['id']}", json={"visibility": "direct"})
    assert [one["id"] for one in await get(ken, "/api/v1/favourites")] == [posted[2]["id"]]
    for verb in ("favourite", "unfavourite"):
        gone = await ken.http.post(f"/api/v1/statuses/{posted[1]['id']}/{verb}")
        assert gone.status_code == 404


async def test_favouring_what_is_being_hidden_answers_nothing_of_it(friends: tuple[Member, Member, Member]) -> None:
    hana, _, stranger = friends
    for number in range(6):
        path = f"/api/v1/statuses/{(await post(hana, 'open'))['id']}"

        async def hide(path: str = path) -> None:
            await hana.http.put(path, json={"visibility": "private"})
            await hana.http.put(path, json={"status": "secret"})

        key = {"idempotency-key": f"hide {number}"}
        favoured, _ = await asyncio.gather(stranger.http.post(f"{path}/favourite", headers=key), hide())
        assert favoured.status_code in (200, 404)
        assert "secret" not in favoured.text
        assert (await stranger.http.post(f"{path}/favourite", headers=key)).status_code == 404


async def test_blog_entries_among_statuses(friends: tuple[Member, Member, Member]) -> None:
    hana, _, _ = friends
    entry = (await hana.http.post("/api/v1/blogs", json={"title": "t", "text": "x"})).json()["id"]
    assert await get(hana, f"/api/v1/statuses/{entry}/context") == {"ancestors": [], "descendants": []}
    refused = await hana.http.post(f"/api/v1/statuses/{entry}/favourite")
    assert refused.status_code == 422
    for method, path in (("PUT", ""), ("GET", "/source"), ("GET", "/history"), ("GET", "/favourited_by")):
        answer = await hana.http.request(method, f"/api/v1/statuses/{entry}{path}")
        assert answer.status_code == 404, path
    reply = await hana.http.post("/api/v1/statuses", json={"status": "x", "in_reply_to_id": entry})
    assert (reply.status_code, reply.json()["field"]) == (404, "in_reply_to_id")


async def test_editing_and_narrowing(friends: tuple[Member, Member, Member]) -> None:
    hana, ken, stranger = friends
    status = await post(hana, "frist")
    path = f"/api/v1/statuses/{status['id']}"
    assert status["edited_at"] is None
    edited = (await hana.http.put(path, json={"status": "first"}, headers={"idempotency-key": "e"})).json()
    assert (edited["content"], edited["created_at"]) == ("<p>first</p>", status["created_at"])
    assert edited["edited_at"] > status["created_at"]
    again = await hana.http.put(path, json={"status": "first"}, headers={"idempotency-key": "e"})
    assert again.json() == edited
    assert await get(ken, f"{path}/source") == {"id": status["id"], "text": "first", "spoiler_text": ""}
    history = await get(ken, f"{path}/history")
    assert [one["content"] for one in history] == ["<p>frist</p>", "<p>first</p>"]
    assert [one["created_at"] for one in history] == [status["created_at"], edited["edited_at"]]

    for visibility, code in (("unlisted", 200), ("private", 404), ("direct", 404)):
        narrowed = await hana.http.put(path, data={"visibility": visibility})
        assert narrowed.json()["visibility"] == visibility, narrowed.text
        assert narrowed.json()["edited_at"] == edited["edited_at"]
        assert (await stranger.http.get(path)).status_code == code
    assert (await ken.http.get(path)).status_code == 404
    widened = await hana.http.put(path, json={"visibility": "public"})
    assert (widened.status_code, widened.json()["field"]) == (422, "visibility")
    for body, field in (
        ({"status": " "}, "status"),
        ({"status": "a" * 151}, "status"),
        ({"visibility": "x"}, "visibility"),
    ):
        answer = await hana.http.put(path, json=body)
        assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert (await ken.http.put(path, json={"status": "mine"})).status_code == 404


async def test_without_a_visibility_the_settings_decide(friends: tuple[Member, Member, Member]) -> None:
    hana, _, _ = friends
    assert (await post(hana))["visibility"] == "public"
    await hana.http.patch("/api/v1/accounts/update_credentials", json={"source": {"privacy": "private"}})
    assert (await post(hana))["visibility"] == "private"
    assert (await post(hana, visibility="unlisted"))["visibility"] == "unlisted"


async def test_what_has_been_posted_is_counted_with_its_author(friends: tuple[Member, Member, Member]) -> None:
    """It is counted once, direct ones are not, and what a key has posted before is counted already."""
    hana, _, _ = friends

    async def counted(key: str, **fields: object) -> tuple[int, int, str | None]:
        answer = await hana.http.post(
            "/api/v1/statuses", json={"status": "hello", **fields}, headers={"Idempotency-Key": key}
        )
        author = answer.json()["account"]
        return author["statuses_count"], author["followers_count"], author["last_status_at"]

    today = (await post(hana))["created_at"][:10]
    assert await counted("direct", visibility="direct") == (1, 1, today)
    assert await counted("one") == (2, 1, today)
    assert await counted("one") == (2, 1, today)
    assert (await get(hana, f"/api/v1/accounts/{hana.id}"))["statuses_count"] == 2


async def test_the_settings_of_whoever_posts_at_the_same_time_are_not_mixed_up(
    friends: tuple[Member, Member, Member],
) -> None:
    privacies = ("private", "unlisted", "public")
    for member, privacy in zip(friends, privacies, strict=True):
        await member.http.patch("/api/v1/accounts/update_credentials", json={"source": {"privacy": privacy}})
    posted = await asyncio.gather(*(post(member, f"number {number}") for number in range(4) for member in friends))
    assert [(one["account"]["id"], one["visibility"]) for one in posted] == [
        (member.id, privacy) for member, privacy in zip(friends, privacies, strict=True)
    ] * 4


async def test_several_statuses_by_id(friends: tuple[Member, Member, Member]) -> None:
    hana, _, stranger = friends
    public, private = await post(hana), await post(hana, visibility="private")
    ids = [private["id"], public["id"], "99", public["id"]]
    found = (await hana.http.get("/api/v1/statuses", params={"id[]": ids})).json()
    assert [one["id"] for one in found] == [private["id"], public["id"]]
    found = (await stranger.http.get("/api/v1/statuses", params={"id[]": ids})).json()
    assert [one["id"] for one in found] == [public["id"]]


async def test_the_profile_and_all_of_it(friends: tuple[Member, Member, Member]) -> None:
    hana, ken, stranger = friends
    posted = [(await post(hana, visibility="private" if number == 2 else "public"))["id"] for number in range(5)]
    latest = await stranger.http.get(f"/api/v1/accounts/{hana.id}/statuses", params={"limit": 2})
    assert [one["id"] for one in latest.json()] == [posted[4], posted[3]]
    rest = await stranger.http.get(links(latest)["next"])
    assert [one["id"] for one in rest.json()] == [posted[1], posted[0]]
    assert len(await get(ken, f"/api/v1/accounts/{hana.id}/statuses")) == 5
    above = await get(ken, f"/api/v1/accounts/{hana.id}/statuses", min_id=posted[1], limit=2)
    assert [one["id"] for one in above] == [posted[3], posted[2]]
    since = await get(ken, f"/api/v1/accounts/{hana.id}/statuses", since_id=posted[1], limit=2)
    assert [one["id"] for one in since] == [posted[4], posted[3]]
    for nothing in ({"pinned": 1}, {"only_media": "true"}, {"tagged": "kodama"}):
        assert await get(ken, f"/api/v1/accounts/{hana.id}/statuses", **nothing) == []
    assert len(await get(ken, f"/api/v1/accounts/{hana.id}/statuses", exclude_reblogs="true")) == 5
