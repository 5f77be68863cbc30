"""The way of a new member: app, token, sign-up, post, friendship, home, blog, profile."""

import re

from tests.integration.gateway.conftest import Network


async def test_from_sign_up_to_a_friends_home(network: Network) -> None:
    hana, ken = await network.sign_up("hana", "ken")

    asked = await hana.http.post(f"/api/v1/accounts/{ken.id}/follow")
    assert asked.json() == asked.json() | {"id": ken.id, "requested": True, "following": False}
    waiting = await ken.http.get("/api/v1/follow_requests")
    assert [account["acct"] for account in waiting.json()] == ["hana"]
    accepted = await ken.http.post(f"/api/v1/follow_requests/{hana.id}/authorize")
    assert accepted.json() == accepted.json() | {"id": hana.id, "following": True, "followed_by": True}

    posted = await hana.http.post("/api/v1/statuses", json={"status": "おはよう http://example.com/a."})
    assert posted.status_code == 200, posted.text
    status = posted.json()
    assert status["url"] == f"{network.url}/@hana/{status['id']}"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", status["created_at"])
    assert '<a href="http://example.com/a" ' in status["content"]
    assert status["account"]["statuses_count"] == 1
    assert status["visibility"] == "public"

    entry = await hana.http.post("/api/v1/blogs", data={"title": "日記", "text": "長い話\n\nつづく"})
    assert entry.status_code == 200, entry.text
    assert entry.json()["visibility"] == "friends"

    home = await ken.http.get("/api/v1/timelines/home")
    assert [post["id"] for post in home.json()] == [entry.json()["id"], status["id"]]
    blog = home.json()[0]
    kodama = {"kind": "blog_entry", "title": "日記", "visibility": "friends", "comments_count": 0}
    assert blog["kodama"] == kodama
    assert f'<a href="{network.url}/@hana/blog/{blog["id"]}"' in blog["content"]
    assert blog["url"] == f"{network.url}/@hana/blog/{blog['id']}"

    read = await ken.http.get(f"/api/v1/statuses/{blog['id']}")
    assert read.json() == blog
    own = (await hana.http.get("/api/v1/accounts/verify_credentials")).json()
    assert (own["followers_count"], own["following_count"], own["source"]["privacy"]) == (1, 1, "public")

    deleted = await hana.http.delete(f"/api/v1/statuses/{status['id']}")
    assert deleted.json()["text"] == "おはよう http://example.com/a."
    assert (await ken.http.get(f"/api/v1/statuses/{status['id']}")).status_code == 404
    assert [post["id"] for post in (await ken.http.get("/api/v1/timelines/home")).json()] == [blog["id"]]
