"""Apps and tokens (RFC 6749, 7009): how a client program comes to act for a member."""

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import unquote_plus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from chassis.errors import InvalidField, KodamaError, NotFound, PermissionDenied, Unauthenticated
from services.gateway.auth import Open
from services.gateway.bodies import is_storable
from services.gateway.context import Call
from services.gateway.entities import Application, CredentialApplication, Entity, Nothing, Token
from services.gateway.errors import ErrorBody, error_headers, error_response, http_code
from services.gateway.limiting import APPS, SIGN_INS
from services.gateway.parameters import NoParameters, ShortText
from services.gateway.routing import Route, json_response

DEFAULT_SCOPE = "read"
NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}


class NewApp(msgspec.Struct, frozen=True, kw_only=True):
    """A client program to register."""

    client_name: ShortText
    redirect_uris: ShortText | list[ShortText]
    """One, several in lines, or a list."""
    scopes: ShortText = DEFAULT_SCOPE
    website: ShortText = ""


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks a token with; it may authenticate by HTTP Basic instead."""

    grant_type: ShortText
    client_id: ShortText = ""
    client_secret: ShortText = ""
    scope: ShortText = ""


class Revocation(msgspec.Struct, frozen=True, kw_only=True):
    """A token to end, and the app that it was issued to."""

    token: ShortText
    client_id: ShortText = ""
    client_secret: ShortText = ""


class OAuthProblem(KodamaError):
    """A failure that OAuth has a code for."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message, code=code)


class OAuthMetadata(Entity, kw_only=True):
    """Where clients find the endpoints (RFC 8414)."""

    issuer: str
    token_endpoint: str
    revocation_endpoint: str
    app_registration_endpoint: str
    scopes_supported: list[str]
    response_types_supported: list[str]
    grant_types_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]


def oauth_error(error: KodamaError, _names: Mapping[str, str]) -> Response:
    """Return a failure in OAuth's words: a code for machines as `error`, the sentence as `error_description`."""
    http_status = http_code(error)
    match error:
        case OAuthProblem():
            code, http_status = error.metadata["code"], 400
        case Unauthenticated() | NotFound():
            code, http_status = "invalid_client", 401
        case PermissionDenied():
            code = "unauthorized_client"
        case InvalidField() if error.metadata.get("field") in ("scope", "scopes"):
            code, http_status = "invalid_scope", 400
        case InvalidField() if error.metadata.get("field") in ("client_id", "client_secret"):
            code, http_status = "invalid_client", 401
        case _ if http_status == 503:
            code = "temporarily_unavailable"
        case _ if http_status == 500:
            code = "server_error"
        case _:
            code, http_status = "invalid_request", http_status if http_status in (413, 429) else 400
    headers = {"www-authenticate": 'Basic realm="Kodama"'} if http_status == 401 else error_headers(error)
    body = ErrorBody(error=code, error_description=error.message)
    return error_response(http_status, body, headers | NO_STORE)


def client_of(request: Request, client_id: str, client_secret: str) -> tuple[str, str]:
    """Return the client's id and secret, from HTTP Basic or else from the body.

    Raises Unauthenticated where there are none or they cannot be read.
    """
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeError) as error:
            raise Unauthenticated("The client's HTTP Basic credentials cannot be read.") from error
        client_id, client_secret = unquote_plus(user), unquote_plus(password)
    if not client_id or not client_secret:
        raise Unauthenticated("The client must authenticate with its client_id and client_secret.")
    if not is_storable(client_id + client_secret):
        raise Unauthenticated("There is no such client.")
    return client_id, client_secret


async def post_app(call: Call[NewApp]) -> Response:
    """Register an app."""
    params = call.params
    uris = params.redirect_uris.split() if isinstance(params.redirect_uris, str) else params.redirect_uris
    app, client_secret = await call.gateway.clients.create_app(
        name=params.client_name, redirect_uris=uris, scopes=params.scopes.split(), website=params.website
    )
    return json_response(call.gateway.renderer.credential_application(app, client_secret), NO_STORE)


async def get_own_app(call: Call[NoParameters]) -> Response:
    """Return the app that the token was issued to."""
    app = await call.gateway.clients.app(call.caller.app_id)
    return json_response(call.gateway.renderer.application(app))


async def post_token(call: Call[TokenRequest]) -> Response:
    """Give an app a token of its own (client credentials)."""
    params = call.params
    if params.grant_type != "client_credentials":
        raise OAuthProblem("unsupported_grant_type", "Only the grant type client_credentials is supported.")
    client_id, client_secret = client_of(call.request, params.client_id, params.client_secret)
    token = await call.gateway.clients.issue_app_token(
        client_id=client_id, client_secret=client_secret, scopes=(params.scope or DEFAULT_SCOPE).split()
    )
    return json_response(call.gateway.renderer.token(token), NO_STORE)


async def post_revocation(call: Call[Revocation]) -> Response:
    """End a token; one that is unknown is ended already (RFC 7009)."""
    params = call.params
    client_id, client_secret = client_of(call.request, params.client_id, params.client_secret)
    try:
        await call.gateway.clients.revoke_token(
            access_token=params.token, client_id=client_id, client_secret=client_secret
        )
    finally:
        call.gateway.tokens.forget(params.token)
    return json_response(Nothing(), NO_STORE)


async def get_metadata(call: Call[NoParameters]) -> Response:
    """Describe the OAuth endpoints, on https only: clients take an http issuer for an attack."""
    base = call.gateway.base_url
    if not base.startswith("https://"):
        raise NotFound("This network is reached by plain http, where OAuth metadata does not exist.")
    return json_response(
        OAuthMetadata(
            issuer=base,
            token_endpoint=f"{base}/oauth/token",
            revocation_endpoint=f"{base}/oauth/revoke",
            app_registration_endpoint=f"{base}/api/v1/apps",
            scopes_supported=["read", "write", "follow"],
            response_types_supported=[],
            grant_types_supported=["client_credentials"],
            token_endpoint_auth_methods_supported=["client_secret_basic", "client_secret_post"],
        )
    )


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/apps",
        handler=post_app,
        policy=Open.PUBLIC,
        params=NewApp,
        response=CredentialApplication,
        fields={"name": "client_name"},
        limits=(APPS,),
        summary="Register an app",
        tag="oauth",
    ),
    Route(
        method="GET",
        path="/api/v1/apps/verify_credentials",
        handler=get_own_app,
        policy=Open.APP,
        response=Application,
        summary="The app that the token was issued to",
        tag="oauth",
    ),
    Route(
        method="POST",
        path="/oauth/token",
        handler=post_token,
        policy=Open.PUBLIC,
        params=TokenRequest,
        response=Token,
        errors=oauth_error,
        limits=(SIGN_INS,),
        summary="Get a token",
        tag="oauth",
    ),
    Route(
        method="POST",
        path="/oauth/revoke",
        handler=post_revocation,
        policy=Open.PUBLIC,
        params=Revocation,
        response=Nothing,
        errors=oauth_error,
        limits=(SIGN_INS,),
        summary="End a token",
        tag="oauth",
    ),
    Route(
        method="GET",
        path="/.well-known/oauth-authorization-server",
        handler=get_metadata,
        policy=Open.PUBLIC,
        response=OAuthMetadata,
        summary="The OAuth endpoints, on https only",
        tag="oauth",
    ),
)
