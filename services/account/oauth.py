"""Use case: register apps; issue, verify and revoke tokens (RFC 6749, 7009)."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from chassis.database import Connection, Pool, connection, transaction
from chassis.errors import NotFound, OAuthRefused, PermissionDenied, Unauthenticated
from services.account import oauth_store as store
from services.account.domain import OPERATOR_APP_ID, App, NewApp, TokenInfo, grant, is_credential, secret_hash
from services.account.oauth_protocol import (
    CLIENT_CREDENTIALS,
    CODE,
    PASSWORD,
    Client,
    Values,
    authenticate,
    check_token_request,
)
from services.account.signing_in import SigningIn

SECRET_BYTES = 32


@dataclass(frozen=True)
class IssuedToken:
    """A new token; its secret exists nowhere else."""

    info: TokenInfo
    access_token: str = field(repr=False)


class OAuth:
    """Apps and the tokens that are issued to them. Secrets are stored hashed and leave this class once, when they are made."""

    def __init__(self, pool: Pool, signing_in: SigningIn, *, allows_passwords: bool) -> None:
        """`allows_passwords`: apps may send a member's password for a token, which shows it to the app (RFC 9700 2.4)."""
        self._pool = pool
        self._signing_in = signing_in
        self._grant_types = {CODE, CLIENT_CREDENTIALS} | ({PASSWORD} if allows_passwords else set())

    async def register(self, new: NewApp) -> tuple[App, str]:
        """Register an app and return it with its secret; a public one has none."""
        client_id = secrets.token_urlsafe(SECRET_BYTES)
        client_secret = "" if new.is_public else secrets.token_urlsafe(SECRET_BYTES)
        async with connection(self._pool) as conn:
            app = await store.insert_app(conn, new, client_id, secret_hash(client_secret) if client_secret else None)
        return app, client_secret

    async def app(self, app_id: int) -> App:
        """Return an app. Raises NotFound."""
        async with connection(self._pool) as conn:
            return await _require_app(conn, app_id)

    async def issue(self, values: Values) -> IssuedToken:
        """Issue the token that an app asks for at the token endpoint. Raises OAuthRefused, TooManyAttempts or Unavailable."""
        if values.get("grant_type") not in self._grant_types:
            raise OAuthRefused("This grant type is not supported.", code="unsupported_grant_type")
        client = await self._authenticate(values)
        match values["grant_type"]:
            case "authorization_code":
                return await self._redeem(values, client)
            case "password":
                return await self._issue_for_password(values, client)
            case _:
                scopes = check_token_request(values, client)
                token = secrets.token_urlsafe(SECRET_BYTES)
                async with connection(self._pool) as conn:
                    info = await store.insert_app_token(conn, secret_hash(token), client.app.id, scopes)
                return IssuedToken(info, token)

    async def _redeem(self, values: Values, client: Client) -> IssuedToken:
        """Give the token of a code, once; when the code comes again, somebody has stolen it, and the token ends (RFC 6749 4.1.2)."""
        given = values.get("code", "")
        code_hash, token = secret_hash(given), secrets.token_urlsafe(SECRET_BYTES)
        async with transaction(self._pool) as conn:
            code = await store.lock_code(conn, code_hash) if is_credential(given) else None
            if code is not None:
                scopes = check_token_request(values, client, code=code)
                return IssuedToken(await store.redeem_code(conn, code_hash, secret_hash(token), scopes), token)
            await store.revoke_redeemed(conn, code_hash, client.app.id)
        check_token_request(values, client)
        raise OAuthRefused("The code is not good.", code="invalid_grant")  # which the line above has said already

    async def _issue_for_password(self, values: Values, client: Client) -> IssuedToken:
        account_id = None
        if values.get("username") and values.get("password"):
            try:
                account_id = await self._signing_in.sign_in(values["username"], values["password"])
            except Unauthenticated:
                account_id = None
        scopes = check_token_request(values, client, account_id=account_id)
        assert account_id is not None  # nobody would have been let through
        return await self._insert(account_id, client.app.id, scopes)

    async def issue_for_account(self, account_id: int, app_id: int, scopes: Sequence[str]) -> IssuedToken:
        """Issue a token that acts for a member whom the caller has authenticated; app 0 is the operator's.

        Raises NotFound for unknown apps and members, InvalidField for scopes that are not the app's.
        """
        async with connection(self._pool) as conn:
            app = await _require_app(conn, app_id or OPERATOR_APP_ID)
        return await self._insert(account_id, app.id, grant(app, scopes, app.scopes))

    async def _insert(self, account_id: int, app_id: int, scopes: Sequence[str]) -> IssuedToken:
        token = secrets.token_urlsafe(SECRET_BYTES)
        async with connection(self._pool) as conn:
            info = await store.insert_account_token(conn, secret_hash(token), app_id, account_id, scopes)
        if info is None:
            raise NotFound("There is no such member.", resource="account")
        return IssuedToken(info, token)

    async def verify(self, access_token: str) -> TokenInfo:
        """Return what a token stands for. Raises Unauthenticated where it is unknown or revoked."""
        info = None
        if is_credential(access_token):
            async with connection(self._pool) as conn:
                info = await store.find_token(conn, secret_hash(access_token))
        if info is None:
            raise Unauthenticated("The access token is unknown or has been revoked.")
        return info

    async def verify_all(self, token_hashes: Sequence[bytes]) -> list[tuple[bytes, TokenInfo]]:
        """Return, beside their hashes, what those of the tokens stand for that are known and not revoked."""
        if not token_hashes:
            return []
        async with connection(self._pool) as conn:
            return await store.list_tokens(conn, token_hashes)

    async def revoke(self, access_token: str, values: Values) -> None:
        """End a token; unknown and ended ones are fine.

        Raises OAuthRefused where the app does not prove itself, PermissionDenied where the token is another app's.
        """
        client = await self._authenticate(values)
        if not is_credential(access_token):
            return
        async with connection(self._pool) as conn:
            info = await store.find_token(conn, secret_hash(access_token))
            if info is None:
                return
            if info.app_id != client.app.id:
                raise PermissionDenied("This token was issued to another app.")
            await store.revoke_token(conn, info.id)

    async def _authenticate(self, values: Values) -> Client:
        client_id = values.get("client_id", "")
        client: Client | None = None
        if is_credential(client_id):
            async with connection(self._pool) as conn:
                client = await store.find_client(conn, client_id)
        authenticate(values, client)
        assert client is not None  # nobody would have been let through
        return client


async def _require_app(conn: Connection, app_id: int) -> App:
    app = await store.find_app(conn, app_id)
    if app is None:
        raise NotFound("There is no such app.", resource="app")
    return app
