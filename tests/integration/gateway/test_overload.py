"""A gateway that has more to do than it can, on real sockets before the real services."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import psycopg
import pytest
import structlog

from chassis.settings import SERVICES, Settings
from services.gateway import connection
from services.gateway.__main__ import server_config
from services.gateway.middleware import SAFE_HEADERS
from services.gateway.shedding import BUSY, Shedder
from tests.conftest import Running
from tests.integration.gateway.conftest import InnerServer, Member, Network

HOME = "/api/v1/timelines/home"
CROWD = 400
WAIT_SECONDS = 60


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[tuple[Network, Shedder]]:
    """Serve HTTP in this event loop; lend the network and what the gateway knows of its load."""
    config = server_config(settings)
    server = InnerServer(config)
    task = asyncio.create_task(server.serve())
    await server.is_up.wait()
    network = Network(settings.base_url(), settings)
    try:
        yield network, config.app.state.shedder  # type: ignore[union-attr]  # a Starlette application
    finally:
        await network.close()
        server.should_exit = True
        await task


@contextmanager
def stalled(settings: Settings, table: str) -> Iterator[None]:
    """Hold up everybody who reads or writes a table."""
    with psycopg.connect(settings.database_url) as conn:
        conn.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


async def until_well(ask: Callable[[], Awaitable[httpx.Response]]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while (await ask()).status_code != 200:
            await asyncio.sleep(0.05)


def check_refusal(answer: httpx.Response) -> None:
    assert answer.status_code == 503
    assert 1 <= int(answer.headers["retry-after"]) <= 10
    assert answer.json()["error"]
    assert {name: answer.headers[name] for name in SAFE_HEADERS} == dict(SAFE_HEADERS)
    assert answer.headers["cache-control"] == "private, no-store"


async def test_who_would_only_wait_is_refused_and_then_all_is_as_before(settings: Settings, running: Running) -> None:
    async with running(*SERVICES), serving(settings) as (network, shedder):
        [hana] = await network.sign_up("hana")
        with stalled(settings, "timeline.homes"):
            asking = [asyncio.create_task(ask_as_a_script(settings, hana)) for _ in range(CROWD)]
            await until(lambda: any(task.done() and task.result().json()["error"] == BUSY for task in asking))
            assert shedder.inside > 0, "others are still waited for"
            health = await network.http.get("/health")
            assert health.status_code in (200, 503), "it is answered whatever waits"
            assert set(health.json()["services"]) == set(SERVICES)
            answers = await asyncio.gather(*asking)
        for answer in answers:
            check_refusal(answer)
            assert answer.headers["access-control-allow-origin"] == "*"
            assert "Retry-After" in answer.headers["access-control-expose-headers"]
        await until_well(lambda: hana.http.get(HOME))
        assert {(await hana.http.get(HOME)).status_code for _ in range(20)} == {200}
        await until(lambda: shedder.inside == shedder.waiting == 0)


async def test_a_browser_is_shown_a_page(settings: Settings, running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(*SERVICES), serving(settings) as (network, shedder):
        monkeypatch.setattr(shedder, "_is_full", lambda _: True)
        monkeypatch.setattr(shedder, "try_enter", lambda _: None)
        for language, words in (("ja", "混み合って"), ("en", "There is a lot going on")):
            answer = await network.http.get("/", headers={"accept": "text/html", "accept-language": language})
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert words in answer.text
            assert "<nav" in answer.text
        assert (await network.http.get("/health")).status_code == 200
        assert (await network.http.get("/api/v1/streaming/health")).status_code == 200


async def test_idle_connections_keep_nobody_out(settings: Settings, running: Running) -> None:
    """As many as the server that this gateway is made on refused everybody for, with an answer that was none of ours."""
    host, _, port = settings.gateway_address.rpartition(":")
    async with running(*SERVICES), serving(settings) as (network, _):
        opened = []
        try:
            for _ in range(40):
                opened += await asyncio.gather(*(asyncio.open_connection(host, int(port)) for _ in range(101)))
            answer = await network.http.get("/api/v1/instance")
            assert answer.status_code == 200, answer.text
        finally:
            for _, writer in opened:
                writer.transport.abort()


async def test_beyond_the_most_connections_each_is_told(
    settings: Settings, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 3)
    monkeypatch.setattr(connection, "MORE_CONNECTIONS", 2)
    host, _, port = settings.gateway_address.rpartition(":")
    async with running(*SERVICES), serving(settings) as (network, _):
        opened = [await asyncio.open_connection(host, int(port)) for _ in range(3)]
        try:
            answer = await network.http.get("/api/v1/instance")
            check_refusal(answer)
            assert answer.headers["connection"] == "close"
            opened += [await asyncio.open_connection(host, int(port)) for _ in range(2)]
            with pytest.raises(httpx.TransportError):
                await network.http.get("/api/v1/instance")
        finally:
            for _, writer in opened:
                writer.transport.abort()

        async def ask() -> httpx.Response:
            try:
                return await network.http.get("/api/v1/instance")
            except httpx.TransportError:
                return httpx.Response(503)

        await until_well(ask)


async def ask_as_a_script(settings: Settings, member: Member) -> httpx.Response:
    """Read a home timeline over a connection of its own, without a client that would be the load itself."""
    host, _, port = settings.gateway_address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = [f"GET {HOME} HTTP/1.1", f"Host: {host}", "Origin: https://app.example", "Connection: close"]
    head.append(f"Authorization: {member.http.headers['authorization']}")
    writer.write("\r\n".join([*head, "", ""]).encode())
    lines, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    first, *fields = lines.decode().split("\r\n")
    return httpx.Response(int(first.split()[1]), headers=dict(each.split(": ", 1) for each in fields), content=body)


async def hang_up_after(settings: Settings, member: Member, shedder: Shedder, request: tuple[str, str]) -> None:
    """Send a request, and hang up as soon as it is worked on."""
    host, _, port = settings.gateway_address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    line, body = request
    head = [line, f"Host: {host}", f"Authorization: {member.http.headers['authorization']}"]
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    writer.write("\r\n".join([*head, "", body]).encode())
    await until(lambda: shedder.inside == 1)
    writer.transport.abort()


async def test_nothing_is_read_for_who_has_hung_up(settings: Settings, running: Running) -> None:
    async with running(*SERVICES), serving(settings) as (network, shedder):
        [hana] = await network.sign_up("hana")
        with stalled(settings, "timeline.homes"), structlog.testing.capture_logs() as lines:
            await hang_up_after(settings, hana, shedder, (f"GET {HOME} HTTP/1.1", ""))
            await until(lambda: any(line["event"] == "request" for line in lines))
            assert shedder.inside == 0
        [code] = [line["http_status"] for line in lines if line["event"] == "request"]
        assert code == 400, "it was ended for that reason, not by a deadline"


async def test_what_was_begun_to_be_written_is_written(settings: Settings, running: Running) -> None:
    async with running(*SERVICES), serving(settings) as (network, shedder):
        [hana] = await network.sign_up("hana")
        with stalled(settings, "status.statuses"):
            body = json.dumps({"status": "written all the same"})
            await hang_up_after(settings, hana, shedder, ("POST /api/v1/statuses HTTP/1.1", body))
        await until(lambda: shedder.inside == 0)

        async def texts() -> list[str]:
            answer = await hana.http.get(f"/api/v1/accounts/{hana.id}/statuses")
            return [status["content"] for status in answer.json()]

        assert await texts() == ["<p>written all the same</p>"]
