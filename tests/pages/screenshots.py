"""`python -m tests.pages.screenshots [--all FOLDER]`: pictures of the pages for the README, or of every page in every guise.

Starts a network of its own in this process, with the scene of tests/pages/scene.py, and looks at it with Chromium.
"""

import argparse
import asyncio
import io
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
from PIL import Image
from playwright.async_api import Page

from chassis.migrate import migrate
from chassis.settings import Settings
from deploy.local import postgres
from tests.conftest import SECRET, fresh_settings
from tests.pages.conftest import DESK, PHONE, Site, open_site
from tests.pages.scene import settle, wait_for_suggestions

IMAGES = Path(__file__).parents[2] / "docs" / "images"
COLOURS = 128
README = (
    ("home-light", "/home", "en", DESK, "light"),
    ("home-dark-phone", "/home", "ja", PHONE, "dark"),
    ("suggestions-phone", "/suggestions", "ja", PHONE, "light"),
    ("blog-light", "/@emma/blog", "en", DESK, "light"),
)
"""Name, page, language, size and scheme of what the README shows; of a blog, its latest entry."""
PAGES = {
    **{"home": "/home", "profile": "/@haruto", "own": "/@sakura", "friends": "/friends", "search": "/search?q=e"},
    **{"suggestions": "/suggestions", "notifications": "/notifications", "blog": "/@emma/blog", "write": "/blog/write"},
    **{"profile-settings": "/settings/profile", "privacy": "/settings/privacy", "apps": "/settings/apps"},
    **{"appearance": "/settings/appearance", "missing": "/nothing", "statuses": "/@haruto/statuses"},
}


@asynccontextmanager
async def open_scene() -> AsyncIterator[tuple[Site, str]]:
    """Yield a network with the scene, and the session of the member who looks."""
    with tempfile.TemporaryDirectory() as folder, postgres.temporary(Path(folder) / "postgres") as server:
        with psycopg.connect(server.url, autocommit=True) as conn:
            conn.execute("CREATE DATABASE template")
        url = server.url.rpartition("/")[0] + "/template"
        await asyncio.to_thread(migrate, Settings(database_url=url, secret=SECRET))
        with fresh_settings(server.url, "template") as settings:
            async with open_site(settings, Path(folder)) as site:
                clients = await settle(site)
                await wait_for_suggestions(site, clients["sakura"], ["mizuki", "sota"])
                yield site, clients["sakura"].cookies.partition("=")[2]


async def show(site: Site, secret: str, path: str, language: str, size: dict[str, int], scheme: str) -> Page:
    """Open a page as the member who looks."""
    page = await site.visitor(
        viewport=size, locale=language, color_scheme=scheme, device_scale_factor=2 if size is PHONE else 1
    )
    await site.sign_in(page, secret)
    await page.context.add_cookies(
        [
            {"name": name, "value": value, "url": site.url}
            for name, value in (("kodama_language", language), ("kodama_zone", "Asia/Tokyo"))
        ]
    )
    await page.goto(path)
    if path.endswith("/blog"):
        await page.locator(".entry-title a").first.click()
        await page.wait_for_selector(".reading")
    return page


def small(png: bytes) -> bytes:
    """Return a picture with few colours, which is what these have."""
    packed = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS).save(packed, "PNG", optimize=True)
    return packed.getvalue()


async def make_readme_images() -> None:
    """Write the README's pictures."""
    async with open_scene() as (site, secret):
        for name, path, language, size, scheme in README:
            page = await show(site, secret, path, language, size, scheme)
            (IMAGES / f"{name}.png").write_bytes(small(await page.screenshot(caret="initial")))
            await site.close_all()


async def make_all(folder: Path) -> None:
    """Write every page in both languages, sizes and schemes."""
    async with open_scene() as (site, secret):
        for size, size_name in ((PHONE, "phone"), (DESK, "desk")):
            for language, scheme in (("en", "light"), ("ja", "dark")):
                for name, path in PAGES.items():
                    page = await show(site, secret, path, language, size, scheme)
                    await page.screenshot(path=folder / f"{name}-{size_name}-{language}.png", caret="initial")
                    await site.close_all()


def main() -> None:
    """Read the command line and write pictures."""
    parser = argparse.ArgumentParser(prog="python -m tests.pages.screenshots", description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER")
    folder = parser.parse_args().all
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(make_all(folder) if folder else make_readme_images())


if __name__ == "__main__":
    main()
