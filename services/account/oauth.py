"""Use case: register apps; issue, verify and revoke tokens (RFC 6749, 7009)."""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from chassis.database import Connection, Pool, connection
from chassis.errors import NotFound, PermissionDenied, Unauthenticated
from services.account import oauth_store as store
from services.account.domain import (
    DEFAULT_SCOPES,
    OPERATOR_APP_ID,
    App,
    NewApp,
    TokenInfo,
    grant,
    is_credential,
    secret_hash,
)

SECRET_BYTES = 32


@dataclass(frozen=True)
class IssuedToken:
    """A new token; its secret exists nowhere else."""

    info: TokenInfo
    access_token: str = field(repr=False)


class OAuth:
    """Apps and the tokens that are issued to them. Secrets are stored hashed and leave this class once, when they are made."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def register(self, new: NewApp) -> tuple[App, str]:
        """Register an app and return it with its secret."""
        client_id, client_secret = secrets.token_urlsafe(SECRET_BYTES), secrets.token_urlsafe(SECRET_BYTES)
        async with connection(self._pool) as conn:
            app = await store.insert_app(conn, new, client_id, secret_hash(client_secret))
        return app, client_secret

    async def app(self, app_id: int) -> App:
        """Return an app. Raises NotFound."""
        async with connection(self._pool) as conn:
            return await _require_app(conn, app_id)

    async def issue_for_app(self, client_id: str, client_secret: str, scopes: Sequence[str]) -> IssuedToken:
        """Issue a token that acts for the app itself. Raises Unauthenticated, or InvalidField for scopes that are not the app's."""
        token = secrets.token_urlsafe(SECRET_BYTES)
        async with connection(self._pool) as conn:
            app = await _authenticate(conn, client_id, client_secret)
            granted = grant(app, scopes, DEFAULT_SCOPES)
            return IssuedToken(await store.insert_app_token(conn, secret_hash(token), app.id, granted), token)

    async def issue_for_account(self, account_id: int, app_id: int, scopes: Sequence[str]) -> IssuedToken:
        """Issue a token that acts for a member whom the caller has authenticated; app 0 is the operator's.

        Raises NotFound for unknown apps and members, InvalidField for scopes that are not the app's.
        """
        token = secrets.token_urlsafe(SECRET_BYTES)
        async with connection(self._pool) as conn:
            app = await _require_app(conn, app_id or OPERATOR_APP_ID)
            granted = grant(app, scopes, app.scopes)
            info = await store.insert_account_token(conn, secret_hash(token), app.id, account_id, granted)
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

    async def revoke(self, access_token: str, client_id: str, client_secret: str) -> None:
        """End a token; unknown and ended ones are fine.

        Raises Unauthenticated where the app does not prove itself, PermissionDenied where the token is another app's.
        """
        async with connection(self._pool) as conn:
            app = await _authenticate(conn, client_id, client_secret)
            info = await store.find_token(conn, secret_hash(access_token)) if is_credential(access_token) else None
            if info is None:
                return
            if info.app_id != app.id:
                raise PermissionDenied("This token was issued to another app.")
            await store.revoke_token(conn, info.id)


async def _require_app(conn: Connection, app_id: int) -> App:
    app = await store.find_app(conn, app_id)
    if app is None:
        raise NotFound("There is no such app.", resource="app")
    return app


async def _authenticate(conn: Connection, client_id: str, client_secret: str) -> App:
    found = await store.find_app_with_secret(conn, client_id) if is_credential(client_id) else None
    if found is not None:
        app, secret = found
        if secret.client_secret_hash is not None and hmac.compare_digest(
            secret.client_secret_hash, secret_hash(client_secret)
        ):
            return app
    raise Unauthenticated("The client id or the client secret is wrong.")
