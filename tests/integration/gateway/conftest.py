"""The gateway on a real socket, before the real services."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn

from chassis.settings import SERVICES, Settings
from services.gateway.__main__ import server_config
from tests.conftest import Running, fresh_settings, run_services

SCOPES = "read write follow"
PASSWORD = "correct horse battery staple"


class InnerServer(uvicorn.Server):
    """A server in the test's own event loop, which leaves the process's signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


@asynccontextmanager
async def serve(settings: Settings) -> AsyncIterator[str]:
    """Serve HTTP until the block ends; yield the address."""
    server = InnerServer(server_config(settings))
    task = asyncio.create_task(server.serve())
    up = asyncio.create_task(server.is_up.wait())
    await asyncio.wait({task, up}, return_when=asyncio.FIRST_COMPLETED)
    assert up.done(), "the gateway did not start"
    try:
        yield settings.base_url()
    finally:
        server.should_exit = True
        await task


@dataclass
class Member:
    """Somebody who has signed up, with a client that is signed in."""

    id: str
    handle: str
    http: httpx.AsyncClient


class Network:
    """A network as its clients see it."""

    def __init__(self, url: str, settings: Settings) -> None:
        self.url = url
        self.settings = settings
        self.http = httpx.AsyncClient(base_url=url, trust_env=False, timeout=20)
        self._opened = [self.http]
        self.client_id = self.client_secret = ""
        self._newcomers = 0

    def signed_in(self, token: str) -> httpx.AsyncClient:
        client = httpx.AsyncClient(
            base_url=self.url, trust_env=False, timeout=20, headers={"authorization": f"Bearer {token}"}
        )
        self._opened.append(client)
        return client

    async def register(self, scopes: str = SCOPES) -> tuple[str, str]:
        answer = await self.http.post(
            "/api/v1/apps",
            data={"client_name": "test", "redirect_uris": "urn:ietf:wg:oauth:2.0:oob", "scopes": scopes},
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["client_id"], answer.json()["client_secret"]

    async def app_token(self, scopes: str = SCOPES) -> str:
        self.client_id, self.client_secret = await self.register(scopes)
        answer = await self.http.post(
            "/oauth/token",
            data={
                "grant_type": "client_credentials",
                "client_id": self.client_id,
                "client_secret": self.client_secret,
                "scope": scopes,
            },
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    async def sign_up(self, *handles: str, scopes: str = SCOPES) -> list[Member]:
        token = await self.app_token(scopes)
        return [await self._sign_up(handle, token) for handle in handles]

    async def _sign_up(self, handle: str, app_token: str) -> Member:
        answer = await self.http.post(
            "/api/v1/accounts",
            json={
                "username": handle,
                "email": f"{handle}@example.com",
                "password": PASSWORD,
                "agreement": True,
                "locale": "en",
            },
            headers={"authorization": f"Bearer {app_token}"},
        )
        assert answer.status_code == 200, answer.text
        http = self.signed_in(answer.json()["access_token"])
        found = await http.get("/api/v1/accounts/lookup", params={"acct": handle})
        return Member(found.json().get("id", ""), handle, http)  # no id where the scopes do not let it be read

    async def newcomer(self) -> Member:
        """Sign somebody up whose name nobody has."""
        self._newcomers += 1
        [member] = await self.sign_up(f"newcomer{self._newcomers}")
        return member

    async def befriend(self, one: Member, other: Member) -> None:
        for asker, target in ((one, other), (other, one)):
            answer = await asker.http.post(f"/api/v1/accounts/{target.id}/follow")
            assert answer.status_code == 200, answer.text

    async def close(self) -> None:
        for client in self._opened:
            await client.aclose()


@asynccontextmanager
async def open_network(settings: Settings) -> AsyncIterator[Network]:
    async with serve(settings) as url:
        network = Network(url, settings)
        try:
            yield network
        finally:
            await network.close()


@pytest.fixture
async def network(settings: Settings, running: Running) -> AsyncIterator[Network]:
    """All services and the gateway."""
    async with running(*SERVICES), open_network(settings) as opened:
        yield opened


@pytest.fixture(scope="session")
async def shared_network(postgres_url: str, template_database: str) -> AsyncIterator[Network]:
    """All services and the gateway, for tests that leave nothing behind which others would notice."""
    with fresh_settings(postgres_url, template_database) as settings:
        async with run_services(settings, *SERVICES), open_network(settings) as opened:
            yield opened
