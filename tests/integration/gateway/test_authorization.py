"""The pages on which a member lets an app in or not: as browsers and apps see them, over a real socket."""

import asyncio
import re

import httpx
import psycopg
import pytest

from tests.integration.gateway.conftest import PASSWORD, Member, Network
from tests.integration.gateway.signing_in import CALLBACK, NATIVE, OOB, App, decide, proof, register, sent_to
from tests.integration.gateway.test_pages import HOSTILE, Elements


@pytest.fixture
async def app(shared_network: Network) -> App:
    return await register(shared_network)


@pytest.fixture
async def member(shared_network: Network) -> Member:
    return await shared_network.newcomer()


@pytest.mark.parametrize("login", ["handle", "@HANDLE", " handle@Example.com "])
async def test_members_sign_in_by_handle_or_address(
    shared_network: Network, app: App, member: Member, login: str
) -> None:
    written = login.replace("handle", member.handle).replace("HANDLE", member.handle.upper())
    answer = await decide(shared_network, member, app.asks(), login=written)
    assert "code" in sent_to(answer)[1]


async def test_the_page_says_in_words_what_it_is_about(shared_network: Network, app: App) -> None:
    asked = app.asks(scope="read write:statuses follow", force_login="true", state="s")
    english, japanese = [
        await shared_network.http.get(path, params=asked, headers={"accept-language": accepted})
        for path, accepted in (
            ("/oauth/authorize", "de, en;q=0.8, ja;q=0.1"),
            ("/oauth/authorize/", "ja-JP,ja;q=0.9,en;q=0.8"),
        )
    ]
    for page, language, sentences in (
        (
            english,
            "en",
            ("Tooter asks to act for you", "See everything that you see", "Post and delete statuses", "Deny"),
        ),
        (japanese, "ja", ("Tooter があなたのアカウント", "あなたが見られるすべて", "つぶやきと日記の投稿", "拒否する")),
    ):
        assert page.status_code == 200
        elements = Elements(page.text)
        assert ("html", {"lang": language}) in elements.seen
        assert all(sentence in elements.text for sentence in sentences), elements.text
        assert any(tag == "a" and each["href"] == "https://app.example/about" for tag, each in elements.seen)
        labels = {each["for"] for tag, each in elements.seen if tag == "label"}
        inputs = {
            str(each.get("id")): each for tag, each in elements.seen if tag == "input" and each["type"] != "hidden"
        }
        assert labels == set(inputs) == {"login", "password"}
        assert inputs["password"]["autocomplete"] == "current-password"
        assert not [tag for tag, _ in elements.seen if tag in ("style", "iframe", "img")]
        assert all(str(each["src"]).startswith("/assets/") for tag, each in elements.seen if tag == "script")
        assert not [name for _, each in elements.seen for name in each if name.startswith("on") or name == "style"]
        policy = page.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert policy.startswith("default-src 'none'")
        assert "form-action 'self' https://app.example;" in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["cache-control"] == "no-store"
    chosen = await shared_network.http.get(
        "/oauth/authorize", params=asked | {"lang": "ja"}, headers={"accept-language": "en"}
    )
    assert ("html", {"lang": "ja"}) in Elements(chosen.text).seen
    native = await shared_network.http.get("/oauth/authorize", params=asked | {"redirect_uri": NATIVE})
    assert "form-action 'self' com.example.app:;" in native.headers["content-security-policy"]
    out_of_band = await shared_network.http.get("/oauth/authorize", params=asked | {"redirect_uri": OOB})
    assert "form-action 'self';" in out_of_band.headers["content-security-policy"]


async def test_nothing_that_apps_say_is_markup_or_policy(shared_network: Network) -> None:
    hostile = await register(
        shared_network,
        client_name=HOSTILE,
        website="https://app.example/'%22><script>",
        redirect_uris=["https://a.example;script-src%20*/cb", "https://user@[::1]:80/cb", "x-app:y;script-src"],
    )
    for uri, source in (
        ("https://a.example;script-src%20*/cb", "https:;"),
        ("https://user@[::1]:80/cb", "https:;"),
        ("x-app:y;script-src", "x-app:;"),
    ):
        asked = hostile.asks(redirect_uri=uri, state=HOSTILE)
        page = await shared_network.http.get("/oauth/authorize", params=asked)
        elements = Elements(page.text)
        assert HOSTILE in elements.text
        assert not [tag for tag, each in elements.seen if tag == "img" or (tag == "script" and not each.get("src"))]
        assert f"form-action 'self' {source}" in page.headers["content-security-policy"]
        assert page.headers["content-security-policy"].count("script-src") == 1
        assert any(each.get("name") == "state" and each["value"] == HOSTILE for _, each in elements.seen)


async def test_a_wrong_password_gives_the_form_back(shared_network: Network, app: App, member: Member) -> None:
    asked = app.asks(state="kept", lang="ja")
    for changes, field, sentence in (
        ({"password": "wrong"}, "password", "ユーザー名またはパスワードが違います。"),
        ({"login": "nobody_at_all"}, "password", "ユーザー名またはパスワードが違います。"),
        ({"login": "not a handle \x1f"}, "password", "ユーザー名またはパスワードが違います。"),
        ({"password": "x" * 200}, "password", "ユーザー名またはパスワードが違います。"),
        ({"login": " "}, "login", "ユーザー名またはメールアドレスを入力してください。"),
        ({"password": ""}, "password", "パスワードを入力してください。"),
        ({"decision": ""}, "decision", "許可するか拒否するかを選んでください。"),
    ):
        answer = await decide(shared_network, member, asked, **changes)
        assert answer.status_code == 422, changes
        elements = Elements(answer.text)
        assert sentence in elements.text
        inputs = {each.get("name"): each for tag, each in elements.seen if tag == "input"}
        assert inputs["state"]["value"] == "kept"
        if field in inputs:
            assert (inputs[field]["aria-invalid"], inputs[field]["aria-describedby"]) == ("true", f"{field}-fault")
            assert any(each.get("id") == f"{field}-fault" and each.get("role") == "alert" for _, each in elements.seen)
        assert inputs["password"]["value"] == ""
        assert inputs["login"]["value"] == changes.get("login", member.handle)
        assert PASSWORD not in answer.text


async def test_denying(shared_network: Network, app: App, member: Member) -> None:
    answer = await decide(shared_network, member, app.asks(state="s"), decision="deny", login="", password="")
    address, query = sent_to(answer)
    assert (address, query["error"], query["state"], query["kept"]) == (
        "https://app.example/cb",
        "access_denied",
        "s",
        "1",
    )
    assert "code" not in query
    shown = await decide(shared_network, member, app.asks(redirect_uri=OOB), decision="deny")
    assert shown.status_code == 200
    assert "Tooter was not let in" in shown.text


async def test_the_code_is_shown_where_there_is_no_place_to_send_it_to(
    shared_network: Network, app: App, member: Member
) -> None:
    page = await decide(shared_network, member, app.asks(redirect_uri=OOB))
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    match = re.search(r'<code class="code">([^<]+)</code>', page.text)
    assert match is not None
    token = await shared_network.http.post("/oauth/token", data=app.fetches(match[1], redirect_uri=OOB))
    assert token.status_code == 200, token.text


async def test_what_is_wrong_with_the_app_is_shown_and_never_sent(shared_network: Network, app: App) -> None:
    operator = App("kodama-operator", None)
    for asked in (
        app.asks(client_id="unknown"),
        app.asks(client_id=""),
        app.asks(client_id='"\\'),
        app.asks(redirect_uri="https://app.example/cb"),
        app.asks(redirect_uri=CALLBACK + "/"),
        app.asks(redirect_uri="https://evil.example/"),
        app.asks(redirect_uri='https://evil.example/"\\ü'),
        app.asks(redirect_uri=""),  # there are three
        app.asks(redirect_uri="https://evil.example/", response_type="token"),
        operator.asks(),
    ):
        for answer in (
            await shared_network.http.get("/oauth/authorize", params=asked),
            await shared_network.http.post(
                "/oauth/authorize", data=asked | {"decision": "approve", "login": "x", "password": "y"}
            ),
            await shared_network.http.post("/oauth/authorize", data=asked | {"decision": "deny"}),
        ):
            assert answer.status_code == 400, (asked, answer.text)
            assert answer.headers["content-type"].startswith("text/html")
            assert "This app cannot be let in" in answer.text
            assert "location" not in answer.headers
    query = f"{httpx.QueryParams(app.asks())}&redirect_uri=https://evil.example/"
    twice = await shared_network.http.get(f"/oauth/authorize?{query}")
    assert (twice.status_code, "more than once" in twice.text) == (400, True)


async def test_what_is_wrong_with_the_request_is_told_to_the_app(shared_network: Network, app: App) -> None:
    _, challenge = proof()
    public = await register(shared_network, token_endpoint_auth_method="none")
    assert public.client_secret is None
    for asked, error in (
        (app.asks(response_type="token"), "unsupported_response_type"),
        (app.asks(response_type=""), "unsupported_response_type"),
        (app.asks(scope="read push"), "invalid_scope"),
        (app.asks(scope="nonsense"), "invalid_scope"),
        (app.asks(code_challenge=challenge["code_challenge"], code_challenge_method="plain"), "invalid_request"),
        (app.asks(code_challenge=challenge["code_challenge"]), "invalid_request"),
        (app.asks(code_challenge_method="S256"), "invalid_request"),
        (app.asks(**(challenge | {"code_challenge_method": "S512"})), "invalid_request"),
        (app.asks(**(challenge | {"code_challenge": "~" * 43})), "invalid_request"),
        (app.asks(**(challenge | {"code_challenge": "a" * 44})), "invalid_request"),
        (public.asks(), "invalid_request"),
    ):
        for answer in (
            await shared_network.http.get("/oauth/authorize", params=asked | {"state": "s"}),
            await shared_network.http.post("/oauth/authorize", data=asked | {"state": "s", "decision": "approve"}),
        ):
            address, query = sent_to(answer)
            assert (address, query["error"], query["state"]) == ("https://app.example/cb", error, "s"), asked
            assert query["error_description"]
    shown = await shared_network.http.get("/oauth/authorize", params=app.asks(redirect_uri=OOB, scope="push"))
    assert (shown.status_code, "invalid_scope" in shown.text) == (400, True)


async def test_only_a_form_of_this_site_decides(shared_network: Network, app: App, member: Member) -> None:
    form = app.asks() | {"login": member.handle, "password": PASSWORD, "decision": "approve"}
    for site, http_status in (("cross-site", 403), ("same-site", 403), ("same-origin", 303), ("none", 303)):
        answer = await shared_network.http.post("/oauth/authorize", data=form, headers={"sec-fetch-site": site})
        assert answer.status_code == http_status, site
    script = await shared_network.http.post("/oauth/authorize", data=form, headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in script.headers


async def test_guessing_has_a_pace(network: Network) -> None:
    [hana, ken] = await network.sign_up("hana", "ken")
    app = await register(network)
    for name in ("hana", "nobody_has_this"):
        tries = await asyncio.gather(
            *(decide(network, hana, app.asks(), login=name, password=f"guess {number}") for number in range(14))
        )
        assert sorted(answer.status_code for answer in tries) == [422] * 10 + [429] * 4, name
        [*_, held] = [answer for answer in tries if answer.status_code == 429]
        assert 0 < int(held.headers["retry-after"]) <= 240
        assert "too many attempts" in held.text
    for login in ("hana", "hana@example.com"):  # one account, one count
        assert (await decide(network, hana, app.asks(), login=login)).status_code == 429
    for _ in range(12):  # what was right is not counted
        sent_to(await decide(network, ken, app.asks()))
    with psycopg.connect(network.settings.database_url) as conn:
        conn.execute("UPDATE account.password_attempts SET free_at = free_at - interval '4 minutes'")
    sent_to(await decide(network, hana, app.asks()))
    assert (await hana.http.get("/api/v1/accounts/verify_credentials")).status_code == 200  # who is signed in stays so
