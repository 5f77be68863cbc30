"""From a code to a token: what a code is bound to, how long and how often it is good, and the other ways to a token."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator

import httpx
import psycopg
import pytest

from chassis.settings import SERVICES, Settings
from tests.conftest import run_services
from tests.integration.gateway.conftest import PASSWORD, Member, Network, open_network
from tests.integration.gateway.signing_in import NATIVE, App, code_for, decide, proof, register, sent_to


@pytest.fixture
async def app(shared_network: Network) -> App:
    return await register(shared_network)


@pytest.fixture
async def member(shared_network: Network) -> Member:
    return await shared_network.newcomer()


async def test_from_the_page_to_a_token_that_works(shared_network: Network, app: App, member: Member) -> None:
    verifier, challenge = proof()
    answer = await decide(shared_network, member, app.asks(state='{"a": "ü&="}', **challenge))
    address, query = sent_to(answer)
    assert (address, query["kept"], query["state"]) == ("https://app.example/cb", "1", '{"a": "ü&="}')
    assert "iss" not in query  # which only an https address can be
    assert len(query["code"]) >= 43
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    form = app.fetches(query["code"], code_verifier=verifier)
    token = await shared_network.http.post("/oauth/token", data=form)
    assert token.status_code == 200, token.text
    assert token.headers["cache-control"] == "no-store"
    assert set(token.json()) == {"access_token", "token_type", "scope", "created_at"}
    assert (token.json()["token_type"], token.json()["scope"]) == ("Bearer", "read write")
    signed_in = shared_network.signed_in(token.json()["access_token"])
    assert (await signed_in.get("/api/v1/accounts/verify_credentials")).json()["id"] == member.id
    assert (await signed_in.get("/api/v1/apps/verify_credentials")).json()["name"] == "Tooter"


async def test_a_confidential_app_without_pkce_by_basic_and_by_body(
    shared_network: Network, app: App, member: Member
) -> None:
    assert app.client_secret is not None
    code = await code_for(shared_network, member, app)
    by_body = await shared_network.http.post("/oauth/token", json=app.fetches(code) | {"scope": "read"})
    assert by_body.json()["scope"] == "read write"  # what was approved
    code = await code_for(shared_network, member, app, scope="read:statuses")
    form = app.fetches(code, client_secret="")
    both = await shared_network.http.post(
        "/oauth/token", data=app.fetches(code), auth=(app.client_id, app.client_secret)
    )
    assert (both.status_code, both.json()["error"]) == (400, "invalid_request")
    by_basic = await shared_network.http.post("/oauth/token", data=form, auth=(app.client_id, app.client_secret))
    assert by_basic.json()["scope"] == "read:statuses"


async def test_a_public_app_proves_itself_by_pkce_alone(shared_network: Network, member: Member) -> None:
    app = await register(shared_network, token_endpoint_auth_method="none", redirect_uris=NATIVE)
    verifier, challenge = proof()
    asked = app.asks(redirect_uri="", **challenge)  # it has only one
    address, query = sent_to(await decide(shared_network, member, asked))
    assert address == NATIVE
    form = app.fetches(query["code"], redirect_uri="")
    for changes, error in (
        ({}, "invalid_request"),
        ({"code_verifier": secrets.token_urlsafe(32)}, "invalid_grant"),
        ({"code_verifier": "short"}, "invalid_request"),
        ({"code_verifier": verifier, "client_secret": "x"}, "invalid_client"),
    ):
        refused = await shared_network.http.post("/oauth/token", data=form | changes)
        assert refused.json()["error"] == error, (changes, refused.text)
    given = await shared_network.http.post("/oauth/token", data=form | {"code_verifier": verifier})
    assert given.status_code == 200, given.text
    itself = await shared_network.http.post(
        "/oauth/token", data={"grant_type": "client_credentials", "client_id": app.client_id}
    )
    assert (itself.status_code, itself.json()["error"]) == (400, "unauthorized_client")
    ended = {"token": given.json()["access_token"], "client_id": app.client_id}
    assert (await shared_network.http.post("/oauth/revoke", data=ended)).status_code == 200
    http = shared_network.signed_in(given.json()["access_token"])
    assert (await http.get("/api/v1/accounts/verify_credentials")).status_code == 401


async def test_a_code_is_bound_to_what_it_was_given_for(shared_network: Network, app: App, member: Member) -> None:
    verifier, challenge = proof()
    other = await register(shared_network)
    code = await code_for(shared_network, member, app, **challenge)
    for form, http_status, error in (
        (other.fetches(code, code_verifier=verifier), 400, "invalid_grant"),
        (app.fetches(code, code_verifier=verifier, redirect_uri=NATIVE), 400, "invalid_grant"),
        (app.fetches(code, code_verifier=verifier, redirect_uri=""), 400, "invalid_grant"),
        (app.fetches(code, code_verifier=secrets.token_urlsafe(32)), 400, "invalid_grant"),
        (app.fetches(code), 400, "invalid_request"),
        (app.fetches(code, code_verifier=verifier, client_secret="wrong"), 401, "invalid_client"),
        (app.fetches(code, code_verifier=verifier, client_secret=""), 401, "invalid_client"),
        (app.fetches(code, code_verifier=verifier, client_id="kodama-operator"), 401, "invalid_client"),
        (app.fetches(code[:-1], code_verifier=verifier), 400, "invalid_grant"),
    ):
        refused = await shared_network.http.post("/oauth/token", data=form)
        assert (refused.status_code, refused.json()["error"]) == (http_status, error), (form, refused.text)
        assert ("www-authenticate" in refused.headers) == (http_status == 401)
    without = await code_for(shared_network, member, app)
    downgraded = await shared_network.http.post("/oauth/token", data=app.fetches(without, code_verifier=verifier))
    assert (downgraded.status_code, downgraded.json()["error"]) == (400, "invalid_request")
    # All of them were refused, so the code is still good, for who may have it.
    assert (
        await shared_network.http.post("/oauth/token", data=app.fetches(code, code_verifier=verifier))
    ).status_code == 200


async def test_a_code_that_comes_twice_ends_the_token_that_it_gave(
    shared_network: Network, app: App, member: Member
) -> None:
    code = await code_for(shared_network, member, app)
    first = await shared_network.http.post("/oauth/token", data=app.fetches(code))
    other = await register(shared_network)
    stranger = await shared_network.http.post("/oauth/token", data=other.fetches(code))
    assert stranger.json()["error"] == "invalid_grant"
    http = shared_network.signed_in(first.json()["access_token"])
    assert (await http.get("/api/v1/apps/verify_credentials")).status_code == 200
    second = await shared_network.http.post("/oauth/token", data=app.fetches(code))
    assert (second.status_code, second.json()["error"]) == (400, "invalid_grant")
    # A gateway remembers a token for five seconds at most; account forgets it at once.
    fresh = await shared_network.http.post("/oauth/token", data=app.fetches(code))
    assert fresh.json()["error"] == "invalid_grant"
    assert revoked(shared_network.settings, first.json()["access_token"])


def revoked(settings: Settings, token: str) -> bool:
    with psycopg.connect(settings.service_database_url("account")) as conn:
        row = conn.execute(
            "SELECT revoked_at IS NOT NULL FROM tokens WHERE token_hash = %s",
            (hashlib.sha256(token.encode()).digest(),),
        ).fetchone()
    assert row is not None
    return bool(row[0])


async def test_of_a_code_redeemed_twice_at_once_one_token_is_given_and_ended(
    shared_network: Network, app: App, member: Member
) -> None:
    for _ in range(5):
        code = await code_for(shared_network, member, app)
        answers = await asyncio.gather(
            *(shared_network.http.post("/oauth/token", data=app.fetches(code)) for _ in range(4))
        )
        [given] = [answer for answer in answers if answer.status_code == 200]
        assert {answer.json()["error"] for answer in answers if answer is not given} == {"invalid_grant"}
        assert revoked(shared_network.settings, given.json()["access_token"])


async def test_secrets_do_not_belong_into_addresses(shared_network: Network, app: App, member: Member) -> None:
    code = await code_for(shared_network, member, app)
    refused = await shared_network.http.post("/oauth/token", params=app.fetches(code))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    form = app.asks() | {"login": member.handle, "password": PASSWORD, "decision": "approve"}
    page = await shared_network.http.post("/oauth/authorize", params=form)
    assert (page.status_code, "location" in page.headers) == (400, False)
    assert (await shared_network.http.post("/oauth/token", data=app.fetches(code))).status_code == 200


async def test_a_code_is_good_for_a_minute(shared_network: Network, app: App, member: Member) -> None:
    for age, http_status in ((55, 200), (61, 400)):
        code = await code_for(shared_network, member, app)
        with psycopg.connect(shared_network.settings.database_url) as conn:
            conn.execute(
                "UPDATE account.authorization_codes SET created_at = now() - make_interval(secs => %s) WHERE code_hash = %s",
                (age, hashlib.sha256(code.encode()).digest()),
            )
        answer = await shared_network.http.post("/oauth/token", data=app.fetches(code))
        assert answer.status_code == http_status, age


async def test_nothing_at_rest_could_be_used(shared_network: Network, app: App, member: Member) -> None:
    waiting = await code_for(shared_network, member, app)
    code = await code_for(shared_network, member, app)
    token = (await shared_network.http.post("/oauth/token", data=app.fetches(code))).json()["access_token"]
    with psycopg.connect(shared_network.settings.service_database_url("account")) as conn:
        for table in ("authorization_codes", "tokens", "apps", "accounts", "password_attempts", "claims"):
            rows = str(conn.execute(f"SELECT x::text FROM {table} AS x".encode()).fetchall())
            for secret in (waiting, code, token, app.client_secret or "?", PASSWORD):
                assert secret not in rows, table
                assert secret.encode().hex() not in rows, table


@pytest.fixture
async def https_network(settings: Settings) -> AsyncIterator[Network]:
    """A network behind a proxy that speaks TLS, and that allows the password grant."""
    address = settings.base_url()
    behind = settings.model_copy(update={"public_url": "https://kodama.example", "password_grant": True})
    async with run_services(behind, *SERVICES), open_network(behind) as network:
        network.http.base_url = httpx.URL(address)
        yield network


async def test_behind_tls_the_endpoints_describe_themselves(https_network: Network) -> None:
    for slash in ("", "/"):
        answer = await https_network.http.get(f"/.well-known/oauth-authorization-server{slash}")
        assert answer.status_code == 200
        described = answer.json()
        assert described["issuer"] == "https://kodama.example"
        assert described["authorization_endpoint"] == "https://kodama.example/oauth/authorize"
        assert described["code_challenge_methods_supported"] == ["S256"]
        assert described["grant_types_supported"] == ["authorization_code", "client_credentials", "password"]
        assert {"read", "write", "follow", "push", "profile", "read:statuses"} <= set(described["scopes_supported"])
    app = await register(https_network)
    refused = await https_network.http.get("/oauth/authorize", params=app.asks(scope="push"))
    assert sent_to(refused)[1]["iss"] == "https://kodama.example"


async def test_the_password_grant_where_it_is_allowed(https_network: Network) -> None:
    app = await register(https_network)
    token = await https_network.app_token()
    form = {"username": "hana", "email": "hana@example.com", "password": PASSWORD, "agreement": True, "locale": "en"}
    made = await https_network.http.post("/api/v1/accounts", json=form, headers={"authorization": f"Bearer {token}"})
    assert made.status_code == 200
    assert app.client_secret is not None
    request = {
        "grant_type": "password",
        "client_id": app.client_id,
        "client_secret": app.client_secret,
        "username": "hana@example.com",
        "password": PASSWORD,
        "scope": "read write",
    }
    given = await https_network.http.post("/oauth/token", json=request)
    assert (given.status_code, given.json()["scope"]) == (200, "read write")
    for change, http_status, error in (
        ({"password": "wrong"}, 400, "invalid_grant"),
        ({"username": "nobody"}, 400, "invalid_grant"),
        ({"username": ""}, 400, "invalid_request"),
        ({"password": ""}, 400, "invalid_request"),
        ({"scope": "push"}, 400, "invalid_scope"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
    ):
        refused = await https_network.http.post("/oauth/token", json=request | change)
        assert (refused.status_code, refused.json()["error"]) == (http_status, error), (change, refused.text)
    tries = [await https_network.http.post("/oauth/token", json=request | {"password": "guess"}) for _ in range(10)]
    assert (tries[-1].status_code, tries[-1].json()["error"]) == (429, "temporarily_unavailable")
    assert int(tries[-1].headers["retry-after"]) > 0
