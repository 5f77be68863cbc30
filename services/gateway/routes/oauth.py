"""Apps and tokens (RFC 6749, 7009): how a client program comes to act for a member."""

import base64
import binascii
from collections.abc import Mapping
from typing import Literal
from urllib.parse import unquote_plus

import msgspec
from kodama.account.v1.oauth_service_pb2 import IssueTokenRequest
from starlette.requests import Request
from starlette.responses import Response

from chassis.errors import InvalidField, KodamaError, NotFound, OAuthRefused, PermissionDenied, TooManyAttempts
from services.gateway.auth import Open
from services.gateway.bodies import is_storable
from services.gateway.context import Call
from services.gateway.entities import Application, CredentialApplication, Entity, Nothing, Token
from services.gateway.errors import ErrorBody, error_headers, error_response, http_code
from services.gateway.limiting import APPS, SIGN_INS
from services.gateway.parameters import NoParameters, ShortText
from services.gateway.routing import Route, json_response
from services.gateway.scopes import SCOPES

DEFAULT_SCOPE = "read"
NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}


class NewApp(msgspec.Struct, frozen=True, kw_only=True):
    """A client program to register."""

    client_name: ShortText
    redirect_uris: ShortText | list[ShortText]
    """One, several in lines, or a list."""
    scopes: ShortText = DEFAULT_SCOPE
    website: ShortText = ""
    token_endpoint_auth_method: Literal["", "client_secret_post", "client_secret_basic", "none"] = ""
    """`none`: the app can keep no secret. It gets none, and has to use PKCE (RFC 7591)."""


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks a token with; it may authenticate by HTTP Basic instead."""

    grant_type: ShortText
    client_id: ShortText = ""
    client_secret: ShortText = ""
    scope: ShortText = ""
    code: ShortText = ""
    redirect_uri: ShortText = ""
    code_verifier: ShortText = ""
    username: ShortText = ""
    """With a password, where the network allows that grant."""
    password: ShortText = ""


class Revocation(msgspec.Struct, frozen=True, kw_only=True):
    """A token to end, and the app that it was issued to."""

    token: ShortText
    client_id: ShortText = ""
    client_secret: ShortText = ""


class OAuthMetadata(Entity, kw_only=True):
    """Where clients find the endpoints (RFC 8414)."""

    issuer: str
    service_documentation: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str
    app_registration_endpoint: str
    scopes_supported: list[str]
    response_types_supported: list[str]
    response_modes_supported: list[str]
    code_challenge_methods_supported: list[str]
    authorization_response_iss_parameter_supported: bool
    grant_types_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]


def oauth_error(error: KodamaError, _names: Mapping[str, str]) -> Response:
    """Return a failure in OAuth's words: a code for machines as `error`, the sentence as `error_description`."""
    http_status = http_code(error)
    match error:
        case OAuthRefused():
            code = error.metadata["code"]
            http_status = 401 if code == "invalid_client" else 400
        case TooManyAttempts():
            code = "temporarily_unavailable"
        case NotFound():
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
    """Return the client's id and secret, from HTTP Basic or else from the body; a public client has no secret.

    Raises OAuthRefused where there are none, where they cannot be read, or where they are given in both ways (RFC 6749 2.3).
    """
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeError) as error:
            raise OAuthRefused("The client's HTTP Basic credentials cannot be read.", code="invalid_client") from error
        user, password = unquote_plus(user), unquote_plus(password)
        if client_secret or client_id not in ("", user):
            raise OAuthRefused("The client authenticates in two ways at once.", code="invalid_request")
        client_id, client_secret = user, password
    if not client_id:
        raise OAuthRefused("The client must authenticate with its client_id and client_secret.", code="invalid_client")
    if not is_storable(client_id + client_secret):
        raise OAuthRefused("There is no such client.", code="invalid_client")
    return client_id, client_secret


async def post_app(call: Call[NewApp]) -> Response:
    """Register an app."""
    params = call.params
    uris = params.redirect_uris.split() if isinstance(params.redirect_uris, str) else params.redirect_uris
    app, client_secret = await call.gateway.clients.create_app(
        name=params.client_name,
        redirect_uris=uris,
        scopes=params.scopes.split(),
        website=params.website,
        is_public=params.token_endpoint_auth_method == "none",  # noqa: S105 - a method, no password
    )
    return json_response(call.gateway.renderer.credential_application(app, client_secret), NO_STORE)


async def get_own_app(call: Call[NoParameters]) -> Response:
    """Return the app that the token was issued to."""
    app = await call.gateway.clients.app(call.caller.app_id)
    return json_response(call.gateway.renderer.application(app))


async def post_token(call: Call[TokenRequest]) -> Response:
    """Give an app a token: for a code, for itself, or for a member's password where the network allows that."""
    if call.request.url.query:  # RFC 6749 2.3.1 and 3.2: addresses are kept in logs and histories
        raise OAuthRefused("Parameters of a token request belong into its body.", code="invalid_request")
    params = call.params
    client_id, client_secret = client_of(call.request, params.client_id, params.client_secret)
    token = await call.gateway.clients.issue_token(
        IssueTokenRequest(
            grant_type=params.grant_type,
            client_id=client_id,
            client_secret=client_secret,
            scope=params.scope,
            code=params.code,
            redirect_uri=params.redirect_uri,
            code_verifier=params.code_verifier,
            username=params.username,
            password=params.password,
        )
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
    grants = [
        "authorization_code",
        "client_credentials",
        *(["password"] if call.gateway.settings.password_grant else []),
    ]
    return json_response(
        OAuthMetadata(
            issuer=base,
            service_documentation=f"{base}/api/docs",
            authorization_endpoint=f"{base}/oauth/authorize",
            token_endpoint=f"{base}/oauth/token",
            revocation_endpoint=f"{base}/oauth/revoke",
            app_registration_endpoint=f"{base}/api/v1/apps",
            scopes_supported=sorted(SCOPES | {"push", "profile"}),
            response_types_supported=["code"],
            response_modes_supported=["query"],
            code_challenge_methods_supported=["S256"],
            authorization_response_iss_parameter_supported=True,
            grant_types_supported=grants,
            token_endpoint_auth_methods_supported=["client_secret_basic", "client_secret_post", "none"],
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
        admits_unconfirmed=True,
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
