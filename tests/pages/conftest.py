"""One network and one browser for all tests of the pages. Members do everything in the browser or over HTTP; workers' work is done
in this process as soon as it is there."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page, Request, async_playwright, expect

from chassis.errors import KodamaError
from chassis.settings import SERVICES, Settings
from services.social_graph.tasks import HANDLERS
from services.social_graph.worker import open_context
from tests.conftest import fresh_settings, run_services
from tests.integration.gateway.conftest import PASSWORD, Network, open_network
from tests.pages.chromium import ARGUMENTS, find_chromium
from tests.world import World, open_world

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
SESSION = "__Host-kodama"
TOKEN = re.compile(r'name="csrf_token" value="([0-9a-f]+)"')
IDLE_SECONDS = 0.05

expect.set_options(timeout=120_000)  # a page that is right is so at once; a machine can be busy


@dataclass
class Site:
    """The network as a browser sees it."""

    network: Network
    world: World
    browser: Browser
    opened: list[BrowserContext] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    """Addresses outside of the network that a page has asked for, and what went wrong in a page."""
    numbers: int = 0

    @property
    def url(self) -> str:
        return self.network.url

    def new_name(self, start: str = "m") -> str:
        self.numbers += 1
        return f"{start}{self.numbers}"

    async def visitor(self, **options: Any) -> Page:
        """Open a browser of somebody who is not signed in; its size, language and script are options."""
        context = await self.browser.new_context(
            base_url=self.url, **{"viewport": DESK, "locale": "en-GB", "reduced_motion": "reduce", **options}
        )
        self.opened.append(context)
        context.set_default_timeout(8000)
        context.set_default_navigation_timeout(15000)
        context.on("request", self._watch)
        page = await context.new_page()
        page.on("pageerror", lambda error: self.strangers.append(f"pageerror: {error}"))
        page.on(
            "console",
            lambda said: self.strangers.append(f"console: {said.text}") if "Content Security" in said.text else None,
        )
        return page

    def _watch(self, request: Request) -> None:
        if not request.url.startswith((self.url, "data:", "about:", "chrome")):
            self.strangers.append(request.url)

    async def member(self, handle: str = "", locale: str = "en", **options: Any) -> tuple[str, Page]:
        """Sign somebody up, and open a browser in which they are signed in."""
        handle = handle or self.new_name()
        page = await self.visitor(**options)
        await self.sign_in(page, await self.sign_up(handle, locale))
        return handle, page

    async def sign_in(self, page: Page, secret: str) -> None:
        """Give a browser a session."""
        address = self.url.replace("http:", "https:")  # where Secure cookies can be put by hand; loopback has them, too
        await page.context.add_cookies([{"name": SESSION, "value": secret, "url": address, "secure": True}])

    async def sign_up(self, handle: str, locale: str = "en") -> str:
        """Sign somebody up by the form and return the session's secret."""
        form = {
            "username": handle,
            "email": f"{handle}@example.com",
            "password": PASSWORD,
            "agreement": "true",
        }
        answer = await self.network.http.post("/sign-up", data=form, headers={"accept-language": locale})
        assert answer.status_code == 303, answer.text
        return str(session_of(answer))

    async def id_of(self, handle: str) -> int:
        [(account_id,)] = self.world.query("SELECT id FROM account.accounts WHERE handle = %s", handle)
        return int(str(account_id))

    async def close_all(self) -> None:
        while self.opened:
            await self.opened.pop().close()


def session_of(answer: httpx.Response) -> str | None:
    """Return the session that an answer sets; httpx keeps no Secure cookie of http."""
    found = re.search(rf"{SESSION}=([^;]+);", "\n".join(answer.headers.get_list("set-cookie")))
    return unescape(found[1]).strip('"') if found else None


class Client:
    """A browser without scripts, for tests that need to see every header."""

    def __init__(self, site: Site, secret: str = "") -> None:
        self.http = site.network.http
        self.cookies = f"{SESSION}={secret}" if secret else ""

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers=self._headers(headers))

    async def token(self, path: str = "/settings/profile") -> str:
        found = TOKEN.search((await self.get(path)).text)
        return found[1] if found else ""

    async def post(
        self,
        path: str,
        data: dict[str, str] | None = None,
        *,
        token: str | None = None,
        files: Mapping[str, tuple[str, bytes]] | None = None,
        **headers: str,
    ) -> httpx.Response:
        token = await self.token() if token is None else token
        form = {**(data or {}), **({"csrf_token": token} if token else {})}
        return await self.http.post(path, data=form, files=files, headers=self._headers(headers))

    def _headers(self, headers: dict[str, str]) -> dict[str, str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return {**({"cookie": self.cookies} if self.cookies else {}), **named}


@asynccontextmanager
async def working(world: World) -> AsyncIterator[None]:
    """Do what the ledgers ask for while the block runs, as the workers would."""

    async def deliver() -> None:
        while True:
            with suppress(KodamaError):
                await world.drain()
            await asyncio.sleep(IDLE_SECONDS)

    async def suggest() -> None:
        async with open_context(world.settings) as computing:
            while True:
                rows = world.query(
                    "SELECT id, task, payload FROM social_graph.ledger WHERE starts_with(task, 'suggestions.')"
                )
                for row_id, task, payload in rows:
                    with suppress(KodamaError):
                        await HANDLERS[str(task)](computing, [payload])  # type: ignore[list-item]  # as the ledger has it
                    world.query("DELETE FROM social_graph.ledger WHERE id = %s RETURNING id", row_id)
                await asyncio.sleep(IDLE_SECONDS)

    # Side by side, as the workers of two queues: the first suggestions wait for a compiler.
    tasks = [asyncio.create_task(deliver()), asyncio.create_task(suggest())]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def open_site(settings: Settings, folder: Path) -> AsyncIterator[Site]:
    """Run a network with workers in this process, and a browser."""
    program = find_chromium(folder / "chromium.lock")
    async with (
        run_services(settings, *SERVICES),
        open_network(settings) as network,
        open_world(settings) as world,
        working(world),
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield Site(network, world, browser)
        await browser.close()


@pytest.fixture(scope="session")
async def whole_site(
    postgres_url: str, template_database: str, rabbitmq_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    with fresh_settings(postgres_url, template_database) as fresh:
        settings = fresh.model_copy(update={"broker_url": rabbitmq_url})
        async with open_site(settings, tmp_path_factory.getbasetemp()) as opened:
            yield opened


@pytest.fixture
async def site(whole_site: Site) -> AsyncIterator[Site]:
    """The network, with every page closed afterwards; no page may ask anybody else for anything, or fail in its script."""
    yield whole_site
    await whole_site.close_all()
    seen, whole_site.strangers = whole_site.strangers, []
    assert seen == []
