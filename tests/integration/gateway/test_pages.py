"""What a browser sees: only what everybody may see, and nothing of it as markup."""

from html.parser import HTMLParser

from services.gateway.static_files import address_of
from tests.integration.gateway.conftest import Member, Network

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'


class Elements(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_a_profile_shows_what_everybody_may_see(network: Network) -> None:
    hana, ken = await network.sign_up("hana", "ken")
    ids = []
    for text, visibility in (("one", "public"), ("two", "unlisted"), ("secret", "private"), ("three", "public")):
        answer = await hana.http.post("/api/v1/statuses", json={"status": text, "visibility": visibility})
        ids.append(answer.json()["id"])
    for title, visibility in (("Open", "public"), ("Hidden", "friends")):
        entry = {"title": title, "text": "long\n\nstory", "visibility": visibility}
        ids.append((await hana.http.post("/api/v1/blogs", json=entry)).json()["id"])
    one, two, secret, three, open_entry, hidden_entry = ids

    for client in (network.http, hana.http, ken.http):  # a token changes nothing on a page
        profile = await client.get("/@hana")
        assert profile.headers["content-type"] == "text/html; charset=utf-8"
        text = Elements(profile.text).text
        assert "three" in text
        assert "two" in text
        assert "one" not in Elements(profile.text.replace("stone", "")).text
        assert "Open" in text
        assert not any(hidden in profile.text for hidden in ("secret", "Hidden", hidden_entry))
        assert 'href="/@hana/statuses"' in profile.text
        everything = Elements((await client.get("/@hana/statuses")).text).text
        assert all(word in everything for word in ("one", "two", "three"))
        assert "secret" not in everything
        for status_id in (one, two, three):
            assert (await client.get(f"/@hana/{status_id}")).status_code == 200
        assert "story" in (await client.get(f"/@hana/blog/{open_entry}")).text
        moved = await client.get(f"/@hana/{open_entry}")
        assert (moved.status_code, moved.headers["location"]) == (302, f"/@hana/blog/{open_entry}")
        for path in (f"/@hana/{secret}", f"/@hana/blog/{hidden_entry}", f"/@ken/{one}", f"/@ken/blog/{open_entry}"):
            missing = await client.get(path)
            assert missing.status_code == 404, path
            assert missing.headers["content-type"].startswith("text/html")
        for path in ("/@nobody", "/@nobody/statuses", "/@hana/abc", "/@hana/0", "/@%00", "/@" + "x" * 100):
            assert (await client.get(path)).status_code == 404, path
    assert "Kodama" in (await network.http.get("/")).text


async def test_a_status_stands_in_its_thread(shared_network: Network) -> None:
    hana, ken = await shared_network.newcomer(), await shared_network.newcomer()
    await shared_network.befriend(hana, ken)

    async def post(member: Member, text: str, **fields: str) -> str:
        made = await member.http.post("/api/v1/statuses", json={"status": text, **fields})
        return str(made.json()["id"])

    root = await post(hana, "the root")
    middle = await post(ken, f"the middle, @{hana.handle}", in_reply_to_id=root)
    await post(hana, "the hidden", in_reply_to_id=middle, visibility="private")
    await post(hana, "the leaf", in_reply_to_id=middle)
    page = (await shared_network.http.get(f"/@{ken.handle}/{middle}")).text
    text = Elements(page).text
    places = [text.index(part) for part in ("the root", "the middle", "Replies", "the leaf")]
    assert places == sorted(places)
    assert "the hidden" not in page
    assert f'href="{shared_network.url}/@{hana.handle}" class="u-url mention"' in page
    await hana.http.put(f"/api/v1/statuses/{root}", json={"status": "the new root"})
    assert "edited" in (await shared_network.http.get(f"/@{hana.handle}/{root}")).text


async def test_nothing_that_members_write_is_markup(network: Network) -> None:
    app = network.signed_in(await network.app_token())
    form = {"username": "eve", "email": "eve@example.com", "password": "x" * 10, "agreement": True}
    token = (await app.post("/api/v1/accounts", json=form | {"display_name": HOSTILE})).json()["access_token"]
    eve = network.signed_in(token)
    status = (await eve.post("/api/v1/statuses", json={"status": HOSTILE})).json()
    entry = {"title": HOSTILE, "text": HOSTILE * 3, "visibility": "public"}
    entry_id = (await eve.post("/api/v1/blogs", json=entry)).json()["id"]
    blog = (await eve.get(f"/api/v1/statuses/{entry_id}")).json()
    for html in (status["content"], blog["content"], (await eve.get(f"/api/v1/blogs/{entry_id}")).json()["content"]):
        assert {tag for tag, _ in Elements(html).seen} <= {"p", "a", "br"}
        assert "alert(1)" in Elements(html).text
    for path in ("/@eve", "/@eve/statuses", f"/@eve/{status['id']}", f"/@eve/blog/{entry_id}"):
        page = await network.http.get(path)
        elements = Elements(page.text)
        assert HOSTILE in elements.text
        assert all(str(each["src"]).startswith("/assets/") for tag, each in elements.seen if tag == "script")
        assert all(
            attributes["src"] == f"/avatars/{status['account']['id']}.svg"
            for tag, attributes in elements.seen
            if tag == "img"
        )
        assert not [name for _, attributes in elements.seen for name in attributes if name.startswith("on")]


async def test_pictures(network: Network) -> None:
    [hana] = await network.sign_up("hana")
    account = (await hana.http.get("/api/v1/accounts/verify_credentials")).json()
    for name in ("avatar", "avatar_static", "header", "header_static"):
        picture = await network.http.get(account[name])
        assert picture.headers["content-type"] == "image/svg+xml"
        assert "immutable" in picture.headers["cache-control"]
    assert (await network.http.get("/avatars/abc.svg")).status_code == 404
    for name, media_type in (
        ("kodama.css", "text/css"),
        ("kodama.js", "text/javascript"),
        ("htmx.js", "text/javascript"),
    ):
        asset = await network.http.get(address_of(name))
        assert asset.headers["content-type"].startswith(media_type)
        assert asset.headers["content-encoding"] == "gzip"
        assert "immutable" in asset.headers["cache-control"]
        assert (
            "content-encoding"
            not in (await network.http.get(address_of(name), headers={"accept-encoding": ""})).headers
        )
    assert (await network.http.get("/assets/kodama.css")).status_code == 404
