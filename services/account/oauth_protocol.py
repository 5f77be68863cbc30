"""The protocol: who may have a code or a token, as RFC 6749 and RFC 7636 say it and Authlib does it.

Authlib calls its storage without awaiting it. So nothing is stored here: what a request is about has been read beforehand, Authlib
judges it, and what follows is written by the use cases, in the transaction that has read it.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from authlib.oauth2 import OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    grants,
)
from authlib.oauth2.rfc6749.models import AuthorizationCodeMixin, ClientMixin
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7636 import CodeChallenge

from chassis.errors import InvalidField, OAuthRefused
from services.account.domain import DEFAULT_SCOPES, App, covers, grant, secret_hash

CODE = "authorization_code"
CLIENT_CREDENTIALS = "client_credentials"
PASSWORD = "password"  # noqa: S105 - the name of a grant
AUTH_METHODS = ["client_secret_post", "none"]

_S256 = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)

# Whether TLS is spoken is known to what stands before the gateway; Authlib is content where the address says so.
_ADDRESS = "https://kodama.invalid/oauth"
_FREE_TEXT = frozenset({"client_secret", "username", "password"})

Values = Mapping[str, str]
"""The parameters of a request by the names that the RFCs give them; without those that are empty."""


@dataclass(frozen=True)
class Client(ClientMixin):
    """An app, as Authlib wants to know it."""

    app: App
    client_secret_hash: bytes | None
    """None where the app has no secret: it is public, or nobody can be it."""

    def get_client_id(self) -> str:
        """Return what the app calls itself."""
        return self.app.client_id

    def get_default_redirect_uri(self) -> str | None:
        """Return where answers go that the app did not name a place for: there is only one."""
        return self.app.redirect_uris[0] if len(self.app.redirect_uris) == 1 else None

    def get_allowed_scope(self, scope: str) -> str | None:
        """Return what is asked, or what is asked by default; None where it is more than the app has registered for."""
        try:
            return " ".join(granted_scopes(self.app, scope))
        except InvalidScopeError:
            return None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Tell whether the app has registered exactly this address (RFC 9700 2.1)."""
        return redirect_uri in self.app.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        """Tell whether this is the app's secret."""
        kept = self.client_secret_hash
        return kept is not None and hmac.compare_digest(kept, secret_hash(client_secret))

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Tell whether the app proves itself so: with its secret, or without where it has none."""
        return method == ("none" if self.app.is_public else "client_secret_post")

    def check_response_type(self, response_type: str) -> bool:
        """Tell whether the app may be answered so."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Tell whether the app may have a token so; a public one only for a code, and none is ever refreshed."""
        return grant_type == CODE or (grant_type in (CLIENT_CREDENTIALS, PASSWORD) and not self.app.is_public)


@dataclass(frozen=True)
class Code(AuthorizationCodeMixin):
    """A code that has not been redeemed, and what it is bound to."""

    app_id: int
    account_id: int
    redirect_uri: str
    scopes: list[str]
    code_challenge: str
    code_challenge_method: str = "S256"

    def get_redirect_uri(self) -> str:
        """Return what the app said when it asked; empty where it said nothing."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """Return what the member approved."""
        return " ".join(self.scopes)


@dataclass(frozen=True)
class Authorization:
    """An authorization request that a member can be asked about."""

    redirect_uri: str
    scopes: list[str]


def check_authorization(values: Values, client: Client | None) -> Authorization:
    """Return what an app asks a member for.

    Raises OAuthRefused; with `redirect_uri` where the app itself is to be told, which is never so while it is not certain who
    asks or where the answer would go.
    """
    _check_text(values)
    server = _Server(client)
    try:
        consent: Any = server.get_consent_grant(_Request(values))
    except OAuth2Error as error:
        raise _refused(error) from error
    return Authorization(consent.redirect_uri, consent.request.scope.split())


def authenticate(values: Values, client: Client | None) -> None:
    """Raise OAuthRefused where the app does not prove that it is this client."""
    _check_text(values)
    try:
        _Server(client).authenticate_client(_Request(values), AUTH_METHODS)
    except OAuth2Error as error:
        raise _refused(error) from error


def check_token_request(
    values: Values, client: Client | None, *, code: Code | None = None, account_id: int | None = None
) -> list[str]:
    """Return the scopes of the token that a request gets; a code is the one that it names, an account whose password it has.

    Raises OAuthRefused.
    """
    server = _Server(client, code, account_id)
    try:
        return server.scopes_of_token(_Request(values))
    except OAuth2Error as error:
        raise _refused(error) from error


def granted_scopes(app: App, asked: str) -> list[str]:
    """Return the scopes that are asked for, or by default. Raises InvalidScopeError for unknown ones and beyond the app's own."""
    default = DEFAULT_SCOPES if covers(app.scopes, DEFAULT_SCOPES) else app.scopes
    try:
        return grant(app, (asked or "").split(), default)
    except InvalidField as error:
        raise InvalidScopeError(error.message) from error


class _Request(OAuth2Request):
    """A request whose parameters are known."""

    def __init__(self, values: Values) -> None:
        super().__init__("POST", _ADDRESS)
        self.payload = BasicOAuth2Payload(dict(values))

    @property
    def form(self) -> Values:
        """The parameters."""
        values: Values = self.payload.data
        return values


class _CodeGrant(grants.AuthorizationCodeGrant):
    """RFC 6749 4.1; the code has been looked up."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        """Return the code, if it was given to this app."""
        found = self.server.code
        return found if found is not None and found.app_id == client.app.id else None

    def authenticate_user(self, authorization_code: Code) -> int:
        """Return who approved."""
        return authorization_code.account_id

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """Leave it to the use case, which redeems it."""


class _ProofKey(CodeChallenge):
    """RFC 7636 with S256 only (RFC 9700 2.1.1), and not without it for apps that have no secret."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD: ClassVar = ["S256"]

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        """Refuse what could not be verified later."""
        super().validate_code_challenge(grant, redirect_uri)
        values, client = grant.request.payload.data, grant.request.client
        challenge = values.get("code_challenge", "")
        if not challenge and client.app.is_public:
            raise InvalidRequestError("An app without a secret needs PKCE: code_challenge is missing.")
        if challenge and (values.get("code_challenge_method") != "S256" or not _S256.fullmatch(challenge)):
            raise InvalidRequestError("The code_challenge_method has to be S256.")


class _ClientCredentialsGrant(grants.ClientCredentialsGrant):
    """RFC 6749 4.4."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS


class _PasswordGrant(grants.ResourceOwnerPasswordCredentialsGrant):
    """RFC 6749 4.3; the password has been verified."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def authenticate_user(self, username: str, password: str) -> int:
        """Return whose password it is."""
        if self.server.account_id is None:
            raise InvalidGrantError("The name and the password do not belong together.")
        account_id: int = self.server.account_id
        return account_id


class _Server(AuthorizationServer):
    """Judges one request, from what has been read for it."""

    def __init__(self, client: Client | None, code: Code | None = None, account_id: int | None = None) -> None:
        super().__init__()
        self.client = client
        self.code = code
        self.account_id = account_id
        self.scopes: Sequence[str] = ()
        self.register_grant(_CodeGrant, [_ProofKey(required=True)])
        self.register_grant(_ClientCredentialsGrant)
        self.register_grant(_PasswordGrant)
        self.register_token_generator("default", self._token)

    def scopes_of_token(self, request: OAuth2Request) -> list[str]:
        """Return the scopes of the token that a request gets. Raises OAuth2Error where it gets none."""
        grant: Any = self.get_token_grant(request)
        grant.validate_token_request()
        grant.create_token_response()
        return list(self.scopes)

    def create_oauth2_request(self, request: OAuth2Request) -> OAuth2Request:
        """Return the request, which is one already."""
        return request

    def query_client(self, client_id: str) -> Client | None:
        """Return the app that has been read, if it is this one."""
        return self.client if self.client is not None and self.client.app.client_id == client_id else None

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Tell nobody."""

    def save_token(self, token: Mapping[str, str], request: OAuth2Request) -> None:
        """Keep what the token lets its holder do; it is made and stored by the use case."""
        self.scopes = token["scope"].split()

    def _token(self, *, grant_type: str, client: Client, scope: str | None, **_: object) -> dict[str, str]:
        scopes = (scope or "").split() if grant_type == CODE else granted_scopes(client.app, scope or "")
        return {"scope": " ".join(scopes)}


def _check_text(values: Values) -> None:
    """Refuse characters that no parameter has (RFC 6749, appendix A), and that errors could not repeat."""
    for name, value in values.items():
        if name not in _FREE_TEXT and not all(" " <= sign <= "~" and sign not in '"\\' for sign in value):
            raise OAuthRefused(f"The {name} contains characters that it cannot have.", code="invalid_request")


def _refused(error: OAuth2Error) -> OAuthRefused:
    code = error.error or "invalid_request"
    message = (
        "The client id or the client secret is wrong." if code == "invalid_client" else error.get_error_description()
    )
    metadata = {"redirect_uri": str(error.redirect_uri)} if error.redirect_uri else {}
    return OAuthRefused(message or f"OAuth refuses: {code}.", code=code, **metadata)
