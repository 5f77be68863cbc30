"""What surrounds every route: safe headers, CORS, the log, and what happens when services are away."""

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest
import structlog

from chassis.database import Pool
from chassis.process import open_server
from chassis.rpc import Service
from chassis.settings import SERVICES, Settings
from services.status.__main__ import build as build_status
from tests.conftest import Running
from tests.integration.gateway.conftest import Network, open_network


async def test_safe_headers_on_everything(shared_network: Network) -> None:
    for path, code in (("/", 200), ("/health", 200), ("/api/v1/instance", 200), ("/nothing", 404), ("/@nobody", 404)):
        answer = await shared_network.http.get(path)
        assert answer.status_code == code
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        is_page = answer.headers["content-type"].startswith("text/html")
        assert answer.headers["referrer-policy"] == ("same-origin" if is_page else "no-referrer")
        assert "date" in answer.headers
        assert "server" not in answer.headers
        assert "set-cookie" not in answer.headers


async def test_scripts_of_other_origins_may_use_the_api_and_nothing_else(shared_network: Network) -> None:
    origin = {"origin": "https://app.example"}
    asked = origin | {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    for path in ("/api/v1/statuses", "/oauth/token"):
        preflight = await shared_network.http.options(path, headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in preflight.headers
        assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
    answer = await shared_network.http.get("/api/v1/timelines/home", headers=origin)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, "*")
    assert "Link" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in (await shared_network.http.get("/", headers=origin)).headers


async def test_one_line_per_request_without_secrets(shared_network: Network) -> None:
    hana = await shared_network.newcomer()
    with structlog.testing.capture_logs() as lines:
        await hana.http.post("/api/v1/statuses?status=queried", json={"status": "written"})
        await hana.http.get("/api/v1/timelines/home?access_token=marker")
    requests = [line for line in lines if line["event"] == "request"]  # beside them, chores may say what they have done
    assert [(line["method"], line["path"], line["http_status"]) for line in requests] == [
        ("POST", "/api/v1/statuses", 200),
        ("GET", "/api/v1/timelines/home", 200),
    ]
    text = json.dumps(lines)
    token = hana.http.headers["authorization"].removeprefix("Bearer ")
    assert not any(secret in text for secret in ("queried", "written", "marker", token))


async def test_services_that_are_away_are_a_503(settings: Settings, running: Running) -> None:
    async with open_network(settings) as network:
        async with running("account", "social_graph", "status"):
            health = await network.http.get("/health")
            assert health.status_code == 503
            assert {name for name, state in health.json()["services"].items() if state != "serving"} == {
                "blog",
                "media",
                "timeline",
            }
            [hana] = await network.sign_up("hana")
            home = await hana.http.get("/api/v1/timelines/home")
            assert home.status_code == 503
            assert int(home.headers["retry-after"]) > 0
            assert home.json()["error"]
            assert (await hana.http.post("/api/v1/statuses", json={"status": "still works"})).status_code == 200
            page = await network.http.get("/@hana")
            assert page.status_code == 503
            assert page.headers["content-type"].startswith("text/html")
        assert (
            await network.http.get("/api/v1/timelines/home", headers={"authorization": "Bearer x"})
        ).status_code == 503
        assert (await network.http.get("/api/v1/instance")).status_code == 200


async def test_the_gateway_tells_of_a_service_whose_pool_lends_nothing(settings: Settings) -> None:
    pools: list[Pool] = []

    async def build(own: Settings, pool: Pool, stack: AsyncExitStack) -> Sequence[Service]:
        pools.append(pool)
        return await build_status(own, pool, stack)

    async with open_network(settings) as network, open_server("status", settings, build):
        assert (await network.http.get("/health")).json()["services"]["status"] == "serving"
        lost = [await pools[0].getconn() for _ in range(pools[0].max_size)]

        async def wait_for(state: str) -> None:
            async with asyncio.timeout(60):
                while (await network.http.get("/health")).json()["services"]["status"] != state:
                    await asyncio.sleep(0.1)

        await wait_for("unavailable")
        for conn in lost:
            await pools[0].putconn(conn)
        await wait_for("serving")


async def test_health_of_a_whole_network(shared_network: Network) -> None:
    health = await shared_network.http.get("/health")
    assert health.status_code == 200
    assert health.json() == {"status": "ok", "services": dict.fromkeys(SERVICES, "serving")}


async def test_a_defect_is_a_500_without_details(
    shared_network: Network, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr("services.gateway.routes.instance.domain_of", broken)
    with caplog.at_level(logging.ERROR):
        answer = await shared_network.http.get("/api/v1/instance")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["error"]


async def test_closed_registrations(settings: Settings, running: Running) -> None:
    closed = settings.model_copy(update={"registrations_open": False})
    async with running("account"), open_network(closed) as network:
        http = network.signed_in(await network.app_token())
        answer = await http.post("/api/v1/accounts", json={})
        assert answer.status_code == 403
        assert (await network.http.get("/api/v2/instance")).json()["registrations"]["enabled"] is False
