"""WCAG 2.2 AA as far as a program can tell (axe-core): on every page, light and dark, on a phone and at a desk; and by keyboard."""

import re
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.pages.conftest import DESK, PHONE, Client, Site

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
GUISE_RULES = {
    "runOnly": {
        "type": "rule",
        "values": [
            *("color-contrast", "target-size", "link-in-text-block", "scrollable-region-focusable"),
            *("html-has-lang", "html-lang-valid", "valid-lang", "meta-viewport"),
        ],
    }
}
"""What scheme, width and language can change; everything else is the same markup, and was looked at."""
VISITORS = ("/", "/sign-in", "/sign-up", "/nothing/here", "/auth/confirm?token=x", "/oauth/authorize")
MEMBERS = (
    *(
        "/home",
        "/home/friends",
        "/friends",
        "/search?q=m",
        "/suggestions",
        "/notifications",
        "/blog/write",
        "/blog/drafts",
    ),
    *("/settings/profile", "/settings/privacy", "/settings/appearance", "/settings/apps", "/settings/password"),
)


class Furnished:
    """A member who has of everything something, and the addresses of it."""

    def __init__(self, secret: str, paths: list[str]) -> None:
        self.secret = secret
        self.paths = paths


@pytest.fixture(scope="module")
async def furnished(whole_site: Site) -> Furnished:
    site = whole_site
    own, friend, asking = (site.new_name("axe") for _ in range(3))
    secrets = {handle: await site.sign_up(handle) for handle in (own, friend, asking)}
    ids = {handle: await site.id_of(handle) for handle in secrets}
    await site.world.befriend(ids[own], ids[friend])
    await site.world.ask(ids[asking], ids[own])
    clients = {handle: Client(site, secret) for handle, secret in secrets.items()}
    await clients[own].post(
        "/settings/profile", {"display_name": "花", "note": "ことば and words\n\nhttps://example.org"}
    )
    status = await site.world.post(ids[own], "やっほー @" + friend, 1)
    await site.world.post(ids[friend], f"@{own} hello", 1, in_reply_to_id=status)
    await clients[friend].post(f"/statuses/{status}/favourite")
    entry = {"title": "題", "text": "# One\n\n- a\n- b\n\n> c\n\n[d](https://example.org)", "visibility": "friends"}
    made = await clients[own].post("/blog/write", {**entry, "action": "publish"})
    address = made.headers["location"]
    await clients[friend].post(f"/blog/entries/{address.rpartition('/')[2]}/comments", {"text": "nice"})
    draft = await clients[own].post("/blog/write", {**entry, "action": "draft"})
    blocked = await site.sign_up(site.new_name("axe"))
    await clients[own].post(f"/members/{await site.id_of(f'axe{site.numbers}')}/block")
    assert blocked
    paths = [f"/@{own}", f"/@{friend}", f"/@{asking}", f"/@{own}/statuses", f"/@{own}/blog", f"/@{friend}/friends"]
    paths += [f"/@{own}/{status}", address, draft.headers["location"], f"/blog/entries/{address.rpartition('/')[2]}"]
    return Furnished(secrets[own], paths)


async def faults(page: Page, path: str, rules: dict[str, Any]) -> list[str]:
    """What axe finds on a page, a line each."""
    await page.goto(path)
    results: Any = await Axe().run(page, options=rules)
    return [
        f"{path}: {violation['id']}: {violation['help']}: {node['html'][:160]}"
        for violation in results.response["violations"]
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize(
    ("scheme", "size", "locale", "rules"),
    [("light", DESK, "en-GB", RULES), ("dark", PHONE, "ja-JP", GUISE_RULES)],
)
async def test_axe_finds_nothing(
    site: Site, furnished: Furnished, scheme: str, size: dict[str, int], locale: str, rules: dict[str, Any]
) -> None:
    options: dict[str, Any] = {"color_scheme": scheme, "viewport": size, "locale": locale}
    visitor, member = await site.visitor(**options), await site.visitor(**options)
    await site.sign_in(member, furnished.secret)
    found = [fault for path in VISITORS for fault in await faults(visitor, path, rules)]
    found += [fault for path in (*MEMBERS, *furnished.paths) for fault in await faults(member, path, rules)]
    assert found == [], "\n".join(found)


async def test_everything_by_keyboard(site: Site, furnished: Furnished) -> None:
    page = await site.visitor()
    await site.sign_in(page, furnished.secret)
    await page.goto("/home")
    await page.keyboard.press("Tab")
    await expect(page.locator(".skip")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.locator("#compose-status")).to_be_focused()
    await page.keyboard.type("by keyboard")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#timeline .post .text").first).to_have_text("by keyboard")


async def test_what_is_pressed_is_large_enough(site: Site, furnished: Furnished) -> None:
    """44 px for what is not a link within a text."""
    page = await site.visitor(viewport=PHONE, is_mobile=True)
    await site.sign_in(page, furnished.secret)
    small: list[str] = []
    for path in ("/home", "/friends", "/suggestions", "/settings/privacy", "/blog/write"):
        await page.goto(path)
        small += await page.evaluate(
            """path => [...document.querySelectorAll('button, .button, .action, .main-nav a, select, input:not([type=hidden])')]
              .filter(each => each.offsetParent !== null && !each.matches('[type=checkbox], [type=radio]'))
              .map(each => [each.outerHTML.slice(0, 80), each.getBoundingClientRect()])
              .filter(([, box]) => box.width < 44 || box.height < 43.5)
              .map(([html, box]) => `${path}: ${html}: ${box.width} x ${box.height}`)""",
            path,
        )
    assert small == [], "\n".join(small)


async def test_light_and_dark_as_chosen(site: Site, furnished: Furnished) -> None:
    page = await site.visitor(color_scheme="light")
    await site.sign_in(page, furnished.secret)

    async def paper() -> str:
        return str(await page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))

    await page.goto("/settings/appearance")
    light = await paper()
    await page.check("#theme-dark")
    await page.check("#language-ja")
    await page.locator("main .sheet button[type=submit]").click()
    await expect(page.locator("html")).to_have_attribute("lang", "ja")
    await expect(page.locator(".saved")).to_have_text("保存しました。")
    assert await paper() != light
    await page.emulate_media(color_scheme="dark")
    await page.check("#theme-light")
    await page.check("#language-en")
    await page.locator("main .sheet button[type=submit]").click()
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    assert await paper() == light
    assert re.match(r"rgb", light)
