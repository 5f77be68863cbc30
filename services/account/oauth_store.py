"""The SQL texts of apps and tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from chassis.database import Connection
from services.account.domain import App, NewApp, TokenInfo


@dataclass(frozen=True)
class AppSecret:
    """What authenticates an app; nothing where nobody can be it."""

    client_secret_hash: bytes | None


async def insert_app(conn: Connection, new: NewApp, client_id: str, client_secret_hash: bytes) -> App:
    """Insert an app."""
    async with conn.cursor(row_factory=class_row(App)) as cursor:
        await cursor.execute(
            "INSERT INTO apps (client_id, client_secret_hash, name, website, redirect_uris, scopes)"
            " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id, client_id, name, website, redirect_uris, scopes",
            (client_id, client_secret_hash, new.name, new.website, new.redirect_uris, new.scopes),
        )
        app = await cursor.fetchone()
    assert app is not None
    return app


async def find_app(conn: Connection, app_id: int) -> App | None:
    """Return an app by its id."""
    async with conn.cursor(row_factory=class_row(App)) as cursor:
        await cursor.execute(
            "SELECT id, client_id, name, website, redirect_uris, scopes FROM apps WHERE id = %s", (app_id,)
        )
        return await cursor.fetchone()


async def find_app_with_secret(conn: Connection, client_id: str) -> tuple[App, AppSecret] | None:
    """Return an app by its client id, and what authenticates it."""
    cursor = await conn.execute(
        "SELECT id, client_id, name, website, redirect_uris, scopes, client_secret_hash FROM apps WHERE client_id = %s",
        (client_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else (App(*row[:-1]), AppSecret(row[-1]))


async def insert_app_token(conn: Connection, token_hash: bytes, app_id: int, scopes: Sequence[str]) -> TokenInfo:
    """Insert a token that acts for an app itself."""
    async with conn.cursor(row_factory=class_row(TokenInfo)) as cursor:
        await cursor.execute(
            "INSERT INTO tokens (token_hash, app_id, scopes) VALUES (%s, %s, %s)"
            " RETURNING id, app_id, account_id, scopes, created_at",
            (token_hash, app_id, list(scopes)),
        )
        token = await cursor.fetchone()
    assert token is not None
    return token


async def insert_account_token(
    conn: Connection, token_hash: bytes, app_id: int, account_id: int, scopes: Sequence[str]
) -> TokenInfo | None:
    """Insert a token that acts for a member; None where there is no such member."""
    async with conn.cursor(row_factory=class_row(TokenInfo)) as cursor:
        await cursor.execute(
            "INSERT INTO tokens (token_hash, app_id, account_id, scopes)"
            " SELECT %(token_hash)s, %(app_id)s, id, %(scopes)s FROM accounts WHERE id = %(account_id)s"
            " RETURNING id, app_id, account_id, scopes, created_at",
            {"token_hash": token_hash, "app_id": app_id, "account_id": account_id, "scopes": list(scopes)},
        )
        return await cursor.fetchone()


async def find_token(conn: Connection, token_hash: bytes) -> TokenInfo | None:
    """Return what a token that is not revoked stands for."""
    async with conn.cursor(row_factory=class_row(TokenInfo)) as cursor:
        await cursor.execute(
            "SELECT id, app_id, account_id, scopes, created_at FROM tokens WHERE token_hash = %s AND revoked_at IS NULL",
            (token_hash,),
        )
        return await cursor.fetchone()


async def list_tokens(conn: Connection, token_hashes: Sequence[bytes]) -> list[tuple[bytes, TokenInfo]]:
    """Return, beside their hashes, what those of the tokens stand for that are not revoked."""
    cursor = await conn.execute(
        "SELECT token_hash, id, app_id, account_id, scopes, created_at FROM tokens"
        " WHERE token_hash = ANY(%s) AND revoked_at IS NULL",
        (list(token_hashes),),
    )
    return [(token_hash, TokenInfo(*columns)) for token_hash, *columns in await cursor.fetchall()]


async def revoke_token(conn: Connection, token_id: int) -> None:
    """End a token."""
    await conn.execute("UPDATE tokens SET revoked_at = now() WHERE id = %s AND revoked_at IS NULL", (token_id,))
