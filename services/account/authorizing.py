"""Use case: a member lets an app act for them (RFC 6749 4.1): the app asks, the member approves, the app gets a code."""

import secrets
from dataclasses import dataclass, field

from chassis.database import Pool, connection
from services.account import oauth_store
from services.account.domain import App, is_credential, secret_hash
from services.account.oauth_protocol import Authorization, Client, Values, check_authorization
from services.account.signing_in import SigningIn

CODE_BYTES = 32


@dataclass(frozen=True)
class IssuedCode:
    """A new code, and where the app wants it; it exists nowhere else."""

    redirect_uri: str
    code: str = field(repr=False)


class Authorizing:
    """Codes for apps whom members trust."""

    def __init__(self, pool: Pool, signing_in: SigningIn) -> None:
        self._pool = pool
        self._signing_in = signing_in

    async def check(self, values: Values) -> tuple[App, Authorization]:
        """Return which app asks, and for what. Raises OAuthRefused."""
        client_id = values.get("client_id", "")
        client: Client | None = None
        if is_credential(client_id):
            async with connection(self._pool) as conn:
                client = await oauth_store.find_client(conn, client_id)
        authorization = check_authorization(values, client)
        assert client is not None  # nobody would have been let through
        return client.app, authorization

    async def approve(self, values: Values, login: str, password: str, *, signed_in_id: int = 0) -> IssuedCode:
        """Sign a member in, unless the caller knows of a session of theirs, and give the app a code.

        Raises OAuthRefused where the app asks for what it cannot have, Unauthenticated, TooManyAttempts and Unavailable as signing in
        does.
        """
        app, authorization = await self.check(values)
        account_id = signed_in_id or await self._signing_in.sign_in(login, password)
        code = secrets.token_urlsafe(CODE_BYTES)
        async with connection(self._pool) as conn:
            await oauth_store.insert_code(
                conn,
                secret_hash(code),
                app_id=app.id,
                account_id=account_id,
                redirect_uri=values.get("redirect_uri", ""),
                scopes=authorization.scopes,
                code_challenge=values.get("code_challenge", ""),
            )
        return IssuedCode(authorization.redirect_uri, code)
