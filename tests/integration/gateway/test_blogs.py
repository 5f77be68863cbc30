"""Blogs as clients see them: drafts, entries, comments, feeds, over HTTP and before all services."""

from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from chassis.settings import SERVICES, Settings
from tests.conftest import run_services
from tests.integration.gateway.conftest import Member, Network, open_network
from tests.integration.gateway.test_bad_input import sentence
from tests.unit.gateway.allowed_html import AllowedHtml
from tests.world import World, open_world

ENTRY = {"title": "題", "text": "*本文*", "visibility": "public"}
ATOM = {"a": "http://www.w3.org/2005/Atom"}


@pytest.fixture(scope="module")
async def both(module_settings: Settings) -> AsyncIterator[tuple[Network, World]]:
    """A network whose workers' work is done by hand."""
    async with (
        run_services(module_settings, *SERVICES),
        open_network(module_settings) as network,
        open_world(module_settings) as world,
    ):
        yield network, world


async def send(member: Member, method: str, path: str, **fields: object) -> Any:
    answer = await member.http.request(method, path, json=fields or None)
    assert answer.status_code == 200, (path, answer.text)
    return answer.json()


async def code(member: Member, method: str, path: str, **fields: object) -> int:
    return (await member.http.request(method, path, json=fields or None)).status_code


async def test_from_a_draft_to_a_friends_comment(both: tuple[Network, World]) -> None:
    network, world = both
    hana, ken = await network.newcomer(), await network.newcomer()
    await network.befriend(hana, ken)
    await world.drain()
    draft = await send(hana, "POST", "/api/v1/blogs/drafts", title="題")
    assert (draft["text"], draft["visibility"]) == ("", "friends")
    path = f"/api/v1/blogs/drafts/{draft['id']}"
    assert (await send(hana, "PUT", path, text="*一*\n二"))["text"] == "*一*\n二"
    assert [one["id"] for one in await send(hana, "GET", "/api/v1/blogs/drafts")] == [draft["id"]]
    assert await send(ken, "GET", "/api/v1/blogs/drafts") == []
    for method, address in (("GET", path), ("PUT", path), ("DELETE", path), ("POST", f"{path}/publish")):
        assert await code(ken, method, address) == 404
    assert await send(ken, "GET", "/api/v1/timelines/home") == []

    entry = await send(hana, "POST", f"{path}/publish", title="題 2")
    assert (entry["title"], entry["text"], entry["visibility"]) == ("題 2", "*一*\n二", "friends")
    assert entry["content"] == "<p><em>一</em><br>\n二</p>\n"
    assert entry["id"] != draft["id"]
    assert await code(hana, "GET", path) == 404
    await world.drain()
    [post] = await send(ken, "GET", "/api/v1/timelines/home")
    assert (post["id"], post["kodama"]["title"]) == (entry["id"], "題 2")
    assert AllowedText(post["content"]).text == "題 2一 二"

    seen = await send(ken, "GET", f"/api/v1/blogs/{entry['id']}")
    assert "text" not in seen, "the source is its author's"
    assert {**seen, "text": entry["text"], "account": entry["account"]} == entry
    comment = await send(ken, "POST", f"/api/v1/blogs/{entry['id']}/comments", text="見たよ https://e.example/")
    assert (comment["account"]["id"], comment["blog_entry_id"]) == (ken.id, entry["id"])
    assert 'href="https://e.example/"' in comment["content"]
    assert await send(hana, "GET", f"/api/v1/blogs/{entry['id']}/comments") == [comment]
    assert (await send(hana, "GET", f"/api/v1/blogs/{entry['id']}"))["comments_count"] == 1


class AllowedText(AllowedHtml):
    """The text of what statuses are made of; whose links say more of themselves."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        plain = [
            (name, "nofollow noopener ugc" if name == "rel" else value) for name, value in attrs if name != "target"
        ]
        super().handle_starttag(tag, plain)

    def __init__(self, html: str) -> None:
        super().__init__(html, "")


async def test_the_author_is_told_of_a_comment_in_a_way_that_clients_know(both: tuple[Network, World]) -> None:
    network, world = both
    hana, ken = await network.newcomer(), await network.newcomer()
    entry = await send(hana, "POST", "/api/v1/blogs", **ENTRY)
    comment = await send(ken, "POST", f"/api/v1/blogs/{entry['id']}/comments", text="一")
    await send(hana, "POST", f"/api/v1/blogs/{entry['id']}/comments", text="自分で")
    await world.drain()
    [told] = await send(hana, "GET", "/api/v1/notifications")
    assert (told["type"], told["account"]["id"], told["status"]["id"]) == ("mention", ken.id, entry["id"])
    assert told["comment"] == comment
    assert await send(hana, "GET", f"/api/v1/notifications/{told['id']}") == told
    assert len((await hana.http.get("/api/v1/notifications", params={"types[]": "mention"})).json()) == 1
    assert (await hana.http.get("/api/v1/notifications", params={"exclude_types[]": "mention"})).json() == []
    gone = await send(hana, "DELETE", f"/api/v1/blogs/comments/{comment['id']}")
    assert gone["content"] == comment["content"]
    assert await send(hana, "GET", "/api/v1/notifications") == []
    assert await code(hana, "GET", f"/api/v1/notifications/{told['id']}") == 404
    assert await code(ken, "DELETE", f"/api/v1/blogs/comments/{comment['id']}") == 404


async def test_an_edit_is_read_everywhere_and_narrowing_is_for_good(both: tuple[Network, World]) -> None:
    network, world = both
    hana, ken = await network.newcomer(), await network.newcomer()
    await network.befriend(hana, ken)
    entry = await send(hana, "POST", "/api/v1/blogs", **ENTRY)
    path = f"/api/v1/blogs/{entry['id']}"
    assert entry["edited_at"] is None
    await world.drain()
    edited = await send(hana, "PUT", path, title="新", text="**新**")
    assert (edited["title"], edited["content"]) == ("新", "<p><strong>新</strong></p>\n")
    assert edited["edited_at"] > entry["created_at"]
    [post] = await send(ken, "GET", "/api/v1/timelines/home")
    assert (post["kodama"]["title"], post["edited_at"]) == ("新", edited["edited_at"])
    assert "新" in (await network.http.get(f"/@{hana.handle}/blog/{entry['id']}")).text
    assert await code(ken, "PUT", path, title="x") == 404

    narrowed = await send(hana, "PUT", path, visibility="self")
    assert (narrowed["visibility"], narrowed["content"]) == ("self", edited["content"])
    assert await code(ken, "GET", path) == 404
    assert await code(ken, "GET", f"{path}/comments") == 404
    assert await send(ken, "GET", "/api/v1/timelines/home") == []
    assert (await network.http.get(f"/@{hana.handle}/blog/{entry['id']}")).status_code == 404
    sentence(await hana.http.put(path, json={"visibility": "friends"}), 422, "visibility")


async def test_friends_of_friends_are_who_they_are_now(both: tuple[Network, World]) -> None:
    network, _ = both
    hana, middle, ken, other = [await network.newcomer() for _ in range(4)]
    await network.befriend(hana, middle)
    entry = await send(hana, "POST", "/api/v1/blogs", **ENTRY | {"visibility": "friends_of_friends"})
    path = f"/api/v1/blogs/{entry['id']}"
    comment = await send(middle, "POST", f"{path}/comments", text="一")

    async def sees(viewer: Member) -> bool:
        codes = {await code(viewer, "GET", address) for address in (path, f"{path}/comments")}
        listed = await send(viewer, "GET", f"/api/v1/accounts/{hana.id}/blogs")
        assert codes == ({200} if listed else {404})
        return bool(listed)

    assert await sees(middle)
    assert not await sees(ken)
    await network.befriend(middle, ken)
    assert await sees(ken)
    assert [one["id"] for one in await send(ken, "GET", f"{path}/comments")] == [comment["id"]]
    await send(hana, "POST", f"/api/v1/accounts/{ken.id}/block")
    assert not await sees(ken), "a block wins"
    await send(hana, "POST", f"/api/v1/accounts/{ken.id}/unblock")
    assert await sees(ken)
    await send(middle, "POST", f"/api/v1/accounts/{ken.id}/block")
    assert not await sees(ken), "who blocked them is no friend any more"
    await network.befriend(other, ken)
    await network.befriend(other, hana)
    assert await sees(ken), "through another friend"
    assert await send(ken, "GET", f"{path}/comments") == [], "whom a block keeps apart is not heard"
    await send(other, "POST", f"/api/v1/accounts/{hana.id}/unfollow")
    assert not await sees(ken)


async def test_comments_are_paged_from_the_oldest_on(both: tuple[Network, World]) -> None:
    network, _ = both
    hana = await network.newcomer()
    entry = await send(hana, "POST", "/api/v1/blogs", **ENTRY)
    path = f"/api/v1/blogs/{entry['id']}/comments"
    said = [(await send(hana, "POST", path, text=str(number)))["id"] for number in range(5)]
    pages: list[list[str]] = []
    address = f"{path}?limit=2"
    while address:
        answer = await hana.http.get(address)
        pages.append([one["id"] for one in answer.json()])
        previous = answer.links.get("prev", {}).get("url", "")
        address = answer.links.get("next", {}).get("url", "")
    assert pages == [said[:2], said[2:4], said[4:]]
    back = await hana.http.get(previous)
    assert [one["id"] for one in back.json()] == said[2:4]
    assert "prev" not in (await hana.http.get(f"{path}?limit=2")).links


async def test_what_is_wrong_is_named(both: tuple[Network, World]) -> None:
    network, _ = both
    hana = await network.newcomer()
    entry = await send(hana, "POST", "/api/v1/blogs", **ENTRY)
    draft = await send(hana, "POST", "/api/v1/blogs/drafts", text="x")
    paths = {
        "entry": f"/api/v1/blogs/{entry['id']}",
        "draft": f"/api/v1/blogs/drafts/{draft['id']}",
        "comments": f"/api/v1/blogs/{entry['id']}/comments",
    }
    for method, path, body, field in (
        ("PUT", paths["entry"], {"title": ""}, "title"),
        ("PUT", paths["entry"], {"text": "x" * 50_001}, "text"),
        ("PUT", paths["entry"], {"visibility": "unlisted"}, "visibility"),
        ("PUT", paths["entry"], {"title": ["x"]}, "title"),
        ("POST", "/api/v1/blogs/drafts", {}, "text"),
        ("POST", "/api/v1/blogs/drafts", {"title": "a\nb"}, "title"),
        ("PUT", paths["draft"], {"text": ""}, "text"),
        ("POST", f"{paths['draft']}/publish", {}, "title"),
        ("POST", paths["comments"], {}, "text"),
        ("POST", paths["comments"], {"text": "x" * 2001}, "text"),
        ("POST", paths["comments"], {"text": "x" * 9000}, "text"),
        ("POST", paths["comments"], {"text": {"a": 1}}, "text"),
    ):
        sentence(await hana.http.request(method, path, json=body), 422, field)
    sentence(await hana.http.get(f"{paths['comments']}?limit=x"), 422, "limit")
    for path in ("/api/v1/blogs/drafts/abc", "/api/v1/blogs/0/comments", "/api/v1/blogs/comments/x"):
        assert await code(hana, "DELETE" if "comments/" in path else "GET", path) == 404
    assert await send(hana, "GET", paths["entry"]) == entry


async def test_every_write_is_done_once_under_its_key(both: tuple[Network, World]) -> None:
    network, _ = both
    hana = await network.newcomer()
    entry = await send(hana, "POST", "/api/v1/blogs", **ENTRY)
    draft = await send(hana, "POST", "/api/v1/blogs/drafts", title="t", text="x")
    for number, (method, path, body) in enumerate(
        (
            ("POST", "/api/v1/blogs/drafts", {"text": "a"}),
            ("PUT", f"/api/v1/blogs/drafts/{draft['id']}", {"text": "b"}),
            ("POST", f"/api/v1/blogs/drafts/{draft['id']}/publish", {}),
            ("PUT", f"/api/v1/blogs/{entry['id']}", {"text": "c"}),
            ("POST", f"/api/v1/blogs/{entry['id']}/comments", {"text": "d"}),
        )
    ):
        key = {"idempotency-key": f"{hana.id}-{number}"}
        first, again = [await hana.http.request(method, path, json=body, headers=key) for _ in range(2)]
        assert (first.status_code, again.json()) == (200, first.json()), path
    assert len(await send(hana, "GET", f"/api/v1/blogs/{entry['id']}/comments")) == 1
    assert len(await send(hana, "GET", "/api/v1/blogs/drafts")) == 1


async def test_a_feed_holds_what_anybody_may_read(both: tuple[Network, World]) -> None:
    network, _ = both
    hana = await network.newcomer()
    feed = f"/users/{hana.handle}/blog.atom"
    for visibility in ("public", "friends_of_friends", "friends", "self"):
        await send(hana, "POST", "/api/v1/blogs", **ENTRY | {"title": visibility, "visibility": visibility})
    await send(hana, "POST", "/api/v1/blogs/drafts", **ENTRY)
    for client in (network.http, hana.http):
        answer = await client.get(feed)
        assert answer.headers["content-type"].partition(";")[0] == "application/atom+xml"
        root = ET.fromstring(answer.content)
        assert [title.text for title in root.findall("a:entry/a:title", ATOM)] == ["public"]
        [content] = root.findall("a:entry/a:content", ATOM)
        assert AllowedHtml(content.text or "", network.url).tags == ["p", "em"]
        links = {link.get("rel"): link.get("href") for link in root.findall("a:link", ATOM)}
        assert links == {"self": f"{network.url}{feed}", "alternate": f"{network.url}/@{hana.handle}"}
    page = (await network.http.get(f"/@{hana.handle}")).text
    assert f'<link rel="alternate" type="application/atom+xml" href="{feed}"' in page
    for number in range(21):
        await send(hana, "POST", "/api/v1/blogs", **ENTRY | {"title": str(number)})
    root = ET.fromstring((await network.http.get(feed)).content)
    titles = [title.text for title in root.findall("a:entry/a:title", ATOM)]
    assert titles == [str(number) for number in range(20, 0, -1)]
    for path in ("/users/nobody/blog.atom", "/users/%00/blog.atom", "/users/a.b/blog.atom"):
        assert (await network.http.get(path)).status_code == 404


async def test_a_feed_that_is_known_is_not_sent_again(both: tuple[Network, World]) -> None:
    network, _ = both
    hana = await network.newcomer()
    feed = f"/users/{hana.handle}/blog.atom"
    entry = await send(hana, "POST", "/api/v1/blogs", **ENTRY)
    first = await network.http.get(feed)
    etag, changed = first.headers["etag"], first.headers["last-modified"]
    moment = parsedate_to_datetime(changed)

    async def asked(**headers: str) -> int:
        answer = await network.http.get(feed, headers={name.replace("_", "-"): one for name, one in headers.items()})
        assert answer.headers["etag"]
        assert (answer.content == b"") == (answer.status_code == 304)
        return answer.status_code

    later, sooner = (format_datetime(moment + timedelta(seconds=by), usegmt=True) for by in (1, -1))
    assert await asked(if_none_match=etag) == 304
    assert await asked(if_none_match=f'"x", W/{etag}') == 304
    assert await asked(if_none_match='"x"', if_modified_since=later) == 200, "the tag decides where there is one"
    assert await asked(if_modified_since=changed) == 304
    assert await asked(if_modified_since=later) == 304
    assert await asked(if_modified_since=sooner) == 200
    for nonsense in ("yesterday", "Mon, 99 Foo 99999 99:99:99 GMT", "0" * 300, ""):
        assert await asked(if_modified_since=nonsense) == 200
    await send(hana, "PUT", f"/api/v1/blogs/{entry['id']}", text="anders")
    assert await asked(if_none_match=etag) == 200
    await send(hana, "PUT", f"/api/v1/blogs/{entry['id']}", visibility="friends")
    gone = await network.http.get(feed, headers={"if-none-match": etag})
    assert b"<entry>" not in gone.content
    assert (await network.http.head(feed)).status_code == 200
