"""Who may call what: every row of the table, with and without a token, with and without the scope, with both paths."""

import httpx

from services.gateway.auth import Open
from services.gateway.routes import TABLE
from services.gateway.routing import Route
from services.gateway.streaming.server_sent import MEDIA_TYPE
from tests.integration.gateway.conftest import Network

GUARDED = [route for route in TABLE if route.policy is not Open.PUBLIC]


def path_of(route: Route) -> str:
    return (
        route.path.replace("{id}", "5")
        .replace("{handle}", "nobody")
        .replace("{hashtag}", "none")
        .replace("{name}", "none")
    )


async def ask(http: httpx.AsyncClient, route: Route, *, suffix: str = "", **headers: str) -> httpx.Response:
    answer = await http.send(http.build_request(route.method, path_of(route) + suffix, headers=headers), stream=True)
    if not answer.headers["content-type"].startswith(MEDIA_TYPE):  # a stream has no end
        await answer.aread()
    await answer.aclose()
    return answer


async def test_nothing_without_a_token(shared_network: Network) -> None:
    for route in GUARDED:
        for suffix in ("", "/"):
            answer = await ask(shared_network.http, route, suffix=suffix)
            assert answer.status_code == 401, (route.method, route.path)
            assert answer.headers["www-authenticate"] == 'Bearer realm="Kodama"'
            assert set(answer.json()) == {"error", "error_description"}


async def test_nothing_with_what_is_no_token(shared_network: Network) -> None:
    route = next(route for route in GUARDED if route.path == "/api/v1/timelines/home")
    for value in ("Bearer", "Bearer \t.", "Bearer " + "x" * 43, "Basic eDp5", "Token abc", "Bearer " + "x" * 9000):
        answer = await ask(shared_network.http, route, authorization=value)
        assert answer.status_code == 401, value
    unknown = await ask(shared_network.http, route, authorization="Bearer unknown")
    assert unknown.headers["www-authenticate"] == 'Bearer realm="Kodama", error="invalid_token"'
    in_query = await shared_network.http.get(route.path, params={"access_token": await shared_network.app_token()})
    assert in_query.status_code == 401


async def test_an_apps_token_is_no_members(shared_network: Network) -> None:
    app = shared_network.signed_in(await shared_network.app_token())
    for route in GUARDED:
        answer = await ask(app, route)
        assert (answer.status_code == 403) == isinstance(route.policy, str), (route.method, route.path, answer.text)


async def test_a_scope_covers_its_routes_only(shared_network: Network) -> None:
    for number, scope in enumerate(("push", "read:statuses", "follow")):
        [member] = await shared_network.sign_up(f"member{number}", scopes=scope)
        for route in GUARDED:
            answer = await ask(member.http, route)
            needed = route.policy
            is_covered = (
                needed is Open.APP
                or needed == scope
                or (scope == "follow" and str(needed).endswith(("follows", "blocks", "mutes")))
            )
            assert (answer.status_code != 403) == is_covered, (scope, route.method, route.path, answer.text)
            if not is_covered:
                assert f'scope="{needed}"' in answer.headers["www-authenticate"]


async def test_every_route_answers_with_and_without_a_slash(shared_network: Network) -> None:
    member = await shared_network.newcomer()
    for route in TABLE:
        if route.path == "/":
            continue
        plain, slashed = await ask(member.http, route), await ask(member.http, route, suffix="/")
        assert plain.status_code == slashed.status_code < 500, (route.method, route.path, plain.text)


async def test_a_revoked_token_ends_at_once(shared_network: Network) -> None:
    member = await shared_network.newcomer()
    token = member.http.headers["authorization"].removeprefix("Bearer ")
    form = {"token": token, "client_id": shared_network.client_id, "client_secret": shared_network.client_secret}
    other_id, other_secret = await shared_network.register()
    assert (await member.http.get("/api/v1/timelines/home")).status_code == 200

    foreign = await shared_network.http.post(
        "/oauth/revoke", data=form | {"client_id": other_id, "client_secret": other_secret}
    )
    assert (foreign.status_code, foreign.json()["error"]) == (403, "unauthorized_client")
    wrong = await shared_network.http.post("/oauth/revoke", data=form | {"client_secret": "wrong"})
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    assert (await member.http.get("/api/v1/timelines/home")).status_code == 200

    for _ in range(2):  # what is ended already is fine
        assert (await shared_network.http.post("/oauth/revoke", data=form)).status_code == 200
    assert (await member.http.get("/api/v1/timelines/home")).status_code == 401
