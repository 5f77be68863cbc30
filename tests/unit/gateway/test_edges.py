"""The small parts of the edge: bodies, errors, tokens, sign-up forms, pictures, the table itself."""

import asyncio
import hashlib
from collections.abc import Sequence
from xml.etree import ElementTree

import msgspec
import pytest
from kodama.account.v1.account_pb2 import TokenInfo
from starlette.responses import Response

from chassis import errors as kodama
from chassis.errors import InvalidField, Unauthenticated
from chassis.settings import Settings
from services.gateway import errors, identicons
from services.gateway.auth import CACHE_SECONDS, Caller, Open, Policy, Tokens
from services.gateway.bodies import parse_json
from services.gateway.clients import Clients
from services.gateway.context import Call, make_gateway
from services.gateway.errors import BadRequest
from services.gateway.parameters import NoParameters
from services.gateway.rendering import iso_time
from services.gateway.routes import TABLE
from services.gateway.routes.oauth import oauth_error
from services.gateway.routing import Route, make_routes
from services.gateway.signing_up import RefusedSignUp, SignUp, check_sign_up, language_of


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"a"',
        b"null",
        b'{"a":1,}',
        b"NaN",
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b"[" * 100_000,
        b'{"a":1e999}',
    ],
)
def test_what_is_no_json_object(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_json(body)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (kodama.InvalidField("text", "x"), 422),
        (kodama.NotFound("x"), 404),
        (kodama.AlreadyExists("x"), 422),
        (kodama.Unauthenticated("x"), 401),
        (kodama.PermissionDenied("x"), 403),
        (kodama.FailedPrecondition("x"), 422),
        (kodama.LimitReached("x"), 422),
        (kodama.IdempotencyKeyReused("x"), 422),
        (kodama.Conflict("x"), 409),
        (kodama.Unavailable("x"), 503),
        (kodama.KodamaError("x"), 500),
        (errors.BadRequest("x"), 400),
        (errors.TooLarge("x"), 413),
        (errors.UnsupportedMedia("x"), 415),
    ],
)
def test_errors_over_http(error: kodama.KodamaError, code: int) -> None:
    answer = errors.api_error(error, {"text": "status"})
    body = msgspec.json.decode(answer.body)
    assert answer.status_code == code
    assert body["error"] == body["error_description"] == "x"
    assert body.get("field") == ("status" if isinstance(error, InvalidField) else None)
    assert ("www-authenticate" in answer.headers) == (code == 401)
    assert ("retry-after" in answer.headers) == (code == 503)


def test_every_error_of_ours_has_a_code() -> None:
    assert set(kodama.KodamaError.__subclasses__()) - set(errors.HTTP_CODES) <= {
        kind for kind in kodama.KodamaError.__subclasses__() if not kind.__module__.startswith("chassis")
    }


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (kodama.OAuthRefused("x", code="invalid_client"), 401, "invalid_client"),
        (kodama.OAuthRefused("x", code="invalid_grant"), 400, "invalid_grant"),
        (kodama.TooManyAttempts("x", retryAfterSeconds="7"), 429, "temporarily_unavailable"),
        (kodama.InvalidField("scopes", "x"), 400, "invalid_scope"),
        (kodama.InvalidField("grant_type", "x"), 400, "invalid_request"),
        (kodama.PermissionDenied("x"), 403, "unauthorized_client"),
        (kodama.Unavailable("x"), 503, "temporarily_unavailable"),
        (kodama.KodamaError("x"), 500, "server_error"),
        (errors.TooLarge("x"), 413, "invalid_request"),
    ],
)
def test_errors_in_oauths_words(error: kodama.KodamaError, code: int, word: str) -> None:
    answer = oauth_error(error, {})
    assert (answer.status_code, msgspec.json.decode(answer.body)["error"]) == (code, word)


class Account:
    """Knows every token but bad ones, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    async def verify(self, token_hashes: Sequence[bytes]) -> dict[bytes, TokenInfo]:
        names = {hashlib.sha256(name.encode()).digest(): name for name in ("good", "bad", "a", "b", "c")}
        self.asked.append([names[token_hash] for token_hash in token_hashes])
        info = TokenInfo(account_id=7, app_id=8, scopes=["read"])
        return {token_hash: info for token_hash in token_hashes if names[token_hash] != "bad"}


async def test_tokens_are_remembered_for_a_moment() -> None:
    account, now = Account(), 100.0
    tokens = Tokens(account.verify, clock=lambda: now)
    assert (await tokens.caller("good")).account_id == 7
    assert (await tokens.caller("good")).scopes == {"read"}
    assert account.asked == [["good"]]
    now += CACHE_SECONDS
    await tokens.caller("good")
    assert account.asked == [["good"]] * 2
    tokens.forget("good")
    await tokens.caller("good")
    assert account.asked == [["good"]] * 3
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await tokens.caller("bad")
    assert account.asked[3:] == [["bad"], ["bad"]]


async def test_the_memory_for_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.auth.CACHE_SIZE", 2)
    account = Account()
    tokens = Tokens(account.verify)
    for token in ("a", "b", "c", "c", "a"):
        await tokens.caller(token)
    assert account.asked == [["a"], ["b"], ["c"], ["a"]]


async def test_tokens_that_come_together_are_verified_together_and_a_bad_one_fails_alone() -> None:
    account = Account()
    tokens = Tokens(account.verify)
    callers = await asyncio.gather(*(tokens.caller(name) for name in ("a", "bad", "b")), return_exceptions=True)
    assert account.asked == [["a", "bad", "b"]]
    assert [type(each) for each in callers] == [Caller, Unauthenticated, Caller]


def test_all_faults_of_a_sign_up_at_once() -> None:
    with pytest.raises(RefusedSignUp) as refused:
        check_sign_up(SignUp(username="Ha na", email="x", password="short"))
    assert {field: fault.error for field, fault in refused.value.faults.items()} == {
        "username": "ERR_INVALID",
        "email": "ERR_INVALID",
        "password": "ERR_TOO_SHORT",
        "agreement": "ERR_ACCEPTED",
    }
    with pytest.raises(RefusedSignUp) as refused:
        check_sign_up(SignUp(agreement=True))
    assert {fault.error for fault in refused.value.faults.values()} == {"ERR_BLANK"}
    with pytest.raises(RefusedSignUp) as refused:
        check_sign_up(SignUp(username="a" * 31, email="a@" + "b" * 300, password="x" * 129, agreement=True))
    assert {fault.error for fault in refused.value.faults.values()} == {"ERR_TOO_LONG"}
    check_sign_up(SignUp(username="hana", email="hana@example.com", password="longenough", agreement=True))


def test_locales() -> None:
    assert [language_of(locale) for locale in ("", "ja", "ja-JP", "en_US", "de")] == ["", "ja", "ja", "en", "en"]


def test_times() -> None:
    assert iso_time(0) == "1970-01-01T00:00:00.000Z"
    assert iso_time(1_700_000_000_007) == "2023-11-14T22:13:20.007Z"


def test_pictures_are_the_members_own_and_never_change() -> None:
    pictures = {identicons.avatar(number) for number in range(1, 200)}
    assert len(pictures) == 199
    assert identicons.avatar(5) == identicons.avatar(5)
    for picture in (identicons.avatar(5), identicons.header(5)):
        assert ElementTree.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"


async def _handler(_call: Call[NoParameters]) -> Response:
    return Response()


def _route(path: str, policy: Policy, method: str = "GET") -> Route:
    return Route(method=method, path=path, handler=_handler, policy=policy, summary="", tag="")


def test_a_route_needs_a_policy() -> None:
    with pytest.raises(TypeError, match="policy"):
        Route(method="GET", path="/x", handler=_handler, summary="", tag="")  # type: ignore[call-arg]  # on purpose
    for policy in ("", "read:nothing", "public"):
        with pytest.raises(ValueError, match="neither a scope nor"):
            _route("/x", policy)
    with pytest.raises(ValueError, match="slash"):
        _route("/x/", Open.PUBLIC)


def test_the_order_of_the_table_means_nothing() -> None:
    settings = Settings(secret="x" * 32)
    gateway = make_gateway(settings, Clients(settings))
    table = [_route("/a/{id}", Open.PUBLIC), _route("/a/b", Open.PUBLIC), _route("/a/b", "read", "POST")]
    assert [route.path for route in make_routes(table, gateway)] == ["/a/b", "/a/b/", "/a/{id}", "/a/{id}/"]
    with pytest.raises(ValueError, match="twice"):
        make_routes([*table, table[0]], gateway)


def test_every_row_of_the_table_says_what_it_is() -> None:
    assert all(route.summary and route.tag for route in TABLE)
    assert all(
        route.response is not None or route.media_type != "text/html"  # streams answer events
        for route in TABLE
        if route.path.startswith("/api/v")
    )
    # Whoever adds an open route has to say so here too.
    assert {
        f"{route.method} {route.path}"
        for route in TABLE
        if route.policy is Open.PUBLIC and route.tag not in ("pages", "absent")
    } == {
        "GET /health",
        "GET /api/v1/instance",
        "GET /api/v2/instance",
        "GET /api/v1/streaming/health",
        "GET /media/{id}/{name}",
        "GET /users/{handle}/blog.atom",
        "POST /api/v1/apps",
        "POST /oauth/token",
        "POST /oauth/revoke",
        "GET /.well-known/oauth-authorization-server",
        "GET /api/openapi.json",
        "GET /api/docs",
    }
