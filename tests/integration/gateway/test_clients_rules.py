"""The rules of the Mastodon client API that real clients depend on."""

import asyncio
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from services.social_graph.worker import open_context
from tests.integration.gateway.conftest import PASSWORD, Member, Network


def links(answer: httpx.Response) -> dict[str, str]:
    return {rel: url for url, rel in re.findall(r'<([^>]+)>; rel="(\w+)"', answer.headers.get("link", ""))}


async def post(member: Member, text: str, **fields: Any) -> dict[str, Any]:
    answer = await member.http.post("/api/v1/statuses", json={"status": text, **fields})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_bodies_of_all_forms_mean_the_same(network: Network) -> None:
    [hana] = await network.sign_up("hana")
    want = {"status": "おはよう\nみんな", "visibility": "private"}
    requests: list[dict[str, Any]] = [
        {"json": want},
        {"data": want},
        {"files": {name: (None, value) for name, value in want.items()}},
        {"params": want},
        {"params": {"status": "overruled"}, "json": want},
        {"json": want | {"in_reply_to_id": None, "media_ids": [], "poll": {"options": []}}},
        {
            "content": "status=おはよう\nみんな&visibility=private".encode(),
            "headers": {"content-type": "application/x-www-form-urlencoded"},
        },
    ]
    for request in requests:
        answer = await hana.http.post("/api/v1/statuses", **request)
        assert answer.status_code == 200, (request, answer.text)
        assert answer.json()["content"] == "<p>おはよう<br>みんな</p>"
        assert answer.json()["visibility"] == "private"


async def test_an_idempotency_key_posts_once(network: Network) -> None:
    [hana] = await network.sign_up("hana")
    for path, body, other in (
        ("/api/v1/statuses", {"status": "once"}, {"status": "twice"}),
        ("/api/v1/blogs", {"title": "t", "text": "once"}, {"title": "t", "text": "twice"}),
    ):
        key = {"idempotency-key": "7f1c"}
        answers = await asyncio.gather(*(hana.http.post(path, json=body, headers=key) for _ in range(4)))
        codes = {answer.status_code for answer in answers}
        assert 200 in codes
        assert codes <= {200, 409}  # 409 while the first is still running
        answers.append(await hana.http.post(path, json=body, headers=key))
        assert len({answer.json()["id"] for answer in answers if answer.status_code == 200}) == 1
        assert (await hana.http.post(path, json=other, headers=key)).status_code == 422
    assert len((await hana.http.get("/api/v1/timelines/home")).json()) == 2


async def test_pages_by_link(network: Network) -> None:
    hana, ken = await network.sign_up("hana", "ken")
    await network.befriend(hana, ken)
    ids = [(await post(hana, f"number {number}"))["id"] for number in range(5)][::-1]
    for path in (f"/api/v1/accounts/{hana.id}/statuses", "/api/v1/timelines/home/"):
        two = await ken.http.get(path, params={"limit": 2})
        assert [status["id"] for status in two.json()] == ids[:2]
        assert re.match(r'<http://[^>]+>; rel="next", <http://[^>]+>; rel="prev"', two.headers["link"])
        query = parse_qs(urlsplit(links(two)["next"]).query)
        assert query == {"limit": ["2"], "max_id": [ids[1]]}
        seen, page = [*two.json()], two
        while "next" in links(page):
            page = await ken.http.get(links(page)["next"])
            seen += page.json()
        assert [status["id"] for status in seen] == ids
        assert (await ken.http.get(links(two)["prev"])).json() == []
        above = await ken.http.get(path, params={"min_id": ids[-1], "limit": 2})
        assert [status["id"] for status in above.json()] == ids[2:4]
        assert [status["id"] for status in (await ken.http.get(links(above)["prev"])).json()] == ids[:2]
        assert [one["id"] for one in (await ken.http.get(path, params={"since_id": ids[1]})).json()] == ids[:1]
        first = await ken.http.get(path, params={"min_id": "0", "limit": 1})
        assert [status["id"] for status in first.json()] == ids[-1:]


async def test_friendship_in_the_words_of_following(network: Network) -> None:
    hana, ken, mio = await network.sign_up("hana", "ken", "mio")

    async def how(one: Member, other: Member) -> set[str]:
        answer = await one.http.get("/api/v1/accounts/relationships", params={"id[]": [other.id]})
        [relationship] = answer.json()
        assert relationship["id"] == other.id
        return {name for name, value in relationship.items() if value is True}

    async def act(one: Member, verb: str, other: Member) -> set[str]:
        answer = await one.http.post(f"/api/v1/accounts/{other.id}/{verb}")
        assert answer.status_code == 200, answer.text
        return {name for name, value in answer.json().items() if value is True}

    friends = {"following", "followed_by", "showing_reblogs"}
    assert await act(hana, "follow", ken) == {"requested"}
    assert await how(ken, hana) == {"requested_by"}
    assert await act(hana, "unfollow", ken) == set()
    await act(hana, "follow", ken)
    assert (await ken.http.post(f"/api/v1/follow_requests/{hana.id}/reject")).status_code == 200
    assert await how(hana, ken) == set()
    assert (await ken.http.post(f"/api/v1/follow_requests/{hana.id}/authorize")).status_code == 404
    await act(hana, "follow", ken)
    assert await act(ken, "follow", hana) == friends  # whoever asks back accepts
    assert await how(hana, ken) == friends
    assert await act(ken, "remove_from_followers", hana) == set()
    await network.befriend(hana, ken)
    await network.befriend(hana, mio)
    assert await act(hana, "block", ken) == {"blocking"}
    assert await how(ken, hana) == {"blocked_by"}
    assert (await ken.http.post(f"/api/v1/accounts/{hana.id}/follow")).status_code == 404
    assert (await ken.http.get(f"/api/v1/accounts/{hana.id}/followers")).json() == []
    mine = await hana.http.get(f"/api/v1/accounts/{hana.id}/following")
    assert [account["acct"] for account in mine.json()] == ["mio"]
    assert await act(hana, "unblock", ken) == set()


async def test_lists_of_members(network: Network) -> None:
    hana, *others = await network.sign_up("hana", "m1", "m2", "m3")
    for other in others:
        await network.befriend(hana, other)
    path = f"/api/v1/accounts/{hana.id}/followers"
    page = await hana.http.get(path, params={"limit": 2})
    assert len(page.json()) == 2
    rest = await hana.http.get(links(page)["next"])
    assert {one["acct"] for one in page.json() + rest.json()} == {"m1", "m2", "m3"}
    assert "next" not in links(rest)
    ids = [others[2].id, "77", others[0].id]
    found = await hana.http.get("/api/v1/accounts", params={"id[]": ids})
    assert [account["acct"] for account in found.json()] == ["m3", "m1"]
    domain = network.url.removeprefix("http://")
    for acct in ("m1", "@m1", "M1", f"m1@{domain}", f"@m1@{domain.upper()}"):
        assert (await hana.http.get("/api/v1/accounts/lookup", params={"acct": acct})).json()["id"] == others[0].id


async def test_what_a_viewer_may_not_see_is_not_there(network: Network) -> None:
    hana, ken = await network.sign_up("hana", "ken")
    private = await post(hana, "for friends", visibility="private")
    public = await post(hana, "for all")
    diary = (await hana.http.post("/api/v1/blogs", json={"title": "t", "text": "x", "visibility": "self"})).json()
    for status_id in (private["id"], diary["id"]):
        assert (await ken.http.get(f"/api/v1/statuses/{status_id}")).status_code == 404
        assert (await hana.http.get(f"/api/v1/statuses/{status_id}")).status_code == 200
        assert (await ken.http.delete(f"/api/v1/statuses/{status_id}")).status_code == 404
    assert (await ken.http.get(f"/api/v1/blogs/{diary['id']}")).status_code == 404
    listed = await ken.http.get(f"/api/v1/accounts/{hana.id}/statuses")
    assert [status["id"] for status in listed.json()] == [public["id"]]
    assert (await ken.http.get(f"/api/v1/accounts/{hana.id}/blogs")).json() == []
    gone = await hana.http.delete(f"/api/v1/blogs/{diary['id']}")
    assert (gone.json()["text"], gone.json()["visibility"]) == ("x", "self")


async def test_a_page_of_very_long_entries_is_whole(network: Network) -> None:
    """Together they are larger than one answer of the blog service may be."""
    [hana] = await network.sign_up("hana")
    entry = {"title": "long", "text": "👪" * 50_000}
    ids = [(await hana.http.post("/api/v1/blogs", json=entry)).json()["id"] for _ in range(18)][::-1]
    home = await hana.http.get("/api/v1/timelines/home", params={"limit": 40})
    assert [post["id"] for post in home.json()] == ids
    assert len(home.content) < 100_000  # excerpts only
    page = await hana.http.get(f"/api/v1/accounts/{hana.id}/blogs", params={"limit": 40})
    seen = [one["id"] for one in page.json()]
    while "next" in links(page):
        page = await hana.http.get(links(page)["next"])
        seen += [one["id"] for one in page.json()]
    assert seen == ids


async def test_suggestions_say_through_whom(network: Network) -> None:
    hana, ken, mio = await network.sign_up("hana", "ken", "mio")
    await network.befriend(hana, ken)
    await network.befriend(ken, mio)
    async with open_context(network.settings) as computing:
        await computing.refreshing.refresh({int(hana.id)})
    [suggestion] = (await hana.http.get("/api/v2/suggestions")).json()
    assert (suggestion["source"], suggestion["sources"]) == ("friends_of_friends", ["friends_of_friends"])
    assert (suggestion["account"]["acct"], suggestion["mutuals_count"]) == ("mio", 1)
    assert [mutual["acct"] for mutual in suggestion["mutuals"]] == ["ken"]
    assert suggestion["mutuals_hidden"] is False
    [part] = suggestion["score_parts"]
    assert (part["name"], part["value"], part["contribution"]) == ("mutual_friends", 1, 0.5)
    assert [account["acct"] for account in (await hana.http.get("/api/v1/suggestions")).json()] == ["mio"]


async def test_a_suggestion_is_explained_dismissed_and_brought_back(network: Network) -> None:
    hana, ken, mio, zoe = await network.sign_up("hana", "ken", "mio", "zoe")
    await network.befriend(hana, ken)
    await network.befriend(ken, mio)
    mine = f"/api/v1/suggestions/{mio.id}"
    why = (await hana.http.get(f"{mine}/why")).json()
    assert (why["account"]["acct"], why["suggested"], why["rank"], why["obstacles"]) == ("mio", True, 1, [])
    assert (why["mutuals_count"], why["score"], len(why["score_parts"])) == (1, 0.5, 1)
    assert (await hana.http.delete(mine)).json() == {}
    assert (await hana.http.get("/api/v2/suggestions")).json() == []
    why = (await hana.http.get(f"{mine}/why")).json()
    assert (why["suggested"], why["rank"], why["obstacles"], why["sources"]) == (False, None, ["dismissed"], [])
    await hana.http.delete(f"/api/v1/suggestions/{zoe.id}")
    first = await hana.http.get("/api/v1/suggestions/dismissed", params={"limit": 1})
    second = await hana.http.get(links(first)["next"])
    assert [one["account"]["acct"] for one in (*first.json(), *second.json())] == ["zoe", "mio"]
    assert first.json()[0]["expires_at"] is None
    for _ in range(2):
        assert (await hana.http.post(f"{mine}/undo")).json() == {}
    assert [one["account"]["acct"] for one in (await hana.http.get("/api/v2/suggestions")).json()] == ["mio"]
    await mio.http.patch("/api/v1/accounts/update_credentials", json={"discoverable": False})
    assert (await hana.http.get("/api/v2/suggestions")).json() == []
    assert (await hana.http.get(f"{mine}/why")).json()["obstacles"] == ["not_discoverable"]
    assert (await mio.http.get(f"/api/v1/suggestions/{hana.id}/why")).json()["suggested"] is True
    assert (await hana.http.get("/api/v1/suggestions/1/why")).status_code == 404
    assert (await hana.http.get(f"/api/v1/suggestions/{hana.id}/why")).status_code == 422


async def test_the_network_describes_itself(shared_network: Network) -> None:
    for slash in ("", "/"):
        first = (await shared_network.http.get(f"/api/v1/instance{slash}")).json()
        second = (await shared_network.http.get(f"/api/v2/instance{slash}")).json()
    domain = shared_network.url.removeprefix("http://")
    assert re.fullmatch(r"4\.2\.0 \(compatible; kodama \d+\.\d+\.\d+\)", first["version"])
    assert (first["uri"], first["urls"]["streaming_api"]) == (domain, f"ws://{domain}")
    assert (second["domain"], second["configuration"]["urls"]["streaming"]) == (domain, f"ws://{domain}")
    for one in (first, second):
        statuses = one["configuration"]["statuses"]
        assert (statuses["max_characters"], statuses["characters_reserved_per_url"]) == (150, 23)
    assert (await shared_network.http.get("/.well-known/oauth-authorization-server")).status_code == 404


async def test_apps_and_their_tokens(shared_network: Network) -> None:
    for uris in ("urn:ietf:wg:oauth:2.0:oob", ["urn:ietf:wg:oauth:2.0:oob", "https://app.example/cb"]):
        form = {"client_name": "toot", "redirect_uris": uris, "scopes": "read write", "website": "https://app.example"}
        app = (await shared_network.http.post("/api/v1/apps", json=form)).json()
        assert (app["name"], app["redirect_uri"].split()[0], app["website"]) == (
            "toot",
            form_uri(uris),
            form["website"],
        )
    client = (app["client_id"], app["client_secret"])
    request = {"grant_type": "client_credentials", "scope": "read"}
    in_body = {**request, "client_id": client[0], "client_secret": client[1]}
    for answer in (
        await shared_network.http.post("/oauth/token", data=request, auth=client),
        await shared_network.http.post("/oauth/token", json=in_body),
    ):
        token = answer.json()
        assert (token["token_type"], token["scope"], type(token["created_at"])) == ("Bearer", "read", int)
        assert answer.headers["cache-control"] == "no-store"
    own = await shared_network.signed_in(token["access_token"]).get("/api/v1/apps/verify_credentials")
    assert own.json()["name"] == "toot"
    assert "client_secret" not in own.text
    for change, code, error in (
        ({"grant_type": "authorization_code"}, 400, "invalid_request"),
        ({"grant_type": "authorization_code", "code": "unknown"}, 400, "invalid_grant"),
        ({"grant_type": "refresh_token"}, 400, "unsupported_grant_type"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "unsupported_grant_type"),
        ({"scope": "read push"}, 400, "invalid_scope"),
        ({"scope": "nonsense"}, 400, "invalid_scope"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": ""}, 401, "invalid_client"),
        ({"client_id": "a\0"}, 401, "invalid_client"),
    ):
        refused = await shared_network.http.post("/oauth/token", data=in_body | change)
        assert (refused.status_code, refused.json()["error"]) == (code, error), (change, refused.text)
        assert refused.json()["error_description"]
    for basic in ("Basic !", "Basic " + "/w==", "Basic"):
        refused = await shared_network.http.post("/oauth/token", data=request, headers={"authorization": basic})
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
        assert refused.headers["www-authenticate"].startswith("Basic")
    bad = {"client_name": "x", "redirect_uris": "javascript:alert(1)"}
    for field, answer in (
        ("redirect_uris", await shared_network.http.post("/api/v1/apps", data=bad)),
        ("client_name", await shared_network.http.post("/api/v1/apps", data={"redirect_uris": "https://a.example"})),
        (
            "client_name",
            await shared_network.http.post("/api/v1/apps", data=bad | {"client_name": " ", "redirect_uris": "a:b"}),
        ),
    ):
        assert (answer.status_code, answer.json()["field"]) == (422, field)


def form_uri(uris: str | list[str]) -> str:
    return uris if isinstance(uris, str) else uris[0]


async def test_a_refused_sign_up_says_everything_at_once(network: Network) -> None:
    http = network.signed_in(await network.app_token())
    good = {"username": "hana", "email": "hana@example.com", "password": PASSWORD, "agreement": True}
    answer = await http.post("/api/v1/accounts", data={"username": "a b", "email": "x", "password": "1"})
    assert answer.status_code == 422
    assert {field: faults[0]["error"] for field, faults in answer.json()["details"].items()} == {
        "username": "ERR_INVALID",
        "email": "ERR_INVALID",
        "password": "ERR_TOO_SHORT",
        "agreement": "ERR_ACCEPTED",
    }
    assert answer.json()["error"].startswith("Validation failed: ")
    signed_up = await http.post("/api/v1/accounts", data=good | {"agreement": "true", "locale": "ja-JP"})
    assert set(signed_up.json()) == {"access_token", "token_type", "scope", "created_at"}
    member = network.signed_in(signed_up.json()["access_token"])
    assert (await member.get("/api/v1/accounts/verify_credentials")).json()["source"]["language"] == "ja"
    for change, field, code in (
        ({"email": "other@example.com"}, "username", "ERR_TAKEN"),
        ({"username": "other"}, "email", "ERR_TAKEN"),
        ({"username": "Other"}, "username", "ERR_INVALID"),
        ({"username": "o", "email": "a@b@c"}, "email", "ERR_INVALID"),
        ({"username": "o", "email": "o@example.com", "display_name": "x" * 61}, "display_name", "ERR_INVALID"),
    ):
        refused = await http.post("/api/v1/accounts", json=good | change)
        assert refused.status_code == 422, change
        assert {name: faults[0]["error"] for name, faults in refused.json()["details"].items()} == {field: code}
    both = await http.post("/api/v1/accounts", json=good)
    assert {name: faults[0]["error"] for name, faults in both.json()["details"].items()} == {
        "username": "ERR_TAKEN",
        "email": "ERR_TAKEN",
    }
    surrogate = b'{"username": "x", "password": "\\udc00aaaaaaaa"}'
    raw = await http.post("/api/v1/accounts", content=surrogate, headers={"content-type": "application/json"})
    assert raw.status_code in (400, 422)
