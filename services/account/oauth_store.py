"""The SQL texts of apps, codes and tokens."""

from collections.abc import Sequence

from psycopg.rows import class_row

from chassis.database import Connection
from services.account.domain import PAGES_APP_ID, SESSION_DAYS, App, NewApp, TokenInfo
from services.account.oauth_protocol import Client, Code

CODE_SECONDS = 60
EXPIRED_STEP = 1000


async def insert_app(conn: Connection, new: NewApp, client_id: str, client_secret_hash: bytes | None) -> App:
    """Insert an app."""
    async with conn.cursor(row_factory=class_row(App)) as cursor:
        await cursor.execute(
            "INSERT INTO apps (client_id, client_secret_hash, name, website, redirect_uris, scopes, is_public)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)"
            " RETURNING id, client_id, name, website, redirect_uris, scopes, is_public",
            (client_id, client_secret_hash, new.name, new.website, new.redirect_uris, new.scopes, new.is_public),
        )
        app = await cursor.fetchone()
    assert app is not None
    return app


async def find_app(conn: Connection, app_id: int) -> App | None:
    """Return an app by its id."""
    async with conn.cursor(row_factory=class_row(App)) as cursor:
        await cursor.execute(
            "SELECT id, client_id, name, website, redirect_uris, scopes, is_public FROM apps WHERE id = %s", (app_id,)
        )
        return await cursor.fetchone()


async def find_client(conn: Connection, client_id: str) -> Client | None:
    """Return an app by its client id, with what authenticates it."""
    cursor = await conn.execute(
        "SELECT id, client_id, name, website, redirect_uris, scopes, is_public, client_secret_hash"
        " FROM apps WHERE client_id = %s",
        (client_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else Client(App(*row[:-1]), row[-1])


async def insert_code(
    conn: Connection,
    code_hash: bytes,
    *,
    app_id: int,
    account_id: int,
    redirect_uri: str,
    scopes: Sequence[str],
    code_challenge: str,
) -> None:
    """Insert a code."""
    await conn.execute(
        "INSERT INTO authorization_codes (code_hash, app_id, account_id, redirect_uri, scopes, code_challenge)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (code_hash, app_id, account_id, redirect_uri, list(scopes), code_challenge),
    )


async def lock_code(conn: Connection, code_hash: bytes) -> Code | None:
    """Return a code that is good, which nobody else can redeem until the transaction ends; wait for who is redeeming it."""
    async with conn.cursor(row_factory=class_row(Code)) as cursor:
        await cursor.execute(
            "SELECT app_id, account_id, redirect_uri, scopes, code_challenge FROM authorization_codes"
            " WHERE code_hash = %s AND created_at > now() - make_interval(secs => %s) FOR UPDATE",
            (code_hash, CODE_SECONDS),
        )
        return await cursor.fetchone()


async def redeem_code(conn: Connection, code_hash: bytes, token_hash: bytes, scopes: Sequence[str]) -> TokenInfo:
    """Turn a locked code into a token, which remembers it."""
    async with conn.cursor(row_factory=class_row(TokenInfo)) as cursor:
        await cursor.execute(
            """
            WITH redeemed AS (
                DELETE FROM authorization_codes WHERE code_hash = %(code_hash)s RETURNING app_id, account_id
            )
            INSERT INTO tokens (token_hash, app_id, account_id, scopes, code_hash)
            SELECT %(token_hash)s, app_id, account_id, %(scopes)s, %(code_hash)s FROM redeemed
            RETURNING id, app_id, account_id, scopes, created_at
            """,
            {"code_hash": code_hash, "token_hash": token_hash, "scopes": list(scopes)},
        )
        token = await cursor.fetchone()
    assert token is not None  # it is locked
    return token


async def revoke_redeemed(conn: Connection, code_hash: bytes, app_id: int) -> None:
    """End the token that a code has given to an app, if it has."""
    await conn.execute(
        "UPDATE tokens SET revoked_at = now() WHERE code_hash = %s AND app_id = %s AND revoked_at IS NULL",
        (code_hash, app_id),
    )


async def delete_expired_codes(conn: Connection) -> int:
    """Delete up to 1,000 codes that are too old to be redeemed; return how many."""
    cursor = await conn.execute(
        "DELETE FROM authorization_codes WHERE code_hash IN ("
        " SELECT code_hash FROM authorization_codes WHERE created_at < now() - make_interval(secs => %s)"
        " ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED)",
        (CODE_SECONDS, EXPIRED_STEP),
    )
    return cursor.rowcount


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
            "SELECT t.id, t.app_id, t.account_id, t.scopes, t.created_at,"
            " t.account_id IS NOT NULL AND a.confirmed_at IS NULL AS awaits_confirmation"
            " FROM tokens AS t LEFT JOIN accounts AS a ON a.id = t.account_id"
            " WHERE t.token_hash = %s AND t.revoked_at IS NULL"
            " AND (t.app_id <> %s OR t.created_at > now() - make_interval(days => %s))",
            (token_hash, PAGES_APP_ID, SESSION_DAYS),
        )
        return await cursor.fetchone()


async def list_tokens(conn: Connection, token_hashes: Sequence[bytes]) -> list[tuple[bytes, TokenInfo]]:
    """Return, beside their hashes, what those of the tokens stand for that are not revoked."""
    cursor = await conn.execute(
        "SELECT t.token_hash, t.id, t.app_id, t.account_id, t.scopes, t.created_at,"
        " t.account_id IS NOT NULL AND a.confirmed_at IS NULL"
        " FROM tokens AS t LEFT JOIN accounts AS a ON a.id = t.account_id"
        " WHERE t.token_hash = ANY(%s) AND t.revoked_at IS NULL"
        " AND (t.app_id <> %s OR t.created_at > now() - make_interval(days => %s))",
        (list(token_hashes), PAGES_APP_ID, SESSION_DAYS),
    )
    return [(token_hash, TokenInfo(*columns)) for token_hash, *columns in await cursor.fetchall()]


async def revoke_token(conn: Connection, token_id: int) -> None:
    """End a token."""
    await conn.execute("UPDATE tokens SET revoked_at = now() WHERE id = %s AND revoked_at IS NULL", (token_id,))
