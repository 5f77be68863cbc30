"""From signing up to the blog, as members live it: in two languages, on a phone and at a desk, with and without scripts."""

import asyncio
import re

import pytest
from playwright.async_api import Page, expect

from tests.integration.gateway.conftest import PASSWORD
from tests.pages.conftest import DESK, PHONE, Site

WORDS = {
    "en-GB": {
        "sign_up": "Sign up",
        "post": "Post",
        "ask": "Ask for friendship",
        "accept": "Accept",
        "friends": "Friends",
        "reason": "1 mutual friend:",
        "new": "1 new",
        "reply": "Reply",
        "favourite": "Favourite",
        "dismiss": "Dismiss",
        "undo": "Undo",
        "sign_out": "Sign out",
        "write": "Write an entry",
        "preview": "Preview",
        "draft": "Keep as a draft",
        "publish": "Publish",
        "comment": "Comment",
    },
    "ja-JP": {
        "sign_up": "新規登録",
        "post": "つぶやく",
        "ask": "友だち申請",
        "accept": "承認する",
        "friends": "友だち",
        "reason": "共通の友だち 1 人:",
        "new": "新着 1 件",
        "reply": "返信",
        "favourite": "お気に入り",
        "dismiss": "表示しない",
        "undo": "元に戻す",
        "sign_out": "ログアウト",
        "write": "日記を書く",
        "preview": "プレビュー",
        "draft": "下書きに保存",
        "publish": "公開する",
        "comment": "コメントする",
    },
}
Words = dict[str, str]
LOOKS, LOOK_SECONDS = 60, 0.5
"""How long what workers do is waited for, without scripts by looking again."""


async def sign_up(site: Site, page: Page, words: Words) -> str:
    """Fill the form in as it stands there."""
    handle = site.new_name("walker")
    await page.goto("/")
    await page.locator("main").get_by_role("link", name=words["sign_up"]).click()
    await page.fill("#username", handle)
    await page.fill("#display_name", f"名前 {handle}")
    await page.fill("#email", f"{handle}@example.com")
    await page.fill("#password", PASSWORD)
    await page.check("#agreement")
    await page.locator("main").get_by_role("button", name=words["sign_up"]).click()
    await page.wait_for_url("**/home")
    return handle


async def befriend(asking: Page, asked: Page, handle: str, words: Words) -> None:
    await asking.goto(f"/@{handle}")
    await asking.get_by_role("button", name=words["ask"]).click()
    await asked.goto("/friends")
    await asked.get_by_role("button", name=words["accept"], exact=True).first.click()
    await asking.goto(f"/@{handle}")
    await expect(asking.locator("main .standing")).to_contain_text(words["friends"])


async def post_and_hear(writer: Page, reader: Page, words: Words, *, with_script: bool) -> None:
    """A friend sees what is posted: live where there are scripts, on the next look where there are none."""
    await reader.goto("/home")
    await writer.goto("/home")
    await writer.fill("#compose-status", "やっほー、木霊 🌲")
    await writer.get_by_role("button", name=words["post"]).click()
    await expect(writer.locator("#timeline .post .text")).to_have_text(["やっほー、木霊 🌲"])
    if with_script:
        await expect(reader.locator("#news a")).to_have_text(words["new"])
        assert await reader.locator("#timeline .post").count() == 0  # nothing moves under the reader
        await reader.locator("#news a").click()
    else:
        await reader.goto("/home")
    heard = reader.locator("#timeline .post .text").first
    await expect(heard).to_have_text("やっほー、木霊 🌲")
    await expect(heard).to_have_attribute("lang", "ja")


async def answer(reader: Page, handle: str, words: Words) -> None:
    """Favour and reply, in place where there are scripts."""
    await reader.locator("#timeline .post").first.get_by_role("button", name=words["favourite"]).click()
    await expect(reader.locator(".heart").first).to_have_attribute("aria-pressed", "true")
    await reader.locator("#timeline .post").first.get_by_role("link", name=words["reply"]).click()
    reply = reader.locator("form.reply textarea")
    await expect(reply).to_have_value(f"@{handle} ")
    await reply.fill(f"@{handle} こだまでしょうか")
    await reader.locator("form.reply").get_by_role("button", name=words["reply"]).click()
    await expect(reader.locator(".post .text", has_text="こだまでしょうか").first).to_be_visible()


async def meet(member: Page, between: str, stranger: str, words: Words) -> None:
    """Who is a friend of a friend is suggested, with the reason, and is gone when dismissed."""
    suggestion = member.locator("main .suggestion", has_text=f"@{stranger}")
    for _ in range(LOOKS):
        await member.goto("/suggestions")
        if await suggestion.count():
            break
        await asyncio.sleep(LOOK_SECONDS)
    await expect(suggestion.locator(".reason")).to_contain_text(words["reason"])
    await expect(suggestion.locator(".reason")).to_contain_text(f"名前 {between}")
    await suggestion.get_by_role("button", name=words["dismiss"]).click()
    await member.locator("main").get_by_role("button", name=words["undo"]).click()
    await suggestion.get_by_role("button", name=words["dismiss"]).click()
    await expect(suggestion.get_by_role("button", name=words["dismiss"])).to_have_count(0)


async def blog(writer: Page, reader: Page, handle: str, words: Words) -> None:
    """Write an entry with a preview and as a draft first; a friend reads it and comments."""
    await writer.goto(f"/@{handle}/blog")
    await writer.get_by_role("link", name=words["write"]).click()
    await writer.fill("#title", "森の日記")
    await writer.fill("#text", "**ふかい** 森で\n\n- 木\n- 霊")
    await writer.get_by_role("button", name=words["preview"]).click()
    await expect(writer.locator("#preview strong")).to_have_text("ふかい")
    await writer.get_by_role("button", name=words["draft"]).click()
    await writer.wait_for_url("**/blog/drafts/*")
    await expect(writer.locator("#title")).to_have_value("森の日記")
    await writer.get_by_role("button", name=words["publish"]).click()
    await writer.wait_for_url(f"**/@{handle}/blog/*")
    address = writer.url
    await reader.goto("/home")
    await reader.get_by_role("link", name="森の日記").first.click()
    await expect(reader).to_have_url(re.compile(re.escape(address)))
    await expect(reader.locator(".long li")).to_have_text(["木", "霊"])
    await reader.fill("#comments textarea", "すてきですね")
    await reader.get_by_role("button", name=words["comment"]).click()
    await expect(reader.locator(".comment .text")).to_have_text("すてきですね")


async def be_told(member: Page, times: int) -> None:
    """Look at the notifications until there are so many: workers write them, a moment after what they are about."""
    for _ in range(LOOKS):
        await member.goto("/notifications")
        if await member.locator(".notifications li").count() == times:
            return
        await asyncio.sleep(LOOK_SECONDS)
    await expect(member.locator(".notifications li")).to_have_count(times)


@pytest.mark.parametrize(
    ("locale", "size", "with_script"),
    [("en-GB", DESK, True), ("ja-JP", PHONE, True), ("ja-JP", DESK, False)],
)
async def test_a_life(site: Site, locale: str, size: dict[str, int], *, with_script: bool) -> None:
    words = WORDS[locale]
    options = {"locale": locale, "viewport": size, "java_script_enabled": with_script, "is_mobile": size is PHONE}
    hana, ken, ume = [await site.visitor(**options) for _ in range(3)]
    hanas, kens, umes = [await sign_up(site, page, words) for page in (hana, ken, ume)]
    await befriend(ken, ume, umes, words)
    await befriend(hana, ken, kens, words)
    await post_and_hear(hana, ken, words, with_script=with_script)
    await answer(ken, hanas, words)
    await meet(hana, kens, umes, words)
    await blog(hana, ken, hanas, words)
    await be_told(hana, 4)  # friendship, favourite, mention, comment

    await hana.locator(".foot").get_by_role("button", name=words["sign_out"]).click()
    await expect(hana).to_have_url(re.compile(r"/$"))
    await hana.goto("/home")
    await expect(hana).to_have_url(re.compile(r"/sign-in\?next=/home$"))
    await hana.fill("#login", hanas)
    await hana.fill("#password", PASSWORD)
    await hana.locator("main button[type=submit]").click()
    await expect(hana.locator("#timeline .post .text").last).to_have_text("やっほー、木霊 🌲")
