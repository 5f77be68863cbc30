"""Every rate limit fires at its figure and not before, for whom it should and for nobody else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest

from chassis.settings import SERVICES, Settings
from services.gateway.auth import Open
from services.gateway.limiting import ALL, GENERAL
from services.gateway.routes import TABLE
from services.gateway.static_files import address_of
from tests.conftest import fresh_settings, run_services
from tests.integration.gateway.conftest import PASSWORD, Network, open_network

NO_LIMITS = {limit.setting: "" for limit in ALL} | {"rate_limits": True}
SOME = 4


@pytest.fixture(scope="module")
async def limited_settings(postgres_url: str, template_database: str) -> AsyncIterator[Settings]:
    """Settings of services that run, for gateways that each limit something else."""
    with fresh_settings(postgres_url, template_database) as settings:
        async with run_services(settings, *SERVICES):
            yield settings.model_copy(update=NO_LIMITS)


@pytest.fixture(scope="module")
async def members(limited_settings: Settings) -> list[str]:
    """Tokens of two members: two of the first, one of the second."""
    async with open_network(limited_settings) as network:
        ann, bob = await network.sign_up("ann", "bob")
        return [member.http.headers["authorization"] for member in (ann, bob)]


@asynccontextmanager
async def limiting(settings: Settings, **limits: str) -> AsyncIterator[Network]:
    async with open_network(settings.model_copy(update=limits)) as network:
        yield network


def sign_in(network: Network, tokens: list[str]) -> list[httpx.AsyncClient]:
    return [network.signed_in(token.removeprefix("Bearer ")) for token in tokens]


async def use_up(ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Ask as often as is allowed, and once more; return the refusal."""
    for left in range(SOME - 1, -1, -1):
        answer = await ask()
        assert answer.status_code != 429, answer.text
        assert answer.headers["x-ratelimit-limit"] == str(SOME)
        assert answer.headers["x-ratelimit-remaining"] == str(left)
    refused = await ask()
    assert refused.status_code == 429
    assert refused.json()["error_description"].endswith(".")
    assert 0 < int(refused.headers["retry-after"]) <= 86400
    assert refused.headers["x-ratelimit-remaining"] == "0"
    reset = datetime.fromisoformat(refused.headers["x-ratelimit-reset"])
    assert abs((reset - datetime.now(UTC)).total_seconds() - int(refused.headers["retry-after"])) < 3
    return refused


async def test_a_members_requests_with_any_token(limited_settings: Settings, members: list[str]) -> None:
    async with limiting(limited_settings, limit_per_member=f"{SOME}/minute") as network:
        ann, bob = sign_in(network, members)
        await use_up(lambda: ann.get("/api/v1/timelines/home"))
        assert (await ann.get("/api/v1/preferences")).status_code == 429
        assert (await bob.get("/api/v1/timelines/home")).status_code == 200


async def test_a_tokens_requests(limited_settings: Settings, members: list[str]) -> None:
    async with limiting(limited_settings, limit_per_token=f"{SOME}/minute") as network:
        ann, bob = sign_in(network, members)
        await use_up(lambda: ann.get("/api/v1/timelines/home"))
        assert (await bob.get("/api/v1/timelines/home")).status_code == 200


async def test_an_addresss_requests_without_a_token(limited_settings: Settings, members: list[str]) -> None:
    async with limiting(limited_settings, limit_per_address=f"{SOME}/minute") as network:
        ann, _ = sign_in(network, members)
        await use_up(lambda: network.http.get("/api/v1/instance"))
        # What is refused for its token counts too, so that tokens cannot be guessed without end.
        wrong = await network.http.get("/api/v1/timelines/home", headers={"authorization": "Bearer wrong"})
        assert wrong.status_code == 429
        assert (await ann.get("/api/v1/timelines/home")).status_code == 200
        page = await network.http.get("/@ann")
        assert page.status_code == 429
        assert page.headers["content-type"].startswith("text/html")
        for path in ("/avatars/1.svg", address_of("kodama.css"), "/health"):
            assert (await network.http.get(path)).status_code == 200


async def test_guessed_tokens_are_counted(limited_settings: Settings) -> None:
    async with limiting(limited_settings, limit_per_address=f"{SOME}/minute") as network:
        await use_up(lambda: network.http.get("/api/v1/timelines/home", headers={"authorization": "Bearer wrong"}))


async def test_further_pages(limited_settings: Settings, members: list[str]) -> None:
    async with limiting(limited_settings, limit_paging=f"{SOME}/minute") as network:
        ann, _ = sign_in(network, members)
        await use_up(lambda: ann.get("/api/v1/timelines/home", params={"max_id": "5"}))
        assert (await ann.get("/api/v1/timelines/home/", params={"min_id": "5"})).status_code == 429
        assert (await ann.get("/api/v1/timelines/home")).status_code == 200


async def test_writes_and_deletes(limited_settings: Settings, members: list[str]) -> None:
    async with limiting(limited_settings, limit_writes=f"{SOME}/minute") as network:
        ann, _ = sign_in(network, members)
        await use_up(lambda: ann.post("/api/v1/statuses", json={"status": "written"}))
        assert (await ann.post("/api/v1/statuses/", json={"status": "written"})).status_code == 429
        assert (await ann.get("/api/v1/timelines/home")).status_code == 200
    async with limiting(limited_settings, limit_deletes=f"{SOME}/minute") as network:
        ann, _ = sign_in(network, members)
        await use_up(lambda: ann.delete("/api/v1/statuses/99"))
        assert (await ann.post("/api/v1/statuses", json={"status": "written"})).status_code == 200


async def test_friend_requests_and_searches(limited_settings: Settings, members: list[str]) -> None:
    async with limiting(
        limited_settings, limit_friend_requests=f"{SOME}/day", limit_searches=f"{SOME}/minute"
    ) as network:
        ann, bob = sign_in(network, members)
        await use_up(lambda: ann.post("/api/v1/accounts/99/follow"))
        await use_up(lambda: bob.get("/api/v2/suggestions"))


async def test_pictures(limited_settings: Settings, members: list[str]) -> None:
    async with limiting(limited_settings, limit_media=f"{SOME}/minute") as network:
        ann, bob = sign_in(network, members)
        await use_up(lambda: ann.post("/api/v2/media"))
        assert (await ann.get("/api/v1/media/5")).status_code == 404
        assert (await bob.post("/api/v2/media")).status_code == 422


@pytest.mark.parametrize(
    ("limit", "path"),
    [
        ("limit_sign_ins", "/oauth/token"),
        ("limit_sign_ins", "/oauth/revoke"),
        ("limit_apps", "/api/v1/apps"),
    ],
)
async def test_doors_that_are_open_to_everybody(limited_settings: Settings, limit: str, path: str) -> None:
    async with limiting(limited_settings, **{limit: f"{SOME}/minute"}) as network:
        await use_up(lambda: network.http.post(path, data={"client_id": "1", "client_secret": "guessed"}))


async def test_sign_ups(limited_settings: Settings) -> None:
    async with limiting(limited_settings, limit_sign_ups=f"{SOME}/minute") as network:
        http = network.signed_in(await network.app_token())
        await use_up(lambda: http.post("/api/v1/accounts", data={"username": "x", "password": PASSWORD}))
        other = network.signed_in(await network.app_token())
        assert (await other.post("/api/v1/accounts", data={})).status_code == 429


async def test_a_forwarded_address_is_believed_of_trusted_proxies_only(limited_settings: Settings) -> None:
    async with limiting(limited_settings, limit_per_address=f"{SOME}/minute") as network:
        await use_up(lambda: network.http.get("/api/v1/instance"))
        lie = {"x-forwarded-for": "203.0.113.9"}
        assert (await network.http.get("/api/v1/instance", headers=lie)).status_code == 429
    proxied = limited_settings.model_copy(update={"trusted_proxies": "127.0.0.0/8,10.0.0.0/8"})
    async with limiting(proxied, limit_per_address=f"{SOME}/minute") as network:
        said = iter(f"198.51.100.{number}, 203.0.113.9, 10.1.2.3" for number in range(100))
        await use_up(lambda: network.http.get("/api/v1/instance", headers={"x-forwarded-for": next(said)}))
        other = {"x-forwarded-for": "203.0.113.9, 203.0.113.10"}
        assert (await network.http.get("/api/v1/instance", headers=other)).status_code == 200


async def test_a_window_ends(limited_settings: Settings, members: list[str]) -> None:
    async with limiting(limited_settings, limit_per_member="1/second") as network:
        ann, _ = sign_in(network, members)
        codes = [(await ann.get("/api/v1/timelines/home")).status_code for _ in range(2)]
        assert 429 in codes
        async with asyncio.timeout(10):
            while (await ann.get("/api/v1/timelines/home")).status_code == 429:
                await asyncio.sleep(0.05)


async def test_every_answer_says_how_much_is_left(limited_settings: Settings, members: list[str]) -> None:
    usual = {field: value.default for field, value in Settings.model_fields.items() if field.startswith("limit_")}
    async with limiting(limited_settings, **usual) as network:
        ann, _ = sign_in(network, members)
        for http, path, code in (
            (ann, "/api/v1/timelines/home", 200),
            (ann, "/api/v1/statuses/99", 404),
            (ann, "/api/v1/timelines/home?limit=x", 422),
            (network.http, "/api/v1/timelines/home", 401),
            (network.http, "/api/v1/instance", 200),
        ):
            answer = await http.get(path)
            assert answer.status_code == code
            assert int(answer.headers["x-ratelimit-remaining"]) < int(answer.headers["x-ratelimit-limit"])
            assert answer.headers["x-ratelimit-reset"].endswith("Z")


def test_every_door_that_is_open_to_everybody_has_a_limit_of_its_own() -> None:
    for route in TABLE:
        if route.method != "GET" and isinstance(route.policy, Open):
            assert route.limits, route.path
        if route.path.startswith("/api/") and route.path != "/api/v1/streaming/health":  # a probe, which asks nobody
            assert set(GENERAL) <= set(route.held_to()), route.path
