"""Sessions: what the cookie is and opens, how it ends, where a browser is sent, and approving an app with one press."""

import re

import httpx
import pytest

from services.gateway.browser.local_paths import local_path
from services.gateway.browser.user_agents import label_of
from tests.integration.gateway.conftest import PASSWORD, Member
from tests.integration.gateway.signing_in import OOB, register, sent_to
from tests.pages.conftest import SESSION, Client, Site, session_of

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


async def sign_in(site: Site, handle: str, password: str = PASSWORD, **form: str) -> httpx.Response:
    data = {"login": handle, "password": password, **form}
    return await site.network.http.post("/sign-in", data=data, headers={"user-agent": FIREFOX})


async def test_the_cookie(site: Site) -> None:
    handle = site.new_name()
    await site.sign_up(handle)
    answer = await sign_in(site, handle)
    assert (answer.status_code, answer.headers["location"]) == (303, "/home")
    [cookie] = [each for each in answer.headers.get_list("set-cookie") if each.startswith(SESSION)]
    assert {part.strip().lower() for part in cookie.split(";")[1:]} == {
        *("path=/", "secure", "httponly", "samesite=lax", "max-age=7776000"),
    }
    secret = session_of(answer)
    assert secret is not None
    assert len(secret) >= 43
    kept = site.world.query(
        "SELECT count(*) FILTER (WHERE token_hash = sha256(convert_to(%s, 'UTF8'))), count(*) FILTER (WHERE tokens::text LIKE %s)"
        " FROM account.tokens",
        secret,
        f"%{secret}%",
    )
    assert kept == [(1, 0)]  # only its hash
    page = await Client(site, secret).get("/home")
    assert page.headers["cache-control"] == "private, no-store"
    assert page.headers["referrer-policy"] == "same-origin"


async def test_signing_out_and_another_password(site: Site) -> None:
    handle = site.new_name()
    first = Client(site, await site.sign_up(handle))
    second, third = [Client(site, session_of(await sign_in(site, handle)) or "") for _ in range(2)]
    for client in (first, second, third):
        assert (await client.get("/home")).status_code == 200

    left = await first.post("/sign-out")
    assert (left.status_code, left.headers["location"]) == (303, "/")
    assert f"{SESSION}=" in left.headers["set-cookie"]
    assert (await first.get("/home")).headers["location"] == "/sign-in?next=/home"

    apps = await second.get("/settings/apps")
    assert apps.text.count("Firefox, Linux") == 2
    new = "another horse entirely"
    for old, wanted, field in (
        (PASSWORD, "short", "new_password"),
        ("wrong", new, "old_password"),
        ("", new, "old_password"),
    ):
        refused = await second.post("/settings/password", {"old_password": old, "new_password": wanted})
        assert refused.status_code == 422
        assert f'id="{field}-fault"' in refused.text
        assert PASSWORD not in refused.text
    changed = await second.post("/settings/password", {"old_password": PASSWORD, "new_password": new})
    assert changed.status_code == 303
    assert (await second.get("/home")).status_code == 200
    for _ in range(60):  # for five seconds the gateway may take a session that another process has ended
        ended = await third.get("/home")
        if ended.status_code == 303:
            break
    site.network.http.cookies.clear()
    assert (await sign_in(site, handle)).status_code == 422
    assert (await sign_in(site, handle, new)).status_code == 303


async def test_apps_are_shown_and_lose_their_access(site: Site) -> None:
    handle = site.new_name()
    client = Client(site, await site.sign_up(handle))
    app = await register(site.network)
    asked = app.asks(redirect_uri=OOB, scope="read write:statuses")
    page = await client.get(f"/oauth/authorize?{httpx.QueryParams(asked)}")
    assert f"@{handle}" in page.text
    assert 'name="password"' not in page.text  # who is signed in does not type it again
    token = re.search(r'name="csrf_token" value="([0-9a-f]+)"', page.text)
    assert token is not None
    stolen = await client.post("/oauth/authorize", {**asked, "decision": "approve"}, token="")
    assert stolen.status_code == 403
    shown = await client.post("/oauth/authorize", {**asked, "decision": "approve"}, token=token[1])
    code = re.search(r'<code class="code">([^<]+)</code>', shown.text)
    assert code is not None, shown.text
    issued = await site.network.http.post("/oauth/token", data=app.fetches(code[1], redirect_uri=OOB))
    api = site.network.signed_in(issued.json()["access_token"])
    assert (await api.get("/api/v1/accounts/verify_credentials")).json()["username"] == handle

    forced = await client.get(f"/oauth/authorize?{httpx.QueryParams({**asked, 'force_login': 'true'})}")
    assert 'name="password"' in forced.text
    denied = await client.post("/oauth/authorize", {**app.asks(), "decision": "deny"})
    assert sent_to(denied)[1]["error"] == "access_denied"

    apps = await client.get("/settings/apps")
    assert "Tooter" in apps.text
    assert "Post and delete statuses and blog entries" in apps.text
    stranger = Client(site, await site.sign_up(site.new_name()))
    for grant in re.findall(r'action="/settings/apps/([0-9]+)/revoke"', apps.text):
        assert (await stranger.post(f"/settings/apps/{grant}/revoke")).status_code == 404
        assert (await client.post(f"/settings/apps/{grant}/revoke")).status_code == 303
    assert "Tooter" not in (await client.get("/settings/apps")).text
    site.network.http.cookies.clear()
    member = Member("", handle, site.network.signed_in(issued.json()["access_token"]))
    assert (await member.http.get("/api/v1/instance")).status_code == 200


@pytest.mark.parametrize(
    "place",
    [
        *("https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)"),
        *(
            "/\t/evil.example",
            "/%0d%0aset-cookie:x",
            " //evil.example",
            "/ /evil.example",
            "evil",
            "",
            "/x" * 600,
            "/\x00",
        ),
    ],
)
async def test_nobody_is_sent_elsewhere(site: Site, place: str) -> None:
    assert local_path(place, "/home") in ("/home", "/%0d%0aset-cookie:x")  # the last is a path, and stays quoted


async def test_where_one_wanted_to_go(site: Site) -> None:
    handle = site.new_name()
    await site.sign_up(handle)
    site.network.http.cookies.clear()
    asked = await Client(site).get("/settings/privacy?saved=true")
    assert asked.headers["location"] == "/sign-in?next=/settings/privacy%3Fsaved%3Dtrue"
    for wanted, sent in (("/settings/privacy?saved=true", "/settings/privacy?saved=true"), ("//evil.example", "/home")):
        assert (await sign_in(site, handle, next=wanted)).headers["location"] == sent
    script = await Client(site).get("/home/newer?since_id=5", hx_request="true")
    assert (script.status_code, script.headers["hx-redirect"]) == (401, "/sign-in?next=/home/newer%3Fsince_id%3D5")


async def test_a_form_that_is_sent_twice_posts_once(site: Site) -> None:
    client = Client(site, await site.sign_up(site.new_name()))
    token = await client.token()
    form = {"status": "once", "visibility": "public", "idempotency_key": "a key of this form"}
    for _ in range(3):
        assert (await client.post("/statuses", form, token=token)).status_code == 303
    assert (await client.get("/home")).text.count('class="post ') == 1


def test_browsers_by_name() -> None:
    assert label_of(FIREFOX) == "Firefox, Linux"
    android = "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Mobile Safari/537.36"
    assert label_of(android) == "Chrome, Android"
    assert label_of("curl/8.0") == ""
