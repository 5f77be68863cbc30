"""What scripts add: a counter that counts as the server does, nothing posted in the middle of a word, scrolling, live changes."""

import gzip
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from playwright.async_api import Page, expect

from tests.pages.conftest import Client, Site

VECTORS = json.loads((Path(__file__).parents[2] / "docs" / "status_length_vectors.json").read_text("utf-8"))
MAX_HOME_BYTES = 60 * 1000
TOP = "id => document.getElementById(id).getBoundingClientRect().top"


def written(text: str | list[list[Any]]) -> str:
    """A vector's text."""
    return text if isinstance(text, str) else "".join(part * times for part, times in text)


async def friends(site: Site) -> tuple[str, Client, str, Page]:
    """A member over HTTP, and a friend of theirs in a browser."""
    writer = site.new_name()
    client = Client(site, await site.sign_up(writer))
    reader, page = await site.member()
    await site.world.befriend(await site.id_of(writer), await site.id_of(reader))
    return writer, client, reader, page


async def test_the_counter_counts_as_the_server_does(site: Site) -> None:
    _, page = await site.member()
    await page.goto("/home")
    wrong = []
    for vector in VECTORS["counted"]:
        text = written(vector["text"])
        await page.evaluate(
            "text => { const area = document.getElementById('compose-status'); area.value = text;"
            " area.dispatchEvent(new Event('input', { bubbles: true })); }",
            text,
        )
        left = await page.locator("#compose .counter").text_content()
        if left != str(150 - vector["count"]):
            wrong.append((vector["name"], vector["count"], left))
    assert wrong == []
    await page.fill("#compose-status", "あ" * 151)
    await expect(page.locator("#compose .counter")).to_have_class(re.compile("over"))
    await page.get_by_role("button", name="Post").click()
    await expect(page.locator("#compose .fault")).to_contain_text("this one has 151")
    await expect(page.locator("#compose-status")).to_have_value("あ" * 151)


async def test_no_half_of_a_word_is_posted(site: Site) -> None:
    """What an input method does, as the browser tells pages of it (UI Events, 5.7)."""
    _, page = await site.member()
    await page.goto("/home")
    await page.focus("#compose-status")
    session = await page.context.new_cdp_session(page)
    await session.send("Input.imeSetComposition", {"text": "こだ", "selectionStart": 2, "selectionEnd": 2})
    await expect(page.locator("#compose-status")).to_have_value("こだ")
    await page.keyboard.press("Control+Enter")
    await page.evaluate("document.getElementById('compose').requestSubmit()")
    await page.evaluate(
        "document.getElementById('compose-status').dispatchEvent(new KeyboardEvent('keydown',"
        " { key: 'Enter', ctrlKey: true, keyCode: 229, bubbles: true }))"
    )
    assert site.world.query("SELECT count(*) FROM status.statuses WHERE text LIKE 'こだ%%'") == [(0,)]
    await session.send("Input.insertText", {"text": "こだま"})
    await expect(page.locator("#compose-status")).to_have_value("こだま")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#timeline .post .text")).to_have_text("こだま")


async def test_nothing_moves_while_one_reads(site: Site) -> None:
    writer, client, _, page = await friends(site)
    writer_id = await site.id_of(writer)
    old = [await site.world.post(writer_id, f"number {number}", 1) for number in range(25)]
    await page.goto("/home")
    await expect(page.locator("#timeline > .post")).to_have_count(20)
    await page.locator(".older").scroll_into_view_if_needed()  # the link below is a link, and is followed by itself
    await expect(page.locator("#timeline > .post")).to_have_count(25)
    await expect(page.locator("#timeline .older a")).to_have_count(0)

    place = await page.evaluate(TOP, f"status-{old[2]}")
    for number in range(3):
        await site.world.post(writer_id, f"new {number}", 1)
    await expect(page.locator("#news a")).to_have_text("3 new")
    moved = await page.evaluate(TOP, f"status-{old[2]}")
    assert abs(moved - place) < 2
    await page.locator("#news a").click()
    await expect(page.locator("#timeline > .post .text").first).to_have_text("new 2")
    await expect(page.locator("#timeline > .post")).to_have_count(28)
    await expect(page.locator("#news")).to_be_hidden()

    # What is deleted goes; what is changed changes.
    token = await client.token()
    await client.post(f"/statuses/{old[24]}/delete", token=token)
    await expect(page.locator(f"#status-{old[24]}")).to_have_count(0)


async def test_signing_out_elsewhere_ends_what_is_live(site: Site) -> None:
    handle = site.new_name()
    secret = await site.sign_up(handle)
    page = await site.visitor()
    await site.sign_in(page, secret)
    await page.goto("/home")
    await page.evaluate(
        "() => { window.ended = new Promise(done => { new EventSource('/live').onerror = () => done(true); }); }"
    )
    await Client(site, secret).post("/sign-out")
    assert await page.evaluate("window.ended")


async def test_home_is_light_and_asks_nobody_else(site: Site) -> None:
    """A full page of posts, with everything it loads but pictures, as it comes over the wire."""
    writer, _, reader, page = await friends(site)
    writer_id = await site.id_of(writer)
    for number in range(25):
        await site.world.post(writer_id, f"{number} " + "ことば words " * 11, 1)
    secret = next(cookie["value"] for cookie in await page.context.cookies() if cookie["name"] == "__Host-kodama")
    html = await Client(site, str(secret)).get("/home")
    assert html.headers["content-encoding"] == "gzip"
    assert html.text.count('class="post ') == 20
    sizes = {"/home": len(gzip.compress(html.content))}
    for path in re.findall(r'(?:src|href)="(/assets/[^"]+)"', html.text):
        asset = await site.network.http.get(urljoin(site.url, path))
        assert asset.headers["content-encoding"] == "gzip"
        sizes[path] = int(asset.headers["content-length"])
    assert len(sizes) == 5
    print(f"home: {sizes}, together {sum(sizes.values())} bytes")  # noqa: T201 - the figure itself, for who looks
    assert sum(sizes.values()) < MAX_HOME_BYTES
    assert reader


async def test_pages_of_one_member_differ_in_size_from_time_to_time(site: Site) -> None:
    """Compressed pages tell nothing by their sizes: each is padded, and its form token is masked anew."""
    client = Client(site, await site.sign_up(site.new_name()))
    pages = [await client.get("/settings/profile") for _ in range(8)]
    assert len({page.headers["content-length"] for page in pages}) > 1
    assert len({await client.token() for _ in range(3)}) == 3
